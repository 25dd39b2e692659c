"""How much of what a person reads: pauses, limits, and what is not for them now.

The queue asks `pause` whether to hand out anything, and `care_for` what to leave out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from curation.models import OptOut, Project, ReviewRules

if TYPE_CHECKING:
    from django.contrib.auth.models import User


@dataclass(frozen=True, slots=True)
class Pause:
    """Nothing is handed out now, and why: break, budget, paused, exam or limit."""

    kind: str
    message: str


@dataclass(frozen=True, slots=True)
class Care:
    """What a claim leaves out: categories, and severe ones beyond `severe_left` (None sets no limit)."""

    avoid: frozenset[str] = frozenset()
    severe: frozenset[str] = frozenset()
    severe_left: int | None = None


def pause(project: Project, reviewer: User, rules: ReviewRules) -> Pause | None:
    """Why this person gets nothing now; None where they do."""
    return None


def care_for(project: Project, reviewer: User, rules: ReviewRules) -> Care:
    """What to leave out of this person's queue. Nobody is told what they opted out of."""
    mine = OptOut.objects.filter(user=reviewer, project=project).values_list("category", flat=True)
    return Care(avoid=frozenset(mine))
