"""Questions with a known answer, mixed into the queue.

The queue asks `due` what to mix in; judging asks `feedback` before it stores the verdict and calls `judged` after, in
the same transaction.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from curation.models import Lease, Project, Purpose, ReviewRules, Verdict

if TYPE_CHECKING:
    from django.contrib.auth.models import User


def due(project: Project, reviewer: User, rules: ReviewRules, free: int) -> list[tuple[int, Purpose]]:
    """Ids of examples that this claim of `free` items shall mix in, each with what it is for. The queue leases them."""
    return []


def feedback(lease: Lease, decision: str, label: str, categories: list[str]) -> dict[str, Any] | None:
    """What the person is told after answering a known question; None where nothing is told."""
    return None


def judged(verdict: Verdict) -> None:
    """Note an answer to a known question: exams end, and who falls below the bar is paused."""
