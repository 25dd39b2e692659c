"""Rounds that are being prepared, and texts that jobs let one look at before they are candidates."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models

from curation.models.example import Label
from curation.models.project import Project
from curation.models.round import Recipe, Round

if TYPE_CHECKING:
    from curation.models.job import Job

PRICE = [MinValueValidator(0), MaxValueValidator(100_000)]


class Plan(models.Model):
    """What a lead chose so far in the wizard. Starting it makes a round; what it says then stands in the round."""

    project = models.ForeignKey(Project, on_delete=models.PROTECT, related_name="plans")
    recipe = models.JSONField(default=dict)
    from_recipe = models.ForeignKey(Recipe, null=True, on_delete=models.PROTECT, related_name="+")
    review = models.CharField(max_length=8, choices=Round.Review.choices, default=Round.Review.PEOPLE)
    machine_price = models.FloatField(default=0.0, validators=PRICE, help_text="of an hour of the machine")
    person_price = models.FloatField(default=0.0, validators=PRICE, help_text="of an hour of a reviewer")
    round = models.ForeignKey(Round, null=True, on_delete=models.PROTECT, related_name="plans")
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["id"]

    def __str__(self) -> str:
        return f"Plan {self.pk}"

    @property
    def subject(self) -> str:
        """How jobs name what they are for."""
        return f"plan:{self.pk}"

    @property
    def preview(self) -> Job | None:
        """The newest job that wrote a few texts by this plan's recipe."""
        return self.jobs.order_by("-pk").first()


class Sample(models.Model):
    """A text that a job wrote, kept to look at while the job runs or before a round is started. Never a candidate."""

    job = models.ForeignKey("curation.Job", on_delete=models.CASCADE, related_name="samples")
    number = models.PositiveIntegerField()
    stage = models.CharField(max_length=60)
    text = models.TextField()
    label = models.CharField(max_length=6, choices=Label.choices)
    categories = ArrayField(models.CharField(max_length=60), default=list)
    parent = models.ForeignKey("curation.Example", null=True, on_delete=models.PROTECT, related_name="+")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["job", "number"], name="sample_once")]
        ordering = ["job", "number"]

    def __str__(self) -> str:
        return f"sample {self.number} of {self.job}"  # never its text
