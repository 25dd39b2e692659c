from __future__ import annotations

from django.conf import settings
from django.http import FileResponse, Http404, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_GET, require_POST

from curation.models import Project, Release
from curation.operations import Refused, releases
from curation.views import access


@require_GET
@access.member
def index(request: access.UserRequest, project: Project) -> HttpResponse:
    """All releases, newest first."""
    found = project.releases.select_related("created_by").order_by("-number")
    return render(request, "release/index.html", {"project": project, "releases": found})


@require_POST
@access.lead
def start(request: access.UserRequest, project: Project) -> HttpResponse:
    """Freeze what is accepted now."""
    try:
        release = releases.start(project, request.user)
    except Refused as no:
        access.tell(request, no)
        return redirect("releases", project.slug)
    return redirect("release", project.slug, release.number)


@require_GET
@access.member
def detail(request: access.UserRequest, project: Project, number: int) -> HttpResponse:
    """One release: what is in it, its files and its card."""
    release = get_object_or_404(project.releases, number=number)
    context = {"project": project, "release": release, "job": release.jobs.last(), "card": _card(release)}
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
    file = settings.ARTIFACTS_DIR / release.path / name
    # The list that was written with the release says which names exist; nothing else is looked up.
    if name not in {entry["name"] for entry in release.files} or not file.is_file():
        raise Http404
    return FileResponse(file.open("rb"), as_attachment=True, filename=f"{project.slug}-{release.number}-{name}")
