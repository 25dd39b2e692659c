"""Releases: datasets that never change once they are out, and what exactly is in them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models

from curation.models.example import Label
from curation.models.project import Project

if TYPE_CHECKING:
    from django.contrib.auth.models import User


class ReleaseQuerySet(models.QuerySet["Release"]):
    def visible_to(self, user: User) -> ReleaseQuerySet:
        """Releases of projects that the user is a member of."""
        return self.filter(project__memberships__user=user)

    def ready(self) -> ReleaseQuerySet:
        """Those whose files are all written."""
        return self.exclude(digest="")


class Release(models.Model):
    """A frozen dataset. Its digest is that of its rows; empty while its job still writes it."""

    project = models.ForeignKey(Project, on_delete=models.PROTECT, related_name="releases")
    round = models.ForeignKey("curation.Round", null=True, on_delete=models.PROTECT, related_name="releases")
    number = models.PositiveIntegerField()
    selection = models.JSONField(default=dict, help_text="filter and agreement rule")
    splits = models.JSONField(default=dict, help_text="how it is parted")
    formats = ArrayField(models.CharField(max_length=20), default=list)
    about = models.JSONField(default=dict, help_text="licence, sources and notes, as the card says them")
    frozen_at = models.DateTimeField(null=True, help_text="when its rows were chosen")
    digest = models.CharField(max_length=64, blank=True, help_text="SHA-256 of data.jsonl")
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

    @property
    def version(self) -> str:
        """What it is known by everywhere: the beginning of its content's hash."""
        return self.digest[:12]


class ReleaseRow(models.Model):
    """One example of a release as it was when the release was frozen. Append-only.

    What may change of an example stands here; what never does (family, origin, lineage) is read from it, and a text
    that was edited since from its revisions. So a release can be written again at any time, byte for byte.
    """

    pk = models.CompositePrimaryKey("release_id", "example_id")
    # No constraint in the database: a million rows at once are checked by the statement that makes them.
    release = models.ForeignKey(
        Release, on_delete=models.PROTECT, related_name="rows", db_constraint=False, db_index=False
    )
    example = models.ForeignKey(
        "curation.Example", on_delete=models.PROTECT, related_name="+", db_constraint=False, db_index=False
    )
    version = models.PositiveIntegerField(help_text="of the text")
    label = models.CharField(max_length=6, choices=Label.choices)
    categories = ArrayField(models.CharField(max_length=60), default=list)
    split = models.CharField(max_length=12)
    source = models.CharField(max_length=8, help_text="who decided the label: person, machine or seed")
    people = models.PositiveSmallIntegerField(default=0)
    agreeing = models.PositiveSmallIntegerField(default=0, help_text="people whose verdict was this label")
    machines = models.PositiveSmallIntegerField(default=0)

    def __str__(self) -> str:
        return f"example {self.example_id} of release {self.release_id}"
