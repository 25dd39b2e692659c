from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.models import User
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from curation.forms import RoundForm
from curation.models import Guard, Job, Project, Round
from curation.operations import Refused, rounds, summary
from curation.views import access, plots
from curation.views.projects import stages

SHOWN = 6  # texts
LOG_BYTES = 4_000

ACTS: dict[str, Callable[[Round, User], None]] = {
    "cancel": rounds.cancel,
    "retry": rounds.retry,
    "pause": rounds.pause,
    "resume": rounds.resume,
    "finish-review": rounds.finish_review,
    "review-by-machine": rounds.review_by_machine,
}
DONE = {
    "cancel": "Cancelled.", "retry": "Queued again.", "resume": "Goes on.",
    "pause": "Pausing. It goes on from what is finished.",
}  # fmt: skip
# Which of a program's metrics tell how it goes, and what to call them.
CURVES = (
    ("loss", "Does it still learn?", "Training loss", "running"),
    ("validation_ap", "Does it get better on validation?", "Average precision", "running"),
    ("reward", "Does the adversary learn?", "Mean reward", "machine"),
    ("finds", "How many finds so far?", "Finds", "running"),
    ("kl", "How far did the generator move?", "Distance from the base model", "running"),
)


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
    context = {
        "project": project, "form": form, "open_round": project.rounds.open().first(),
        "recipes": project.recipes.order_by("name", "-version"),
    }  # fmt: skip
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
    """Cancel, pause, resume, retry, or end the review of a round."""
    round = get_object_or_404(project.rounds, number=number)
    try:
        ACTS[verb](round, request.user)
    except Refused as no:
        access.tell(request, no)
    else:
        messages.success(request, DONE.get(verb, "Training is next."))
    return redirect("round", project.slug, number)


def _context(project: Project, round: Round) -> dict[str, Any]:
    jobs = list(round.jobs.order_by("pk"))
    job = jobs[-1] if jobs else None
    pace = rate(job)
    return {
        "project": project, "round": round, "job": job, "jobs": jobs, "stages": stages(round),
        "figures": summary.of_round(round), "plots": [*_flow(round), *_curves(jobs)],
        "kept_by": summary.kept_by(round), "warm_starts": summary.warm_starts(round),
        "diversity": summary.diversity(round), "contrast": summary.contrast(round),
        "reasons": summary.reasons(round), "samples": _samples(round, job),
        "deciles": summary.reward_deciles(round), "names": project.category_names(), "log": _log(job),
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


def _curves(jobs: list[Job]) -> list[plots.Plot]:
    found = []
    for job in jobs:
        for key, question, metric, tone in CURVES:
            points = [(float(point["at"]), float(point[key])) for point in job.history if key in point]
            if len(points) > 1:
                found.append(plots.history(question, metric, points, tone))
    return found


def _flow(round: Round) -> list[plots.Plot]:
    """Where the round's examples went."""
    count = summary.counts(round)
    made, left = count["candidates"] - count["carried_in"], count["candidates"] - count["filtered"]
    if not (count["filtered"] or count["queued"] or count["accepted"]):
        return []
    nodes = [
        ("Written", made, "machine"), ("Finds", count["carried_in"], "machine"),
        ("Candidates", count["candidates"], "running"), ("Filtered out", count["filtered"], "human"),
        ("Kept", left, "running"), ("Accepted", count["accepted"], "safe"), ("Rejected", count["rejected"], "unsafe"),
        ("Waiting", count["queued"], "review"), ("Disputed", count["disputed"], "review"),
    ]  # fmt: skip
    links = [
        ("Written", "Candidates", made), ("Finds", "Candidates", count["carried_in"]),
        ("Candidates", "Filtered out", count["filtered"]), ("Candidates", "Kept", left),
        ("Kept", "Accepted", count["accepted"]), ("Kept", "Rejected", count["rejected"]),
        ("Kept", "Waiting", count["queued"]), ("Kept", "Disputed", count["disputed"]),
    ]  # fmt: skip
    return [plots.flow("Where did the candidates go?", nodes, links)]


def _samples(round: Round, job: Job | None) -> list[Any]:
    """The newest texts: those that the running job just wrote, else the newest candidates."""
    live = list(job.samples.order_by("-number")[:SHOWN]) if job else []
    heavy = ("embedding", "stage_settings", "scores")
    return live or list(round.examples.exclude(stage="").order_by("-pk").defer(*heavy)[:SHOWN])


def _log(job: Job | None) -> str:
    """The end of what the libraries of the newest job had to say."""
    file = settings.ARTIFACTS_DIR / "runs" / str(job.pk) / "log.txt" if job else None
    if file is None or not file.exists():
        return ""
    with file.open("rb") as log:
        log.seek(max(0, file.stat().st_size - LOG_BYTES))
        return log.read().decode("utf-8", errors="replace")


STANDS: dict[str, str] = {Guard.State.ACTIVE: "is live", Guard.State.CANDIDATE: "waits for somebody to promote it"}


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
    if pairs := summary.contrast(round):
        tail += f" Of {pairs['tried']} contrast pairs it confuses {pairs['confused']}; {pairs['brought']} come along."
    if now is None or now["average_precision"] is None:
        return f"{guard} is trained.{tail}"
    middle = f"reaches {now['average_precision']:.3f} average precision on the frozen set"
    if before and before["average_precision"] is not None:
        middle += f", {now['average_precision'] - before['average_precision']:+.3f} against {round.guard_before}"
    if why := summary.stop(round):
        tail += f" Another round by this recipe will hardly pay: {why}. Change the recipe, bring other seeds, or stop."
    return f"{guard} {middle}, and {STANDS.get(guard.state, f'is {guard.state}')}.{tail}"
