"""Files that were brought in: what they hold, how their columns are read, and what came of them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.db import models
from django.db.models.functions import Now
from django.utils.http import urlencode
from pgvector.django import HalfVectorField, HnswIndex

from curation.models.example import EMBEDDING_SIZE, Example
from curation.models.project import Project

if TYPE_CHECKING:
    from curation.models.job import Job


class Purpose(models.TextChoices):
    TRAINING = "training", "Training seeds"
    EVALUATION = "evaluation", "Held-out evaluation"


class Import(models.Model):
    """One file, archive or folder on its way into a project. Nothing of it is stored before all of it is."""

    project = models.ForeignKey(Project, on_delete=models.PROTECT, related_name="imports")
    name = models.CharField(max_length=200, help_text="what the file was called where it came from")
    bytes = models.PositiveBigIntegerField(default=0)
    sha256 = models.CharField(max_length=64, help_text="of the files in order: families of pairs belong to it")
    format = models.CharField(max_length=40, help_text="key of the importer")
    purpose = models.CharField(max_length=12, choices=Purpose.choices, default=Purpose.TRAINING)
    mapping: Any = models.JSONField(default=dict, help_text="what its columns mean; empty: as we document them")
    columns_key = models.CharField(
        max_length=64, blank=True, help_text="digest of its columns: files that have the same share a mapping"
    )
    report = models.JSONField(default=dict, help_text="counts of the last dry run or of the import")
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(db_default=Now())
    stored_at = models.DateTimeField(null=True, help_text="when its rows went into the project, all at once")

    class Meta:
        indexes = [models.Index(fields=["project", "-id"], name="import_newest")]
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"import {self.pk}"

    @property
    def subject(self) -> str:
        """How jobs and audit rows name it."""
        return f"import:{self.pk}"

    @property
    def folder(self) -> Path:
        """Where its files lie, under names of ours."""
        home: Path = settings.ARTIFACTS_DIR / "imports" / str(self.pk)
        return home

    @property
    def job(self) -> Job | None:
        """What was last done with it."""
        return self.jobs.order_by("-pk").first()

    @property
    def is_stored(self) -> bool:
        return self.stored_at is not None


class Provenance(models.Model):
    """What an imported example was elsewhere: its id there, and what was said of it. Append-only.

    Never counted as verdicts: whoever judged it there did so under another policy, and may be nobody of this project
    though a name is the same.
    """

    example = models.OneToOneField(Example, primary_key=True, on_delete=models.PROTECT, related_name="provenance")
    external_id = models.CharField(max_length=100, blank=True)
    judgements: Any = models.JSONField(
        default=list, help_text="annotator, label, categories, said (the words of the file), machine"
    )

    def __str__(self) -> str:
        return f"provenance of example {self.pk}"


class Vector(models.Model):
    """An example's embedding, in a table of its own with its index.

    A trigger of the database keeps it: the index would otherwise be written at each change of an example's state.
    """

    example = models.OneToOneField(Example, primary_key=True, on_delete=models.CASCADE, related_name="+")
    project = models.ForeignKey(Project, on_delete=models.PROTECT, related_name="+")
    embedding = HalfVectorField(dimensions=EMBEDDING_SIZE)

    class Meta:
        indexes = [
            HnswIndex(
                fields=["embedding"], name="vector_nearest", m=12, ef_construction=48, opclasses=["halfvec_cosine_ops"]
            )
        ]

    def __str__(self) -> str:
        return f"vector of example {self.pk}"


class SavedView(models.Model):
    """Filters and columns of the explorer under a name, for one person alone."""

    project = models.ForeignKey(Project, on_delete=models.PROTECT, related_name="saved_views")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="saved_views")
    name = models.CharField(max_length=60)
    query: Any = models.JSONField(default=dict, help_text="what the explorer's form holds; checked again when used")
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [models.UniqueConstraint(fields=["project", "user", "name"], name="saved_view_name_once")]
        ordering = ["name"]

    def __str__(self) -> str:
        return f"view {self.pk}"

    @property
    def address(self) -> str:
        """The query of its address."""
        return urlencode(self.query, doseq=True)
