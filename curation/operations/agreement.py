"""What several people's verdicts on one example come to, and how far people agree on all of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.db import transaction

from curation.models import Example, Job, Project, ReviewRules, Verdict
from curation.models.example import Label

if TYPE_CHECKING:
    from django.contrib.auth.models import User

    from curation.operations.jobs import Attempt

Consensus = ReviewRules.Consensus


@dataclass(frozen=True, slots=True)
class Outcome:
    """The state that the verdicts lead to, with the label where it is accepted."""

    state: str
    label: str = ""
    categories: tuple[str, ...] = ()


DISPUTED = Outcome(Example.State.DISPUTED)


def consensus(rules: ReviewRules, verdicts: Sequence[Verdict], needed: int | None = None) -> str | None:
    """The state that these counted verdicts lead to; None while more are needed."""
    outcome = fold(rules, verdicts, needed)
    return outcome.state if outcome else None


def needed_for(rules: ReviewRules, overlap: int | None = None) -> int:
    """How many verdicts decide: where one is enough, the overlap of the project or of the batch does not matter."""
    return 1 if rules.consensus == Consensus.ONE else overlap or rules.overlap


def fold(rules: ReviewRules, verdicts: Sequence[Verdict], needed: int | None = None) -> Outcome | None:
    """State, label and categories that these counted verdicts lead to; None while more are needed.

    Nobody decides early: stopping at the first majority would make agreement look better than it is.
    """
    if any(verdict.decision == Verdict.Decision.ESCALATE for verdict in verdicts):
        return DISPUTED
    needed = needed_for(rules, needed)
    if len(verdicts) < needed:
        return None
    least = {Consensus.ONE: 1, Consensus.MAJORITY: len(verdicts) // 2 + 1, Consensus.UNANIMOUS: len(verdicts)}
    return _agreed(verdicts, least[Consensus(rules.consensus)])


def _agreed(verdicts: Sequence[Verdict], least: int) -> Outcome:
    answer, votes = Counter(verdict.label for verdict in verdicts).most_common(1)[0]
    if votes < least:
        return DISPUTED
    if not answer:
        return Outcome(Example.State.REJECTED)
    if least == len(verdicts) > 1 and len({frozenset(verdict.categories) for verdict in verdicts}) > 1:
        return DISPUTED  # of one mind means in the categories too
    named = Counter(key for verdict in verdicts if verdict.label == answer for key in verdict.categories)
    categories = tuple(key for key, count in named.items() if count >= least)
    if answer == Label.UNSAFE and not categories:
        return DISPUTED  # they agree that it is harmful, and not on how
    return Outcome(Example.State.ACCEPTED, answer, categories)


# How far people agree


def measure_again(project: Project, by: User | None = None) -> Job:
    """Have the coefficients computed in the background; one that waits or runs already is returned instead."""
    with transaction.atomic():
        return Job.objects.enqueue(Job.Kind.AGREEMENT, project, by=by)


def measure(attempt: Attempt) -> None:
    """Run the program that measures agreement, and keep its figures with the job."""
    from curation.operations.jobs import finish

    job = attempt.job
    request = {"categories": job.project.policy_version.keys(), "settings": {"seed": job.pk}}
    folder = attempt.run(["pipeline", "agreement"], request, {"input.parquet": rows(job.project)})
    with transaction.atomic():
        job.fence()
        job.metrics = {**job.metrics, "result": folder.metrics()}
        job.current_attempt().update(metrics=job.metrics, done=job.total)
        finish(attempt)


def rows(project: Project) -> list[dict[str, Any]]:
    """Every counted verdict of a person as `pipeline.agreement` reads it. Another version of a text is another example.

    Known questions and exams are left out: they are chosen for being easy to agree on, or for being hard.
    """
    counted = Verdict.objects.counted().filter(example__project=project).exclude(decision=Verdict.Decision.ESCALATE)
    fields = ("example", "version", "example__family", "reviewer", "created_at", "label", "categories")
    return [
        {
            "example": f"{example}:{version}", "family": family, "person": person, "week": at.strftime("%G-W%V"),
            "label": label or "reject", "categories": list(categories),
        }
        for example, version, family, person, at, label, categories in counted.order_by("pk").values_list(*fields)
    ]  # fmt: skip


def measured(project: Project) -> Job | None:
    """The job that holds the newest figures; None where nobody computed any."""
    return project.jobs.filter(kind=Job.Kind.AGREEMENT, state=Job.State.DONE).order_by("-pk").first()


def under_way(project: Project) -> Job | None:
    """The newest job where it waits, runs or failed; None where its figures are there."""
    newest = project.jobs.filter(kind=Job.Kind.AGREEMENT).order_by("-pk").first()
    return newest if newest is not None and (newest.is_live or newest.has_failed) else None
