"""Releases: datasets that never change once they are out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.conf import settings
from django.db import models

from curation.models.project import Project

if TYPE_CHECKING:
    from django.contrib.auth.models import User


class ReleaseQuerySet(models.QuerySet["Release"]):
    def visible_to(self, user: User) -> ReleaseQuerySet:
        """Releases of projects that the user is a member of."""
        return self.filter(project__memberships__user=user)


class Release(models.Model):
    """A frozen dataset. Its digest is that of its rows; empty while its job still writes it."""

    project = models.ForeignKey(Project, on_delete=models.PROTECT, related_name="releases")
    round = models.ForeignKey("curation.Round", null=True, on_delete=models.PROTECT, related_name="releases")
    number = models.PositiveIntegerField()
    digest = models.CharField(max_length=64, blank=True)
    path = models.CharField(max_length=300, blank=True, help_text="folder under the artifact root")
    files = models.JSONField(default=list, help_text="name, bytes and sha256 of each file")
    counts = models.JSONField(default=dict)
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)
    released_at = models.DateTimeField(null=True)

    objects = ReleaseQuerySet.as_manager()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["project", "number"], name="release_number_once")]
        ordering = ["project", "number"]

    def __str__(self) -> str:
        return f"Release {self.number}"

    @property
    def is_ready(self) -> bool:
        """All files are written and the rows are frozen."""
        return bool(self.digest)
