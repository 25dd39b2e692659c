from __future__ import annotations

import csv
import re
import secrets
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.core.cache import cache
from django.http import FileResponse, Http404, HttpRequest, HttpResponse, QueryDict
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.http import urlencode
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from curation.forms import FilterForm, ImportForm
from curation.models import Project
from curation.operations import Refused, batches, examples, explore, imports, intake, jobs, queue
from curation.views import access

ID = re.compile(r"[0-9]{1,18}")
KEPT_ERRORS = 3600  # seconds that a report of row errors can be downloaded
FORMULA = ("=", "+", "-", "@", "\t", "\r")  # a spreadsheet would run what begins with these


@require_GET
@access.member
def index(request: access.UserRequest, project: Project) -> HttpResponse:
    """Examples that fit the filters, newest first, a page at a time by key: no page is slower than the first."""
    form = FilterForm(request.GET, categories=project.category_names())
    wanted = form.cleaned_data if form.is_valid() else {}
    before = request.GET.get("before", "")
    rows, next_key = explore.page(project, wanted, int(before) if ID.fullmatch(before) else None)
    query = request.GET.copy()
    query["before"] = str(next_key)
    chosen = {name: value for name, value in wanted.items() if value}
    context = {
        "project": project, "form": form, "rows": rows, "names": project.category_names(),
        "next": query.urlencode() if next_key else "", "is_filtered": bool(chosen), "batch": _batch(chosen),
        "views": project.saved_views.filter(user=request.user), "query": urlencode(chosen),
    }  # fmt: skip
    return render(request, "example/index.html", context, status=422 if form.errors else 200)


def _batch(chosen: dict[str, Any]) -> str:
    """The filters as the form that cuts batches takes them; empty where it could not take them all."""
    queued = {name: value for name, value in chosen.items() if name != "state"}
    if not queued or chosen.get("state", "queued") != "queued" or set(queued) - set(batches.COLUMNS):
        return ""
    return urlencode(queued)


@require_POST
@access.member
def save_view(request: access.UserRequest, project: Project) -> HttpResponse:
    """Keep the filters under a name, for oneself; the same name again replaces them."""
    query = QueryDict(request.POST.get("query", ""))
    form = FilterForm(query, categories=project.category_names())
    name = request.POST.get("name", "").strip()[:60]
    if not (name and form.is_valid()):
        access.tell(request, Refused("A view needs a name and filters.", "Choose filters, press Show, and name them."))
        return redirect("examples", project.slug)
    chosen = {key: value for key, value in form.cleaned_data.items() if value}
    project.saved_views.update_or_create(user=request.user, name=name, defaults={"query": chosen})
    return redirect(f"{reverse('examples', args=[project.slug])}?{urlencode(chosen)}")


@require_POST
@access.member
def forget_view(request: access.UserRequest, project: Project, pk: int) -> HttpResponse:
    """Take one of one's own views away."""
    get_object_or_404(project.saved_views, pk=pk, user=request.user).delete()
    return redirect("examples", project.slug)


@require_GET
@access.member
def like(request: access.UserRequest, project: Project, pk: int) -> HttpResponse:
    """The examples most like this one."""
    example = get_object_or_404(project.examples, pk=pk)
    context = {
        "project": project, "example": example, "rows": explore.like(project, example),
        "names": project.category_names(),
    }  # fmt: skip
    return render(request, "example/like.html", context)


@require_GET
@access.member
def detail(request: access.UserRequest, project: Project, pk: int) -> HttpResponse:
    """One example: its text, where it comes from, and everything that was said about it."""
    example = get_object_or_404(project.examples.select_related("parent", "round", "made_by_job"), pk=pk)
    context = {
        "project": project, "example": example, "names": project.category_names(), "family": explore.family(example),
        "findings": example.findings.all(), "verdicts": example.verdicts.select_related("reviewer"),
        "moves": example.moves(),
    }  # fmt: skip
    return render(request, "example/detail.html", context)


@require_POST
@access.lead
def overrule(request: access.UserRequest, project: Project, pk: int) -> HttpResponse:
    """Queue what a filter advised against."""
    example = get_object_or_404(project.examples, pk=pk)
    try:
        examples.overrule(example, request.user)
        messages.success(request, "Queued for review.")
    except Refused as no:
        access.tell(request, no)
    return redirect("example", project.slug, pk)


@require_POST
@access.lead
def retire(request: access.UserRequest, project: Project, pk: int) -> HttpResponse:
    """Take an undecided example out of the queue for good."""
    example = get_object_or_404(project.examples, pk=pk)
    try:
        queue.retire(example, request.user)
        messages.success(request, "Retired: nobody gets it any more, and it trains nothing.")
    except Refused as no:
        access.tell(request, no)
    return redirect("example", project.slug, pk)


@require_http_methods(["GET", "POST"])
@access.lead
def bring_in(request: access.UserRequest, project: Project) -> HttpResponse:
    """Import a file of seeds, and show row by row what could not be taken."""
    form = ImportForm(request.POST or None, request.FILES or None)
    context: dict[str, Any] = {"project": project, "form": form, "largest": settings.MAX_IMPORT_BYTES // 2**20}
    context["imports"] = project.imports.select_related("created_by")[:20]
    if request.method == "POST" and form.is_valid():
        try:
            file = form.cleaned_data["file"]
            report = imports.seeds(project, request.user, file, file.name, form.cleaned_data["purpose"])
        except Refused as no:
            form.add_error("file", f"{no.message} {no.remedy}".strip())
        else:
            context |= {"report": report, "token": _keep(request, report)}
    return render(request, "example/import.html", context, status=422 if form.errors else 200)


def _keep(request: HttpRequest, report: imports.ImportReport) -> str:
    """Keep the row errors for a while, for download; they hold line numbers and reasons, never text."""
    token = secrets.token_urlsafe(16)
    rows = [(error.line, error.message) for error in report.errors]
    cache.set(f"import-errors:{request.user.pk}:{token}", rows, KEPT_ERRORS)
    return token


@require_GET
@access.lead
def import_errors(request: access.UserRequest, project: Project, token: str) -> HttpResponse:
    """The row errors of an import as CSV."""
    rows = cache.get(f"import-errors:{request.user.pk}:{token}")
    if rows is None:
        raise Http404
    response = HttpResponse(
        content_type="text/csv", headers={"Content-Disposition": 'attachment; filename="errors.csv"'}
    )
    writer = csv.writer(response)
    writer.writerow(["line", "message"])
    writer.writerows((line, f"'{message}" if message.startswith(FORMULA) else message) for line, message in rows)
    return response


@require_POST
@access.lead
def import_start(request: access.UserRequest, project: Project) -> HttpResponse:
    """Have a worker import a file, or say what would come of it."""
    form = ImportForm(request.POST, request.FILES)
    if form.is_valid():
        file, purpose = form.cleaned_data["file"], form.cleaned_data["purpose"]
        try:
            row = intake.start(project, request.user, file, file.name, purpose, dry="dry" in request.POST)
            return redirect("import-detail", project.slug, row.pk)
        except Refused as no:
            form.add_error("file", f"{no.message} {no.remedy}".strip())
    context = {"project": project, "form": form, "largest": settings.MAX_IMPORT_BYTES // 2**20}
    return render(request, "example/import.html", context, status=422)


@require_GET
@access.lead
def import_detail(request: access.UserRequest, project: Project, pk: int) -> HttpResponse:
    """One import, live: a fragment asks again while its job runs."""
    row = get_object_or_404(project.imports.select_related("created_by"), pk=pk)
    context = {"project": project, "row": row, "job": row.job, "has_file": intake.report_file(row) is not None}
    asked_again = "HX-Request" in request.headers
    response = render(request, "example/_import.html" if asked_again else "example/import_detail.html", context)
    response["Vary"] = "HX-Request"
    return response


@require_POST
@access.lead
def import_act(request: access.UserRequest, project: Project, pk: int) -> HttpResponse:
    """Cancel or retry the job of an import, or import what a dry run looked at."""
    row = get_object_or_404(project.imports, pk=pk)
    job, act = row.job, request.POST.get("act")
    try:
        if act == "import":
            intake.go_on(row, request.user)
        elif job and act == "cancel":
            jobs.cancel(job, by=request.user)
        elif job and act == "retry":
            jobs.retry(job, by=request.user)
    except Refused as no:
        access.tell(request, no)
    return redirect("import-detail", project.slug, pk)


@require_GET
@access.lead
def import_report(request: access.UserRequest, project: Project, pk: int) -> FileResponse:
    """Line and reason of every row that was not taken, as CSV."""
    file = intake.report_file(get_object_or_404(project.imports, pk=pk))
    if file is None:
        raise Http404
    return FileResponse(file.open("rb"), as_attachment=True, filename=f"import-{pk}-errors.csv")
