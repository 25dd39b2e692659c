"""What a lead must know at a glance: what needs a decision, where the rounds stand, how the last guards do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.db.models import Count, Q
from django.urls import reverse

from curation.models import Example, Flag, Guard, Job, Project, Round
from curation.models.project import ADJUDICATORS, LEADS
from curation.operations import agreement, guards

SHOWN = 4  # rounds, and guards: the active one against the last three
CAPPED = 10_000  # waiting examples: counting further tells nobody more


@dataclass(frozen=True)
class Decision:
    """Something that waits for a person with a say."""

    words: str
    why: str
    address: str
    urgent: bool = False


def decisions(project: Project, role: str | None) -> list[Decision]:
    """What waits for a decision now of somebody with this role, the most urgent first."""
    found = [*_of_round(project), *_of_guards(project)]
    found += _of_disputes(project) if role in ADJUDICATORS else []
    found += _of_flags(project) if role in LEADS else []
    return sorted(found, key=lambda one: not one.urgent)


def _of_round(project: Project) -> list[Decision]:
    round = project.rounds.open().first()
    if round is None:
        return []
    address, job = reverse("round", args=[project.slug, round.number]), round.current_job
    if job and job.has_failed:
        return [Decision(f"{round}: the {job.kind} step failed", job.error, address, urgent=True)]
    if round.paused_at:
        return [Decision(f"{round} is paused", "It goes on where it stopped when you resume it.", address)]
    done = not round.examples.filter(state=Example.State.QUEUED).exists()
    if round.state == Round.State.REVIEWING and round.review == Round.Review.PEOPLE and done:
        return [Decision(f"{round}: everything is judged", "Finish the review, and the next guard trains.", address)]
    return []


def _of_guards(project: Project) -> list[Decision]:
    found = []
    for guard in project.guards.filter(state=Guard.State.CANDIDATE).order_by("-number")[:1]:
        broken = [check.rule for check in guards.checks(guard) if check.passed is False]
        why = f"It breaks: {', '.join(broken)}." if broken else "It holds every rule for going live."
        address = reverse("guard", args=[project.slug, guard.number])
        found.append(Decision(f"{guard} waits for promotion", why, f"{address}#gate"))
    return found


def _of_disputes(project: Project) -> list[Decision]:
    disputes = project.examples.filter(state=Example.State.DISPUTED)[:CAPPED].count()
    address = reverse("quality-disputes", args=[project.slug])
    why = "People differ on them, or somebody passed them on. Settle them."
    return [Decision(_counted(disputes, "disputed"), why, address)] if disputes else []


def _of_flags(project: Project) -> list[Decision]:
    flags = Flag.objects.filter(example__project=project, resolved_at=None)[:CAPPED].count()
    address = f"{reverse('examples', args=[project.slug])}?flagged=yes"
    return [Decision(_counted(flags, "flagged"), "Reviewers ask you to look at them.", address)] if flags else []


def _counted(many: int, what: str) -> str:
    return f"{many:,} {what} example{'' if many == 1 else 's'}"


def rounds_table(project: Project) -> list[dict[str, Any]]:
    """The newest rounds with their counts, one statement for all of them."""
    state = Example.State
    counted = project.rounds.exclude(state=Round.State.DRAFT).annotate(
        made=Count("examples"), dropped=Count("examples", filter=Q(examples__state=state.FILTERED)),
        waiting=Count("examples", filter=Q(examples__state=state.QUEUED)),
        accepted=Count("examples", filter=Q(examples__state=state.ACCEPTED)),
        rejected=Count("examples", filter=Q(examples__state=state.REJECTED)),
    )  # fmt: skip
    rows = counted.select_related("guard").order_by("-number")[:SHOWN]
    return [{"round": row, "keep": _kept(vars(row))} for row in rows]


def _kept(counted: Mapping[str, Any]) -> float | None:
    made: int = counted["made"]
    return (made - counted["dropped"]) / made if made else None


def guards_table(project: Project) -> list[dict[str, Any]]:
    """The active guard, and the three newest others, on the newest set that the active one was measured on."""
    active = guards.active_of(project)
    newest = active.evaluations.order_by("-pk").first() if active else None
    if active is None or newest is None:
        return []
    others = project.guards.exclude(pk=active.pk).order_by("-number")[: SHOWN - 1]
    one = newest.evaluation_set
    return [{"guard": guard, "metrics": guard.metrics_on(one) or {}, "set": one} for guard in [active, *others]]


def alpha(project: Project) -> dict[str, Any] | None:
    """Krippendorff's alpha of the label, where it was computed."""
    job: Job | None = agreement.measured(project)
    if job is None:
        return None
    figures: list[dict[str, Any]] = job.metrics.get("result", {}).get("aspects", [])
    return next((one["alpha"] for one in figures if not one["aspect"]), None)
