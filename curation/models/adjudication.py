"""Disagreement, and who settled it why."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from curation.models.example import Example
from curation.models.project import Project
from curation.models.review import Verdict


class Adjudication(models.Model):
    """One disputed example, from the disagreement to the verdict that settles it."""

    class Cause(models.TextChoices):
        AMBIGUOUS = "ambiguous-text", "Ambiguous text"
        GUIDELINE = "guideline-gap", "Gap in the guideline"
        REVIEWER = "reviewer-error", "Reviewer's error"
        EDGE = "edge-case", "Edge case"
        SUBJECTIVE = "subjective", "Subjective"

    project = models.ForeignKey(Project, on_delete=models.PROTECT, related_name="adjudications")
    example = models.ForeignKey(Example, on_delete=models.PROTECT, related_name="adjudications")
    opened_at = models.DateTimeField(db_default=Now())
    opened_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, related_name="+",
        help_text="who escalated it; none where verdicts disagree",
    )  # fmt: skip
    closed_at = models.DateTimeField(null=True)
    verdict = models.OneToOneField(Verdict, null=True, on_delete=models.PROTECT, related_name="adjudication")
    cause = models.CharField(max_length=16, choices=Cause.choices, blank=True)
    confidence = models.PositiveSmallIntegerField(null=True)
    note = models.CharField(max_length=1000, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["example"], condition=Q(closed_at=None), name="one_open_adjudication"),
            models.CheckConstraint(
                condition=Q(confidence=None) | Q(confidence__range=(1, 3)), name="adjudication_confidence_1_to_3"
            ),
        ]
        indexes = [models.Index(fields=["project", "opened_at"], condition=Q(closed_at=None), name="adjudication_open")]
        ordering = ["id"]

    def __str__(self) -> str:
        return f"adjudication of example {self.example_id}"
