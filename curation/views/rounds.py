from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.contrib import messages
from django.contrib.auth.models import User
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from curation.forms import RoundForm
from curation.models import Job, Project, Round
from curation.operations import Refused, rounds, summary
from curation.views import access
from curation.views.charts import Curve
from curation.views.projects import stages

ACTS: dict[str, Callable[[Round, User], None]] = {
    "cancel": rounds.cancel,
    "retry": rounds.retry,
    "finish-review": rounds.finish_review,
    "review-by-machine": rounds.review_by_machine,
}
# Which of a program's metrics tell how it goes, and what to call them.
CURVES = (("loss", "Training loss"), ("validation_ap", "Average precision on validation"), ("reward", "Mean reward"))


@require_GET
@access.member
def index(request: access.UserRequest, project: Project) -> HttpResponse:
    """All rounds, newest first."""
    found = project.rounds.select_related("guard", "started_by").order_by("-number")
    context = {"project": project, "rounds": found, "open_round": project.rounds.open().first()}
    return render(request, "round/index.html", context)


@require_http_methods(["GET", "POST"])
@access.lead
def start(request: access.UserRequest, project: Project) -> HttpResponse:
    """Choose how a round is run, and start it."""
    form = RoundForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            round = rounds.start(project, request.user, form.recipe(), review=form.cleaned_data["review"])
            return redirect("round", project.slug, round.number)
        except Refused as no:
            form.add_error(None, f"{no.message} {no.remedy}".strip())
    context = {"project": project, "form": form, "open_round": project.rounds.open().first()}
    return render(request, "round/start.html", context, status=422 if form.errors else 200)


@require_GET
@access.member
def detail(request: access.UserRequest, project: Project, number: int) -> HttpResponse:
    """A round, live: a fragment asks again while something runs."""
    round = get_object_or_404(project.rounds, number=number)
    asked_again = "HX-Request" in request.headers
    template = "round/_live.html" if asked_again else "round/detail.html"
    response = render(request, template, _context(project, round) | {"asked_again": asked_again})
    response["Vary"] = "HX-Request"
    return response


@require_POST
@access.lead
def act(request: access.UserRequest, project: Project, number: int, verb: str) -> HttpResponse:
    """Cancel, retry, or end the review of a round."""
    round = get_object_or_404(project.rounds, number=number)
    try:
        ACTS[verb](round, request.user)
    except Refused as no:
        access.tell(request, no)
    else:
        messages.success(request, {"cancel": "Cancelled.", "retry": "Queued again."}.get(verb, "Training is next."))
    return redirect("round", project.slug, number)


def _context(project: Project, round: Round) -> dict[str, Any]:
    jobs = list(round.jobs.order_by("pk"))
    job = jobs[-1] if jobs else None
    pace = rate(job)
    return {
        "project": project, "round": round, "job": job, "jobs": jobs, "stages": stages(round),
        "figures": summary.of_round(round), "curves": _curves(jobs),
        "pace": pace, "left": (job.total - job.done) / pace if job and pace else None,
        "is_live": bool(job and job.is_live), "outcome": outcome(round),
        "next_round": project.rounds.filter(number=round.number + 1).first(),
    }  # fmt: skip


def rate(job: Job | None) -> float | None:
    """Units a second since the job began: steadier than the rate of the last second. None where it says nothing."""
    if job is None or job.state != Job.State.RUNNING or not job.started_at or not 0 < job.done < job.total:
        return None
    spent = (timezone.now() - job.started_at).total_seconds()
    return job.done / spent if spent > 0 else None


def _curves(jobs: list[Job]) -> list[Curve]:
    found = []
    for job in jobs:
        for key, title in CURVES:
            points = [(float(point["at"]), float(point[key])) for point in job.history if key in point]
            if len(points) > 1:
                found.append(Curve(title, job.get_kind_display(), points))
    return found


def outcome(round: Round) -> str:
    """One sentence of what came of a round that ended."""
    if round.state == Round.State.CANCELLED:
        return "This round was cancelled. What it had made so far is kept."
    if round.state != Round.State.CLOSED:
        return ""
    guard = round.guard
    now, before = (summary.guard_figures(round, one) for one in (guard, round.guard_before))
    found = summary.found(round).count()
    tail = f" The adversary found {found} examples that it gets wrong; they wait in the next round." if found else ""
    if now is None or now["average_precision"] is None:
        return f"{guard} is trained.{tail}"
    middle = f"reaches {now['average_precision']:.3f} average precision on the frozen set"
    if before and before["average_precision"] is not None:
        middle += f", {now['average_precision'] - before['average_precision']:+.3f} against {round.guard_before}"
    return f"{guard} {middle}, and is {guard.get_state_display().lower()}.{tail}"
