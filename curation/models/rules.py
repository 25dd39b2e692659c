"""How a project reviews. One row a project, made on first use; leads change it."""

from __future__ import annotations

from django.conf import settings
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Q

from curation.models.project import Project

NEVER = 5  # a veil severity above the worst: nothing is veiled
SHARE = [MinValueValidator(0.0), MaxValueValidator(1.0)]


class ReviewRules(models.Model):
    """What the desk holds to in one project."""

    class Consensus(models.TextChoices):
        ONE = "one"
        MAJORITY = "majority"
        UNANIMOUS = "unanimous"

    class Order(models.TextChoices):
        INFORMATIVE = "informative"
        OLDEST = "oldest"
        RANDOM = "random"

    class SkipRule(models.TextChoices):
        MINE = "mine"  # it comes back to me when nothing else is left
        OTHERS = "others"
        RETIRE = "retire"

    project = models.OneToOneField(Project, on_delete=models.PROTECT, related_name="rules")
    # Who gets what.
    overlap = models.PositiveSmallIntegerField(
        default=1, validators=[MinValueValidator(1), MaxValueValidator(5)], help_text="verdicts an example needs"
    )
    consensus = models.CharField(max_length=10, choices=Consensus.choices, default=Consensus.ONE)
    blind = models.BooleanField(default=True, help_text="nobody sees the guard's score or others' verdicts before")
    order = models.CharField(max_length=12, choices=Order.choices, default=Order.INFORMATIVE)
    skip_rule = models.CharField(max_length=8, choices=SkipRule.choices, default=SkipRule.OTHERS)
    lease_seconds = models.PositiveIntegerField(
        default=900, validators=[MinValueValidator(30), MaxValueValidator(86_400)]
    )
    hold_seconds = models.PositiveIntegerField(
        default=4 * 3600, validators=[MinValueValidator(60), MaxValueValidator(7 * 86_400)]
    )
    prefetch = models.PositiveSmallIntegerField(default=5, validators=[MaxValueValidator(25)])
    bulk_allowed = models.BooleanField(default=True)
    bulk_adversarial = models.BooleanField(default=False)
    category_quotas = models.JSONField(
        default=dict, blank=True, help_text="decided examples wanted per category key; short ones come earlier"
    )
    # Agreement and care.
    gold_rate = models.FloatField(default=0.0, validators=[MinValueValidator(0.0), MaxValueValidator(0.5)])
    gold_feedback = models.BooleanField(default=False)
    gold_bar = models.FloatField(default=0.7, validators=SHARE)
    gold_window = models.PositiveSmallIntegerField(default=10, validators=[MinValueValidator(3)])
    exam_required = models.BooleanField(default=False)
    exam_size = models.PositiveSmallIntegerField(default=10, validators=[MinValueValidator(1)])
    exam_bar = models.FloatField(default=0.8, validators=SHARE)
    veil_severity = models.PositiveSmallIntegerField(
        default=3, validators=[MinValueValidator(1), MaxValueValidator(NEVER)], help_text="5 veils nothing"
    )
    severe_in_row = models.PositiveSmallIntegerField(default=3, help_text="0 sets no limit")
    severe_per_day = models.PositiveIntegerField(default=0, help_text="0 sets no limit")
    rotate_after_minutes = models.PositiveSmallIntegerField(default=0, help_text="0 does not rotate categories")
    break_after_minutes = models.PositiveSmallIntegerField(default=45, help_text="0 never asks")
    daily_budget_minutes = models.PositiveSmallIntegerField(default=0, help_text="0 sets no limit")
    end_on_harmless = models.PositiveSmallIntegerField(default=3)
    support = models.TextField(blank=True, help_text="where help is: plain text and addresses")
    flag_note = models.CharField(max_length=300, blank=True, help_text="what a flag is for, in this project's words")
    changed_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, related_name="+")
    changed_at = models.DateTimeField(auto_now=True)

    class Meta:
        verbose_name_plural = "review rules"
        constraints = [
            models.CheckConstraint(condition=Q(overlap__range=(1, 5)), name="overlap_1_to_5"),
            models.CheckConstraint(condition=Q(gold_rate__gte=0, gold_rate__lte=0.5), name="gold_rate_up_to_half"),
        ]

    def __str__(self) -> str:
        return f"review rules of {self.project_id}"

    @property
    def one_gold_in(self) -> int:
        """One text in how many is a known question, on average; 0 where none is."""
        return round(1 / self.gold_rate) if self.gold_rate else 0

    @property
    def one_decides(self) -> bool:
        """The first verdict is enough, so nobody gets what somebody else holds."""
        return self.consensus == self.Consensus.ONE
