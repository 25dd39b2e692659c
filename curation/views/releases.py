from __future__ import annotations

from typing import Any

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_GET, require_POST

from curation.forms.releases import ReleaseForm
from curation.models import Project, Release
from curation.operations import Refused, releases
from curation.views import access, ranges


@require_GET
@access.member
def index(request: access.UserRequest, project: Project) -> HttpResponse:
    """All releases, newest first."""
    return _index(request, project, ReleaseForm(initial={"train": 80, "validation": 10, "test": 10}))


def _index(request: access.UserRequest, project: Project, form: ReleaseForm) -> HttpResponse:
    found = project.releases.select_related("created_by").order_by("-number")
    context = {"project": project, "releases": found, "form": form}
    return render(request, "release/index.html", context, status=422 if form.errors else 200)


@require_POST
@access.lead
def start(request: access.UserRequest, project: Project) -> HttpResponse:
    """Freeze what is accepted now and fits what was chosen."""
    form = ReleaseForm(request.POST)
    if not form.is_valid():
        return _index(request, project, form)
    try:
        release = releases.start(
            project, request.user, selection=form.selection(), splits=form.recipe(), about=form.about(),
            extra=tuple(form.cleaned_data["extra"]),
        )  # fmt: skip
    except Refused as no:
        access.tell(request, no)
        return redirect("releases", project.slug)
    return redirect("release", project.slug, release.number)


@require_GET
@access.member
def detail(request: access.UserRequest, project: Project, number: int) -> HttpResponse:
    """One release: what is in it, its files and its card."""
    release = get_object_or_404(project.releases, number=number)
    context: dict[str, Any] = {
        "project": project,
        "release": release,
        "job": release.jobs.last(),
        "card": _card(release),
    }
    before = project.releases.ready().filter(number__lt=number).last()
    if release.frozen_at and before is not None and before.frozen_at:  # older ones keep no rows to compare
        context |= {"before": before, "changes": releases.difference(before, release)}
    template = "release/_status.html" if "HX-Request" in request.headers else "release/detail.html"
    response = render(request, template, context)
    response["Vary"] = "HX-Request"
    return response


def _card(release: Release) -> str:
    file = settings.ARTIFACTS_DIR / release.path / "README.md"
    return file.read_text(encoding="utf-8") if release.is_ready and file.exists() else ""


@require_GET
@access.lead
def download(request: access.UserRequest, project: Project, number: int, name: str) -> HttpResponseBase:
    """One file of a release, always as a download: it holds hostile text."""
    release = get_object_or_404(project.releases, number=number)
    return serve_file(request, release, name)


def serve_file(request: HttpRequest, release: Release, name: str) -> HttpResponseBase:
    """A file of a release, or 404; the API answers with it too."""
    if (found := releases.file_of(release, name)) is None:
        raise Http404
    return ranges.serve(
        request, found[0], f"{release.project.slug}-{release.number}-{name.replace('/', '-')}", found[1]
    )
