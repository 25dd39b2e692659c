"""Guards: promote one, retire the one before."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db import transaction

from curation.models import Guard, IllegalMove, Job, Project
from curation.operations import Refused, priority, serving

if TYPE_CHECKING:
    from django.contrib.auth.models import User


def promote(guard: Guard, by: User | None, note: str = "") -> None:
    """Make a guard the project's active one; the active one before retires in the same transaction.

    Raises:
        Refused: it was not evaluated, or is active already.
    """
    with transaction.atomic():
        Project.objects.select_for_update().get(pk=guard.project_id)
        for active in Guard.objects.filter(project=guard.project_id, state=Guard.State.ACTIVE).exclude(pk=guard.pk):
            active.move_to(Guard.State.RETIRED, by=by, note=f"replaced by {guard}")
        try:
            guard.move_to(Guard.State.ACTIVE, by=by, note=note)
        except IllegalMove:
            raise Refused(
                f"{guard} is {guard.state}; only an evaluated guard that is not active can go live."
            ) from None
        serving.changed(guard.project)
        if priority.unscored(guard.project).exists():
            Job.objects.enqueue(Job.Kind.PRIORITIZE, guard.project, by=by)  # another guard is torn elsewhere


def is_better(guard: Guard, before: Guard | None) -> bool:
    """Whether a guard may replace the one before by itself: higher average precision on the same frozen set."""
    if before is None:
        return True
    frozen = guard.round.evaluation_set
    new, old = guard.metrics_on(frozen), before.metrics_on(frozen)
    return bool(new and old and new["average_precision"] > old["average_precision"])
