from __future__ import annotations

import csv
import re
import secrets
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.core.cache import cache
from django.db.models import Q
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from curation.forms import FilterForm, ImportForm
from curation.models import Project
from curation.operations import Refused, examples, imports, queue
from curation.views import access

PAGE = 50
ID = re.compile(r"[0-9]{1,18}")
KEPT_ERRORS = 3600  # seconds that a report of row errors can be downloaded
FORMULA = ("=", "+", "-", "@", "\t", "\r")  # a spreadsheet would run what begins with these


@require_GET
@access.member
def index(request: access.UserRequest, project: Project) -> HttpResponse:
    """All examples, newest first, a page at a time by key: no page is slower than the first."""
    form = FilterForm(request.GET, categories=project.category_names())
    found = project.examples.filter(_wanted(form)).order_by("-pk").defer("embedding", "stage_settings", "scores")
    before = request.GET.get("before", "")
    if ID.fullmatch(before):
        found = found.filter(pk__lt=int(before))
    rows = list(found[: PAGE + 1])
    query = request.GET.copy()
    if len(rows) > PAGE:
        query["before"] = str(rows[PAGE - 1].pk)
    context = {
        "project": project, "form": form, "rows": rows[:PAGE], "names": project.category_names(),
        "next": query.urlencode() if len(rows) > PAGE else "", "is_filtered": bool(request.GET),
    }  # fmt: skip
    return render(request, "example/index.html", context)


def _wanted(form: FilterForm) -> Q:
    wanted = Q()
    if form.is_valid():
        if text := form.cleaned_data["q"]:
            wanted &= Q(text__icontains=text)
        for name in ("state", "origin", "split"):
            if value := form.cleaned_data[name]:
                wanted &= Q(**{name: value})
        if label := form.cleaned_data["label"]:
            wanted &= Q(label=label) | Q(label="", proposed_label=label)
        if category := form.cleaned_data["category"]:
            wanted &= Q(categories__contains=[category]) | Q(label="", proposed_categories__contains=[category])
    return wanted


@require_GET
@access.member
def detail(request: access.UserRequest, project: Project, pk: int) -> HttpResponse:
    """One example: its text, where it comes from, and everything that was said about it."""
    example = get_object_or_404(project.examples.select_related("parent", "round", "made_by_job"), pk=pk)
    context = {
        "project": project, "example": example, "names": project.category_names(), "ancestors": example.ancestors(),
        "children": example.children.order_by("pk").only("pk", "stage", "state", "origin")[:50],
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
