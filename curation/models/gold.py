"""Questions with a known answer, exams, and who is paused for answering too many of them wrong."""

from __future__ import annotations

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models

from curation.models.example import Example, Label
from curation.models.project import Project


class GoldQuestion(models.Model):
    """An example whose right answer is known; delivered like any other."""

    class Source(models.TextChoices):
        AGREED = "agreed"
        LEAD = "lead"

    project = models.ForeignKey(Project, on_delete=models.PROTECT, related_name="gold_questions")
    example = models.OneToOneField(Example, on_delete=models.PROTECT, related_name="gold")
    label = models.CharField(max_length=6, choices=Label.choices, blank=True, help_text="empty: it is to be rejected")
    categories = ArrayField(models.CharField(max_length=60), default=list, blank=True)
    explanation = models.CharField(max_length=1000, blank=True)
    source = models.CharField(max_length=8, choices=Source.choices)
    active = models.BooleanField(default=True)
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        indexes = [models.Index(fields=["project", "active", "id"], name="gold_active")]
        ordering = ["id"]

    def __str__(self) -> str:
        return f"gold question of example {self.example_id}"


class ExamAttempt(models.Model):
    """One finished exam. Append-only."""

    project = models.ForeignKey(Project, on_delete=models.PROTECT, related_name="exam_attempts")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="exam_attempts")
    category = models.CharField(max_length=60, blank=True, help_text="empty: over all categories")
    right = models.PositiveSmallIntegerField()
    total = models.PositiveSmallIntegerField()
    passed = models.BooleanField()
    at = models.DateTimeField(auto_now_add=True)

    class Meta:
        indexes = [models.Index(fields=["project", "user", "-id"], name="exam_person")]
        ordering = ["id"]

    def __str__(self) -> str:
        return f"exam of user {self.user_id}: {self.right} of {self.total}"


class Standing(models.Model):
    """How one person stands in one project: reviewing, or paused with a reason."""

    project = models.ForeignKey(Project, on_delete=models.PROTECT, related_name="standings")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="standings")
    weight = models.FloatField(default=1.0, help_text="of this person's verdicts, where a lead weighs them")
    paused_at = models.DateTimeField(null=True)
    reason = models.CharField(max_length=300, blank=True)
    resumed_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, related_name="+")
    resumed_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["project", "user"], name="standing_once")]

    def __str__(self) -> str:
        return f"standing of user {self.user_id} in {self.project_id}"

    @property
    def is_paused(self) -> bool:
        """A pause rule, or a lead, stopped this person, and nobody let them go on since."""
        return self.paused_at is not None
