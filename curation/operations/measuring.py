"""Measuring guards on frozen sets: figures, and the score of every row for curves, slices and gates."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.db import transaction

from curation.models import Evaluation, EvaluationSet, FrozenRows, Guard, Job, Project, Round, RowScores
from curation.operations import evaluation

if TYPE_CHECKING:
    from django.contrib.auth.models import User

    from curation.operations.jobs import Attempt

Pair = tuple[Guard, EvaluationSet]


@dataclass(frozen=True)
class Measurement:
    """What a program found for one guard on one set."""

    guard: Guard
    on: EvaluationSet
    metrics: dict[str, Any]
    scores: list[float]  # in the order of the set's rows
    columns: dict[str, list[Any]]


def sets_up_to(round: Round) -> list[EvaluationSet]:
    """The frozen sets of a round and of the rounds before it, its own first."""
    used = EvaluationSet.objects.filter(rounds__project=round.project, rounds__number__lte=round.number).distinct()
    return sorted(used, key=lambda one: (one.pk != round.evaluation_set_id, -one.pk))


def missing(guards: Iterable[Guard], sets: Sequence[EvaluationSet]) -> list[Pair]:
    """Which of these guards have no scores yet on which of these sets."""
    done = set(
        RowScores.objects.filter(evaluation__evaluation_set__in=sets).values_list(
            "evaluation__guard", "evaluation__evaluation_set"
        )
    )
    return [(guard, one) for guard in guards for one in sets if (guard.pk, one.pk) not in done]


def measure(attempt: Attempt, pairs: Sequence[Pair]) -> list[Measurement]:
    """Run the program that measures, once for each pair."""
    return [_measure(attempt, guard, one) for guard, one in pairs]


def _measure(attempt: Attempt, guard: Guard, one: EvaluationSet) -> Measurement:
    rows = evaluation.read(one)
    request = {"settings": {"model": str(settings.ARTIFACTS_DIR / guard.path)}}
    part = f"guard-{guard.number}-on-{one.pk}"
    folder = attempt.run(["classifier", "evaluate"], request, {"input.parquet": rows}, part)
    found = {str(row["id"]): float(row["unsafe"]) for row in folder.rows("output.parquet")}
    return Measurement(guard, one, folder.metrics(), [found[str(row["id"])] for row in rows], columns_of(rows))


def columns_of(rows: Sequence[dict[str, Any]]) -> dict[str, list[Any]]:
    """What the rows of a set are, without their texts."""
    labels: dict[str, set[str]] = defaultdict(set)
    for row in rows:
        labels[row["family"]].add(row["label"])
    return {
        "ids": [int(row["id"]) for row in rows],
        "unsafe": [row["label"] == "unsafe" for row in rows],
        "words": [len(row["text"].split()) for row in rows],
        "languages": [row["language"] for row in rows],
        "categories": [" ".join(row["categories"] or ()) for row in rows],
        "twins": [row["label"] == "safe" and len(labels[row["family"]]) == 2 for row in rows],
    }


def store(job: Job, found: Sequence[Measurement]) -> None:
    """Keep measurements, in the caller's transaction."""
    for one in found:
        FrozenRows.objects.get_or_create(evaluation_set=one.on, defaults=one.columns)
        kept, _ = Evaluation.objects.update_or_create(
            guard=one.guard, evaluation_set=one.on, defaults={"job": job, "metrics": one.metrics}
        )
        RowScores.objects.update_or_create(evaluation=kept, defaults={"values": one.scores})


def gaps(project: Project) -> list[Pair]:
    """Which guards of a project were not measured, row by row, on which of its frozen sets."""
    return missing(project.guards.order_by("number"), list(project.evaluation_sets.order_by("pk")))


def fill_gaps(project: Project, by: User | None) -> Job:
    """Have every guard measured on every frozen set where it was not."""
    with transaction.atomic():
        return Job.objects.enqueue(Job.Kind.MEASURE, project, by=by)


def measure_all(attempt: Attempt) -> None:
    """The job of `fill_gaps`: each measurement is kept as soon as it is there."""
    from curation.operations.jobs import finish

    pairs = gaps(attempt.job.project)
    for number, (guard, one) in enumerate(pairs):
        attempt.check()
        attempt.job.message = f"{guard} on {one.name}"
        found = measure(attempt, [(guard, one)])
        with transaction.atomic():
            attempt.job.fence()
            store(attempt.job, found)
        attempt.report(number + 1, len(pairs), f"{guard} on {one.name}")
    with transaction.atomic():
        attempt.job.fence()
        finish(attempt)
