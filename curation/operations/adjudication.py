"""Disputed examples: opened by disagreement or by escalation, closed by the verdict that settles them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db.models.functions import Now

from curation.models import Adjudication, Example

if TYPE_CHECKING:
    from django.contrib.auth.models import User


def open_for(example: Example, by: User | None = None) -> Adjudication:
    """Open the adjudication of an example that has just become disputed. The caller holds its lock."""
    return Adjudication.objects.create(project_id=example.project_id, example=example, opened_by=by)


def withdraw(example: Example) -> None:
    """Close what is open without a verdict: the disagreement was taken back. The caller holds the example's lock."""
    Adjudication.objects.filter(example=example, closed_at=None).update(closed_at=Now(), note="taken back")
