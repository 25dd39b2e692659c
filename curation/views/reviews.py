from __future__ import annotations

import re
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_POST

from curation.models import Example, Project, Verdict
from curation.operations import Refused, reviews
from curation.views import access

REASONS = (
    "Not a message somebody would send", "Meaning is unclear", "Too close to another example", "Wrong language",
    "Should not be in any dataset",
)  # fmt: skip
ID = re.compile(r"[0-9]{1,18}")
MANY = 1000  # counting further than this helps nobody
LONGEST_SITTING = 24 * 3600.0  # seconds; a longer time on one example is a clock's mistake


@require_GET
@access.reviewer
def desk(request: access.UserRequest, project: Project) -> HttpResponse:
    """One example at a time. Before the first one: what will be read, and where support is."""
    noted = f"content-note:{project.pk}"
    if project.content_note and not request.session.get(noted):
        if "understood" not in request.GET:
            return render(request, "review/note.html", {"project": project})
        request.session[noted] = True
        return redirect("review", project.slug)
    return render(request, "review/desk.html", _context(request, project))


@require_POST
@access.reviewer
def judge(request: access.UserRequest, project: Project) -> HttpResponse:
    """Take a verdict and show the next example."""
    wanted = request.POST.get("example", "")
    example = project.examples.filter(pk=int(wanted)).first() if ID.fullmatch(wanted) else None
    if example is None:
        return _next(request, project, refused=Refused("This example is not here any more.", "Here is the next one."))
    try:
        reviews.judge(
            example, request.user, request.POST.get("decision", ""), label=request.POST.get("label"),
            categories=request.POST.getlist("categories"), reason=request.POST.get("reason", ""),
            seconds=_seconds(request.POST.get("seconds", "")),
        )  # fmt: skip
    except Refused as no:
        return _next(request, project, refused=no)
    said = {"accept": "Approved", "reject": "Rejected", "relabel": "Relabelled", "skip": "Skipped"}
    return _next(request, project, said=said[request.POST["decision"]])


@require_POST
@access.reviewer
def undo(request: access.UserRequest, project: Project) -> HttpResponse:
    """Take the last verdict back and show its example again."""
    try:
        example = reviews.undo(request.user, project)
    except Refused as no:
        return _next(request, project, refused=no)
    return _next(request, project, said="Taken back" if example else "Nothing to take back", first=example)


def _seconds(value: str) -> float | None:
    try:
        return min(max(float(value), 0.0), LONGEST_SITTING)
    except ValueError:
        return None


def _next(
    request: HttpRequest,
    project: Project,
    *,
    said: str = "",
    refused: Refused | None = None,
    first: Example | None = None,
) -> HttpResponse:
    """The next example: as a fragment where one asked for it, else as the page."""
    template = "review/_example.html" if "HX-Request" in request.headers else "review/desk.html"
    context = _context(request, project, first) | {"said": said, "refused": refused}
    return render(request, template, context, status=409 if refused else 200)


def _context(request: HttpRequest, project: Project, first: Example | None = None) -> dict[str, Any]:
    waiting = Example.objects.filter(project=project).waiting_for(request.user)  # type: ignore[arg-type]
    example = first or waiting.select_related("parent", "round").first()
    mine = Verdict.objects.current().filter(reviewer=request.user.pk, example__project=project)
    done = mine.exclude(decision=Verdict.Decision.SKIP)[:MANY].count()
    remaining = waiting[:MANY].count()
    return {
        "project": project, "example": example, "remaining": remaining, "done": done, "total": done + remaining,
        "many": remaining >= MANY, "categories": list(project.policy_version.categories.all()), "reasons": REASONS,
        "names": project.category_names(), "findings": list(example.findings.all()) if example else [],
        "policy": _policy(project, example), "waits_for_others": project.examples.filter(state="queued").exists(),
    }  # fmt: skip


def _policy(project: Project, example: Example | None) -> list[Any]:
    keys = example.proposed_categories if example else []
    return list(project.policy_version.categories.filter(key__in=keys))
