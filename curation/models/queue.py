"""Who holds what until when: leases, and the batches that a lead cuts from a filter.

At most one live lease per example and slot, and per example and person: partial unique indexes say so, whatever the
code does. Time is always the database's.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from curation.models.example import Example
from curation.models.project import Project
from curation.models.rules import ReviewRules

if TYPE_CHECKING:
    from django.contrib.auth.models import User


USE_UP = """
UPDATE curation_lease SET closed_at = statement_timestamp(), ended = %(how)s
WHERE example_id = %(example)s AND reviewer_id = %(reviewer)s AND closed_at IS NULL
AND (%(lease)s::bigint IS NULL OR id = %(lease)s) RETURNING *
"""


class Purpose(models.TextChoices):
    QUEUE = "queue"
    GOLD = "gold"
    EXAM = "exam"
    ADJUDICATION = "adjudication"


class Batch(models.Model):
    """A part of the queue that a lead cut from a filter, for some people or for the pool."""

    project = models.ForeignKey(Project, on_delete=models.PROTECT, related_name="batches")
    name = models.CharField(max_length=120)
    filter = models.JSONField(default=dict, help_text="typed columns and their values; never a text search")
    overlap = models.PositiveSmallIntegerField(null=True, validators=[MinValueValidator(1), MaxValueValidator(5)])
    order = models.CharField(max_length=12, choices=ReviewRules.Order.choices, blank=True)
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)
    closed_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["-id"]
        verbose_name_plural = "batches"
        constraints = [models.UniqueConstraint(fields=["project", "name"], name="batch_name_once")]

    def __str__(self) -> str:
        return self.name


class Assignment(models.Model):
    """One person's share of a batch: a fixed quota, or a weight in what is left."""

    batch = models.ForeignKey(Batch, on_delete=models.PROTECT, related_name="assignments")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="assignments")
    weight = models.PositiveSmallIntegerField(default=1)
    quota = models.PositiveIntegerField(null=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["batch", "user"], name="assigned_once")]

    def __str__(self) -> str:
        return f"{self.user_id} in batch {self.batch_id}"


class BatchItem(models.Model):
    """One example of a batch for one person; without a person it lies in the pool."""

    batch = models.ForeignKey(Batch, on_delete=models.PROTECT, related_name="items")
    example = models.ForeignKey(Example, on_delete=models.PROTECT, related_name="batch_items")
    assignee = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, related_name="+")

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["batch", "example", "assignee"], name="batch_item_once", nulls_distinct=False
            )
        ]
        indexes = [
            models.Index(fields=["assignee", "batch", "example"], name="batch_item_person"),
            models.Index(fields=["example"], name="batch_item_example"),
        ]

    def __str__(self) -> str:
        return f"example {self.example_id} in batch {self.batch_id}"


class LeaseQuerySet(models.QuerySet["Lease"]):
    def open(self) -> LeaseQuerySet:
        """Leases that nothing ended; one may have run out all the same."""
        return self.filter(closed_at=None)

    def live(self) -> LeaseQuerySet:
        """Leases that still hold, by the database's clock."""
        return self.open().filter(expires_at__gt=Now())

    def expired(self) -> LeaseQuerySet:
        """Leases that ran out and that nobody closed yet."""
        return self.open().filter(expires_at__lte=Now())

    def of(self, reviewer: User, project: Project) -> LeaseQuerySet:
        return self.filter(reviewer=reviewer, project=project)

    def end(self, how: str) -> int:
        """Close what is open of the set; return how many."""
        return self.open().update(closed_at=Now(), ended=how)

    def use_up(self, example: Example, reviewer: User, how: str, pk: int | None = None) -> Lease | None:
        """Close the reviewer's open lease on the example, this one where one is named; return it, or None."""
        values = {"example": example.pk, "reviewer": reviewer.pk, "how": how, "lease": pk}
        return next(iter(self.raw(USE_UP, values)), None)

    def extend(self, seconds: int, **changes: Any) -> int:
        """Let what is live of the set run for `seconds` from now; return how many."""
        return self.live().update(expires_at=Now() + timedelta(seconds=seconds), **changes)


class Lease(models.Model):
    """One example in the hands of one person for a while."""

    class End(models.TextChoices):
        VERDICT = "verdict"
        SKIPPED = "skipped"
        EXPIRED = "expired"
        RELEASED = "released"  # by a lead, or because the person or the example left
        RETURNED = "returned"

    # One is written and ended at every claim and verdict, so what is closed has few indexes.
    project = models.ForeignKey(Project, on_delete=models.PROTECT, related_name="leases", db_index=False)
    example = models.ForeignKey(Example, on_delete=models.PROTECT, related_name="leases")
    slot = models.PositiveSmallIntegerField(default=1, help_text="1 to the overlap")
    reviewer = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="leases", db_index=False
    )
    batch = models.ForeignKey(Batch, null=True, on_delete=models.PROTECT, related_name="leases", db_index=False)
    purpose = models.CharField(max_length=12, choices=Purpose.choices, default=Purpose.QUEUE)
    held = models.BooleanField(default=False, help_text="kept for hours, as while one asks a colleague")
    granted_at = models.DateTimeField(db_default=Now())
    expires_at = models.DateTimeField()
    closed_at = models.DateTimeField(null=True)
    ended = models.CharField(max_length=10, choices=End.choices, blank=True)

    objects = LeaseQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["example", "slot"], condition=Q(closed_at=None, purpose="queue"), name="one_live_lease_a_slot"
            ),
            models.UniqueConstraint(
                fields=["example", "reviewer"], condition=Q(closed_at=None), name="one_live_lease_a_person"
            ),
            models.CheckConstraint(
                condition=Q(closed_at=None, ended="") | (Q(closed_at__isnull=False) & ~Q(ended="")),
                name="an_ended_lease_says_how",
            ),
        ]
        indexes = [
            models.Index(fields=["project", "expires_at"], condition=Q(closed_at=None), name="lease_expiry"),
            models.Index(fields=["reviewer", "project", "id"], condition=Q(closed_at=None), name="lease_hand"),
            models.Index(fields=["batch"], condition=Q(batch__isnull=False), name="lease_batch"),
        ]
        ordering = ["id"]

    def __str__(self) -> str:
        return f"lease {self.pk} of example {self.example_id}"
