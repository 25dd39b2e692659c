from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.http import FileResponse, Http404, HttpResponse, QueryDict
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.http import urlencode
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_POST

from curation.forms import COLUMNS, USUAL, FilterForm, ImportForm
from curation.forms.mapping import MappingForm, chosen
from curation.models import Project, Provenance
from curation.operations import Refused, batches, edits, examples, explore, intake, jobs, mappings, queue, story
from curation.views import access
from pipeline.dialects import NAMES
from pipeline.look import Look
from pipeline.mapping import Mapping

ID = re.compile(r"[0-9]{1,18}")


@require_GET
@access.member
def index(request: access.UserRequest, project: Project) -> HttpResponse:
    """Examples that fit the filters, newest first, a page at a time by key: no page is slower than the first."""
    form = FilterForm(request.GET, categories=project.category_names())
    wanted = form.cleaned_data if form.is_valid() else {}
    before, hidden = request.GET.get("before", ""), _hidden(request, project)
    try:
        if wanted.get("by") and wanted.get("q"):
            rows, next_key = explore.by_meaning(project, wanted["q"], wanted, hidden), None
        else:
            rows, next_key = explore.page(project, wanted, int(before) if ID.fullmatch(before) else None, hidden)
    except Refused as no:
        access.tell(request, no)
        rows, next_key = [], None
    query = request.GET.copy()
    query["before"] = str(next_key)
    chosen = {name: value for name, value in wanted.items() if value and (name != "by" or wanted.get("q"))}
    shown = [name for name in COLUMNS if name in (wanted.get("columns") or USUAL)]
    context = {
        "project": project, "form": form, "rows": rows, "names": project.category_names(),
        "next": query.urlencode() if next_key else "", "is_filtered": bool(set(chosen) - {"columns"}),
        "batch": _batch(chosen), "views": project.saved_views.filter(user=request.user),
        "query": urlencode(chosen, doseq=True), "columns": [(name, COLUMNS[name]) for name in shown],
    }  # fmt: skip
    return render(request, "example/index.html", context, status=422 if form.errors else 200)


def _hidden(request: access.UserRequest, project: Project) -> list[int]:
    return explore.hidden_from(request.user, project, project.role_of(request.user))


def _asked(request: access.UserRequest, project: Project) -> HttpResponse:
    no = Refused(_("You are being asked about this text."), _("Its page opens once you have answered."))
    access.tell(request, no)
    return redirect("review", project.slug)


def _batch(chosen: dict[str, Any]) -> str:
    """The filters as the form that cuts batches takes them; empty where it could not take them all."""
    queued = {name: value for name, value in chosen.items() if name not in ("state", "columns")}
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
    return redirect(f"{reverse('examples', args=[project.slug])}?{urlencode(chosen, doseq=True)}")


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
    example, hidden = get_object_or_404(project.examples, pk=pk), _hidden(request, project)
    if example.pk in hidden:
        return _asked(request, project)
    context = {
        "project": project, "example": example, "rows": explore.like(project, example, hidden),
        "names": project.category_names(),
    }  # fmt: skip
    return render(request, "example/like.html", context)


@require_GET
@access.member
def detail(request: access.UserRequest, project: Project, pk: int) -> HttpResponse:
    """One example: its text, where it comes from, and everything that was said about it."""
    example = get_object_or_404(project.examples.select_related("parent", "round", "source"), pk=pk)
    role, hidden = project.role_of(request.user), _hidden(request, project)
    if example.pk in hidden:
        return _asked(request, project)
    context = {
        "project": project, "example": example, "names": project.category_names(),
        "family": explore.family(example, hidden),
        "story": story.of(example, request.user, role), "scores": story.scores(example, role),
        "is_blind": story.is_blind(example, role), "state": story.STATES[example.state],
        "origin": story.ORIGINS[example.origin], "use": story.USES[example.split],
        "flag": example.flags.filter(resolved_at=None).select_related("by").first(),
        "provenance": Provenance.objects.filter(pk=example.pk).first(),
    }  # fmt: skip
    return render(request, "example/detail.html", context)


@require_POST
@access.lead
def unflag(request: access.UserRequest, project: Project, pk: int) -> HttpResponse:
    """A lead has looked at what somebody flagged."""
    edits.unflag(get_object_or_404(project.examples, pk=pk), request.user)
    return redirect("example", project.slug, pk)


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


@require_GET
@access.lead
def bring_in(request: access.UserRequest, project: Project) -> HttpResponse:
    """Choose a file; what was imported before stands below."""
    return _bring_in(request, project, ImportForm())


def _bring_in(request: access.UserRequest, project: Project, form: ImportForm) -> HttpResponse:
    context = {
        "project": project, "form": form, "largest": settings.MAX_IMPORT_BYTES // 2**20,
        "imports": project.imports.select_related("created_by")[:20], "categories": project.policy_version.keys(),
    }  # fmt: skip
    return render(request, "example/import.html", context, status=422 if form.errors else 200)


@require_POST
@access.lead
def import_start(request: access.UserRequest, project: Project) -> HttpResponse:
    """Have a worker look at a file, so that one can say what its columns mean."""
    form = ImportForm(request.POST, request.FILES)
    if form.is_valid():
        file, purpose = form.cleaned_data["file"], form.cleaned_data["purpose"]
        try:
            row = intake.look(project, request.user, file, file.name, purpose)
            return redirect("import-detail", project.slug, row.pk)
        except Refused as no:
            form.add_error("file", f"{no.message} {no.remedy}".strip())
    return _bring_in(request, project, form)


@require_GET
@access.lead
def import_detail(request: access.UserRequest, project: Project, pk: int) -> HttpResponse:
    """One import, live: a fragment asks again while its job runs, and then asks what the columns mean."""
    row = get_object_or_404(project.imports.select_related("created_by"), pk=pk)
    job = row.job
    context = {"project": project, "row": row, "job": job, "not_taken": intake.not_taken(row)}
    if not row.is_stored and not (job and job.is_live) and (look := mappings.look_of(row)):
        mapping, remembered = mappings.proposed(row, look)
        context |= _mapped(project, look, mapping) | {"remembered": remembered}
    asked_again = "HX-Request" in request.headers
    response = render(request, "example/_import.html" if asked_again else "example/import_detail.html", context)
    response["Vary"] = "HX-Request"
    return response


def _mapped(project: Project, look: Look, mapping: Mapping, problems: Sequence[str] = ()) -> dict[str, Any]:
    """What the form shows: columns, values, and the first rows as they would be read."""
    return {
        "look": look, "map": MappingForm(mapping, look, project), "shown": mappings.shown(mapping, look, project),
        "problems": problems, "tool": NAMES.get(look.dialect, ""), "names": project.category_names(),
    }  # fmt: skip


@require_POST
@access.lead
def import_map(request: access.UserRequest, project: Project, pk: int) -> HttpResponse:
    """Say what the columns mean: shows how the first rows read by it, tries the file, or imports it."""
    row = get_object_or_404(project.imports, pk=pk)
    look = mappings.look_of(row)
    if look is None:
        raise Http404
    start, _ = mappings.proposed(row, look)
    mapping = chosen(request.POST, request.POST.getlist("splits"), start, look, project)
    asks = "HX-Request" in request.headers or "show" in request.POST
    problems = [] if asks else mappings.problems(mapping, look)
    if not asks and not problems:
        try:
            intake.go_on(row, request.user, mapping, dry="dry" in request.POST)
        except Refused as no:
            access.tell(request, no)
        return redirect("import-detail", project.slug, pk)
    asked_again = "HX-Request" in request.headers
    context = {"project": project, "row": row, "job": row.job, "said": True, "asked_again": asked_again}
    context |= _mapped(project, look, mapping, problems)
    template = "example/_mapping.html" if asked_again else "example/import_detail.html"
    return render(request, template, context, status=422 if problems else 200)


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
