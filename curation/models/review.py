"""Verdicts: an append-only log. An edit or an undo is a new row that supersedes an older one."""

from __future__ import annotations

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q

from curation.models.example import Example, Label
from curation.models.policy import PolicyVersion


class VerdictQuerySet(models.QuerySet["Verdict"]):
    def current(self) -> VerdictQuerySet:
        """Verdicts that nothing superseded; withdrawals are not verdicts."""
        return self.filter(superseded_by=None).exclude(decision=Verdict.Decision.WITHDRAW)

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
        WITHDRAW = "withdraw"

    class Maker(models.TextChoices):
        PERSON = "person"
        MACHINE = "machine"

    example = models.ForeignKey(Example, on_delete=models.PROTECT, related_name="verdicts")
    reviewer = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, related_name="verdicts")
    maker = models.CharField(max_length=8, choices=Maker.choices)
    job = models.ForeignKey("curation.Job", null=True, on_delete=models.PROTECT, related_name="verdicts")
    decision = models.CharField(max_length=8, choices=Decision.choices)
    label = models.CharField(max_length=6, choices=Label.choices, blank=True)
    categories = ArrayField(models.CharField(max_length=60), default=list, blank=True)
    reason = models.CharField(max_length=500, blank=True)
    seconds = models.FloatField(null=True, help_text="time on the example, as the browser saw it")
    policy_version = models.ForeignKey(PolicyVersion, on_delete=models.PROTECT, related_name="+")
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
        ]  # fmt: skip
        indexes = [
            models.Index(fields=["example", "id"]),
            models.Index(fields=["reviewer", "-id"]),
        ]
        ordering = ["id"]

    def __str__(self) -> str:
        return f"{self.decision} of example {self.example_id}"
