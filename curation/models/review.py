"""Verdicts: an append-only log. An edit or an undo is a new row that supersedes an older one.

With them what people do to an example beside judging it: revise its text, flag it, comment on it.
"""

from __future__ import annotations

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from curation.models.example import Example, Label
from curation.models.policy import PolicyVersion
from curation.models.project import Project
from curation.models.queue import Lease, Purpose

MAX_COMMENT = 4_000  # characters


class BulkAct(models.Model):
    """Many verdicts given in one act, which one undo takes back."""

    project = models.ForeignKey(Project, on_delete=models.PROTECT, related_name="bulk_acts")
    reviewer = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="bulk_acts")
    key = models.UUIDField(help_text="the same key is the same act")
    body_hash = models.CharField(max_length=64)
    count = models.PositiveIntegerField(default=0)
    answer = models.JSONField(default=dict)
    created_at = models.DateTimeField(db_default=Now())
    undone_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["reviewer", "key"], name="bulk_act_once")]
        indexes = [models.Index(fields=["reviewer", "project", "-id"], name="bulk_act_newest")]
        ordering = ["id"]

    def __str__(self) -> str:
        return f"bulk act {self.pk} of {self.count}"


class VerdictQuerySet(models.QuerySet["Verdict"]):
    def current(self) -> VerdictQuerySet:
        """Verdicts that nothing superseded; withdrawals are not verdicts."""
        return self.filter(superseded_by=None).exclude(decision=Verdict.Decision.WITHDRAW)

    def counted(self) -> VerdictQuerySet:
        """What consensus is made of: people's current verdicts from the queue; a skip is none, an exam neither."""
        return self.current().by_people().filter(purpose=Purpose.QUEUE).exclude(decision=Verdict.Decision.SKIP)

    def by_people(self) -> VerdictQuerySet:
        return self.filter(maker=Verdict.Maker.PERSON)

    def by_machine(self) -> VerdictQuerySet:
        return self.filter(maker=Verdict.Maker.MACHINE)


class Verdict(models.Model):
    """What a person, or a machine under automatic review, decided about an example."""

    class Decision(models.TextChoices):
        ACCEPT = "accept"
        REJECT = "reject"
        RELABEL = "relabel"
        SKIP = "skip"
        ESCALATE = "escalate"  # a lead or adjudicator shall decide
        WITHDRAW = "withdraw"

    class Maker(models.TextChoices):
        PERSON = "person"
        MACHINE = "machine"

    # Written all day and read by few paths, so only those have an index: see Meta.
    example = models.ForeignKey(Example, on_delete=models.PROTECT, related_name="verdicts", db_index=False)
    reviewer = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, related_name="verdicts", db_index=False
    )
    maker = models.CharField(max_length=8, choices=Maker.choices)
    job = models.ForeignKey(
        "curation.Job", null=True, on_delete=models.PROTECT, related_name="verdicts", db_index=False
    )
    decision = models.CharField(max_length=8, choices=Decision.choices)
    label = models.CharField(max_length=6, choices=Label.choices, blank=True)
    categories = ArrayField(models.CharField(max_length=60), default=list, blank=True)
    reason = models.CharField(max_length=500, blank=True)
    seconds = models.FloatField(null=True, help_text="time on the example, as the browser saw it")
    active_seconds = models.FloatField(null=True, help_text="of those, visible and touched: what speed is made of")
    confidence = models.PositiveSmallIntegerField(null=True, help_text="1 unsure to 3 sure")
    cause = models.CharField(max_length=16, blank=True, help_text="why verdicts disagreed, where this one settles it")
    purpose = models.CharField(max_length=12, choices=Purpose.choices, default=Purpose.QUEUE)
    version = models.PositiveIntegerField(default=1, help_text="of the text that was judged")
    lease = models.ForeignKey(Lease, null=True, on_delete=models.PROTECT, related_name="verdicts")
    bulk = models.ForeignKey(BulkAct, null=True, on_delete=models.PROTECT, related_name="verdicts", db_index=False)
    # Sent twice, it counts once: the same key and body get the stored answer again.
    idempotency_key = models.UUIDField(null=True)
    body_hash = models.CharField(max_length=64, blank=True)
    answer = models.JSONField(null=True)
    policy_version = models.ForeignKey(PolicyVersion, on_delete=models.PROTECT, related_name="+", db_index=False)
    supersedes = models.OneToOneField(
        "self", null=True, on_delete=models.PROTECT, related_name="superseded_by", db_constraint=True
    )
    created_at = models.DateTimeField(auto_now_add=True)

    objects = VerdictQuerySet.as_manager()

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(maker="person", reviewer__isnull=False) | Q(maker="machine", reviewer__isnull=True),
                name="a_person_is_named_a_machine_is_not",
            ),
            models.UniqueConstraint(
                fields=["example"], condition=Q(maker="machine"), name="machine_judges_once"
            ),
            models.UniqueConstraint(fields=["reviewer", "idempotency_key"], name="a_key_is_one_verdict"),
            models.CheckConstraint(
                condition=Q(confidence=None) | Q(confidence__range=(1, 3)), name="confidence_1_to_3"
            ),
        ]  # fmt: skip
        indexes = [
            models.Index(fields=["example", "id"]),
            models.Index(fields=["reviewer", "-id"]),
            models.Index(fields=["reviewer", "created_at"], name="verdict_reviewer_time"),
            models.Index(fields=["job"], condition=Q(job__isnull=False), name="verdict_job"),
            models.Index(fields=["bulk"], condition=Q(bulk__isnull=False), name="verdict_bulk"),
        ]
        ordering = ["id"]

    def __str__(self) -> str:
        return f"{self.decision} of example {self.example_id}"


class Revision(models.Model):
    """How an example's text read in one version. Append-only; number 1 is the original."""

    example = models.ForeignKey(Example, on_delete=models.PROTECT, related_name="revisions")
    number = models.PositiveIntegerField()
    text = models.TextField()
    by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, related_name="+", help_text="none for its maker"
    )
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [models.UniqueConstraint(fields=["example", "number"], name="revision_once")]
        ordering = ["example", "number"]

    def __str__(self) -> str:
        return f"revision {self.number} of example {self.example_id}"


class Flag(models.Model):
    """Somebody wants the lead to look at this."""

    example = models.ForeignKey(Example, on_delete=models.PROTECT, related_name="flags")
    by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    note = models.CharField(max_length=500, blank=True)
    created_at = models.DateTimeField(db_default=Now())
    resolved_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, related_name="+")
    resolved_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["example"], condition=Q(resolved_at=None), name="one_open_flag")]
        ordering = ["id"]

    def __str__(self) -> str:
        return f"flag of example {self.example_id}"


class Comment(models.Model):
    """What somebody said about an example. Append-only."""

    example = models.ForeignKey(Example, on_delete=models.PROTECT, related_name="comments")
    by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    text = models.CharField(max_length=MAX_COMMENT)
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        indexes = [models.Index(fields=["example", "id"], name="comment_example")]
        ordering = ["id"]

    def __str__(self) -> str:
        return f"comment {self.pk} on example {self.example_id}"
