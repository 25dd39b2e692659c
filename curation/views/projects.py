from __future__ import annotations

from typing import Any

from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_http_methods

from curation.forms.people import ProjectForm
from curation.models import Example, Guard, Project, Round
from curation.operations import Refused, summary
from curation.operations import overview as board
from curation.operations import projects as founding
from curation.views import access


@require_GET
@login_required
def home(request: access.UserRequest) -> HttpResponse:
    """The user's projects; the only one opens by itself, unless one may make others."""
    projects = list(Project.objects.visible_to(request.user).order_by("name"))
    if len(projects) == 1 and not request.user.is_staff:
        return redirect("overview", projects[0].slug)
    return render(request, "project/home.html", {"projects": projects})


@require_http_methods(["GET", "POST"])
@access.founder
def make(request: access.UserRequest) -> HttpResponse:
    """A new project on a policy that is there, on the example, or on a file."""
    form = ProjectForm(request.POST or None, request.FILES or None)
    if request.method == "POST" and form.is_valid():
        values = form.cleaned_data
        try:
            project = founding.make(
                values["name"], form.version(request.user), request.user, description=values["description"],
                content_note=values["content_note"],
            )  # fmt: skip
            return redirect("overview", project.slug)
        except Refused as no:
            form.add_error(no.field or "file", str(no))
    return render(request, "project/make.html", {"form": form}, status=422 if form.errors else 200)


@require_GET
@access.member
def overview(request: access.UserRequest, project: Project) -> HttpResponse:
    """Where the round stands, what waits, how the active guard does."""
    round = project.rounds.exclude(state=Round.State.DRAFT).last()
    active = project.guards.filter(state=Guard.State.ACTIVE).first()
    context = {
        "project": project,
        "round": round,
        "stages": stages(round) if round else [],
        "stuck": bool(round and round.is_open and round.current_job and round.current_job.has_failed),
        "waiting": Example.objects.filter(project=project, state=Example.State.QUEUED).count(),
        "accepted": project.examples.trainable().count(),
        "seeds": project.examples.filter(origin=Example.Origin.SEED).count(),
        "active": active,
        "after": latest_figures(active),
        "before": latest_figures(active.parent if active else None, active),
        "candidate": project.guards.filter(state=Guard.State.CANDIDATE).last(),
        "finds": project.examples.filter(round__state=Round.State.DRAFT).count(),
        "decisions": board.decisions(project, project.role_of(request.user)),
        "rounds": board.rounds_table(project),
        "guards": board.guards_table(project),
        "alpha": board.alpha(project),
    }
    return render(request, "project/overview.html", context)


def latest_figures(guard: Guard | None, beside: Guard | None = None) -> dict[str, Any] | None:
    """A guard's figures on the newest set it was measured on, or on the one that `beside` was."""
    if guard is None:
        return None
    evaluations = guard.evaluations.order_by("-pk")
    if beside is not None:
        evaluations = evaluations.filter(evaluation_set=beside.round.evaluation_set)
    newest = evaluations.first()
    return {name: newest.metrics.get(name) for name in summary.FIGURES} if newest else None


WORDS = {
    Round.State.GENERATING: "Generate",
    Round.State.FILTERING: "Filter",
    Round.State.REVIEWING: "Review",
    Round.State.TRAINING: "Train",
    Round.State.EVALUATING: "Evaluate",
    Round.State.ATTACKING: "Attack",
    Round.State.CLOSED: "Closed",
}


def stages(round: Round) -> list[dict[str, str]]:
    """The line of stages of a round: what is past, what is now, what came of each."""
    visited = {move.new for move in round.moves()}
    failed = bool(round.current_job and round.current_job.has_failed)
    counts = _stage_counts(round)
    line = []
    for state, word in WORDS.items():
        if state != Round.State.CLOSED and _skips(round, state) and state not in visited:
            continue
        kind = "now" if round.state == state else "past" if state in visited else "future"
        if kind == "now" and state == Round.State.CLOSED:
            kind = "past"
        elif kind == "now":
            waits = state == Round.State.REVIEWING and round.review == Round.Review.PEOPLE
            kind += " broken" if failed else " waits" if waits else " live"
        line.append({"word": word, "kind": kind, "count": counts.get(state, "")})
    return line


def _skips(round: Round, state: str) -> bool:
    part = {Round.State.GENERATING: "generate", Round.State.ATTACKING: "attack"}.get(Round.State(state))
    made_nothing = not round.settings_for("generate") and state in (Round.State.FILTERING, Round.State.REVIEWING)
    return made_nothing or (part is not None and not round.settings_for(part))


def _stage_counts(round: Round) -> dict[str, str]:
    counts = summary.counts(round)
    made = counts["candidates"] - counts["carried_in"]
    kept = counts["candidates"] - counts["filtered"]
    return {
        Round.State.GENERATING: f"{made:,} made" if made else "",
        Round.State.FILTERING: f"{kept:,} kept" if counts["filtered"] or counts["queued"] or counts["accepted"] else "",
        Round.State.REVIEWING: f"{counts['accepted']:,} accepted"
        if counts["accepted"]
        else f"{counts['queued']:,} wait"
        if counts["queued"]
        else "",
        Round.State.ATTACKING: f"{counts['adversarial_found']:,} finds" if counts["adversarial_found"] else "",
    }
