"""What happened: state moves and acts. Append-only; a trigger in the first migration refuses anything else."""

from __future__ import annotations

from django.conf import settings
from django.db import models


class Move(models.Model):
    """One change of state, or one bulk change with its count."""

    subject = models.CharField(max_length=80, help_text="model:id, or model:* with a scope for a bulk move")
    scope = models.CharField(max_length=80, blank=True, help_text="what a bulk move covered, as round:7")
    old = models.CharField(max_length=20)
    new = models.CharField(max_length=20)
    count = models.PositiveIntegerField(default=1)
    by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, related_name="+", db_index=False
    )
    at = models.DateTimeField(auto_now_add=True)
    note = models.CharField(max_length=500, blank=True, help_text="why; never text of an example")

    class Meta:
        indexes = [models.Index(fields=["subject", "id"]), models.Index(fields=["scope", "id"])]
        ordering = ["id"]

    def __str__(self) -> str:
        return f"{self.subject}: {self.old} → {self.new}"


class AuditEntry(models.Model):
    """An act of a person that is not a state move: import, export, membership, sign-in."""

    project = models.ForeignKey("curation.Project", null=True, on_delete=models.PROTECT, related_name="audit")
    actor = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, related_name="+")
    action = models.CharField(max_length=60, help_text="a verb with its noun, as seeds-imported")
    subject = models.CharField(max_length=80, blank=True)
    detail = models.JSONField(default=dict, help_text="counts and ids; never text of an example")
    at = models.DateTimeField(auto_now_add=True)
    # A chain without a gap; a trigger sets these at every insertion, whoever inserts. See operations/audit.py.
    link = models.PositiveBigIntegerField(null=True, unique=True, editable=False)
    previous = models.CharField(max_length=64, blank=True, editable=False)
    hash = models.CharField(max_length=64, blank=True, editable=False)

    class Meta:
        indexes = [models.Index(fields=["project", "-id"])]
        ordering = ["-id"]
        verbose_name_plural = "audit entries"

    def __str__(self) -> str:
        return f"{self.action} {self.subject}".strip()

    @property
    def act(self) -> str:
        """The action as words."""
        return self.action.replace("-", " ")
