"""Examples, their lineage, and what the filters said of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Exists, OuterRef, Q
from pgvector.django import VectorField

from classifier.normalize import normalized_hash
from curation.models.project import REVIEWERS, Project, Role
from curation.models.states import Stateful, StatefulQuerySet

if TYPE_CHECKING:
    from django.contrib.auth.models import User

MAX_TEXT = 32_000  # characters; longer texts are refused at the door, with their line number
EMBEDDING_SIZE = 384  # all-MiniLM-L6-v2


class Label(models.TextChoices):
    SAFE = "safe"
    UNSAFE = "unsafe"


class Split(models.TextChoices):
    TRAIN = "train"
    VALIDATION = "validation"
    EVALUATION = "evaluation"


class ExampleQuerySet(StatefulQuerySet["Example"]):
    def visible_to(self, user: User) -> ExampleQuerySet:
        """Examples of projects that the user is a member of."""
        return self.filter(project__memberships__user=user)

    def waiting(self) -> ExampleQuerySet:
        """Examples that need a person, the most informative first."""
        return self.filter(state=Example.State.QUEUED).order_by("-priority", "pk")

    def waiting_for(self, reviewer: User) -> ExampleQuerySet:
        """Examples this reviewer may still judge, the most informative first. Skipped ones stay with the others."""
        from curation.models.review import Verdict

        member = Q(project__memberships__user=reviewer, project__memberships__role__in=REVIEWERS)
        mine = Verdict.objects.current().filter(example=OuterRef("pk"), reviewer=reviewer)
        return self.waiting().filter(member).exclude(Exists(mine))

    def decided(self) -> ExampleQuerySet:
        """Examples with a trusted label: accepted ones, seeds among them."""
        return self.filter(state=Example.State.ACCEPTED)

    def trainable(self) -> ExampleQuerySet:
        """Accepted examples outside the evaluation families."""
        return self.decided().exclude(split=Split.EVALUATION)


class Example(Stateful):
    """One text with its label and the facts of where it came from."""

    class State(models.TextChoices):
        NEW = "new"
        FILTERED = "filtered"  # a filter advised against it; a person may overrule
        QUEUED = "queued"
        ACCEPTED = "accepted"
        REJECTED = "rejected"
        DISPUTED = "disputed"

    class Origin(models.TextChoices):
        SEED = "seed"
        AUGMENTED = "augmented"
        PARAPHRASED = "paraphrased"
        ADVERSARIAL = "adversarial"
        HUMAN = "human"
        TRAFFIC = "traffic"  # a live request that the project chose to keep

    MOVES = {
        State.NEW: (State.FILTERED, State.QUEUED),
        State.FILTERED: (State.QUEUED,),
        State.QUEUED: (State.ACCEPTED, State.REJECTED, State.DISPUTED),
        State.DISPUTED: (State.ACCEPTED, State.REJECTED),
        # Undo: the verdict is withdrawn, so the example waits again.
        State.ACCEPTED: (State.QUEUED,),
        State.REJECTED: (State.QUEUED,),
    }

    project = models.ForeignKey(Project, on_delete=models.PROTECT, related_name="examples")
    round = models.ForeignKey(
        "curation.Round", null=True, blank=True, on_delete=models.PROTECT, related_name="examples",
        help_text="the round whose candidates it joined; none for imported ones",
    )  # fmt: skip
    text = models.TextField()
    text_hash = models.CharField(max_length=64, editable=False, help_text="SHA-256 of the normalized text")
    language = models.CharField(max_length=8, default="en")
    origin = models.CharField(max_length=12, choices=Origin.choices)
    state = models.CharField(max_length=12, choices=State.choices, default=State.NEW)
    split = models.CharField(max_length=12, choices=Split.choices, default=Split.TRAIN)

    parent = models.ForeignKey("self", null=True, blank=True, on_delete=models.PROTECT, related_name="children")
    family = models.CharField(max_length=64, help_text="the root seed; no family is on both sides of a split")
    made_by_job = models.ForeignKey("curation.Job", null=True, on_delete=models.PROTECT, related_name="examples")
    made_as = models.PositiveIntegerField(null=True, help_text="row of the output of that job")
    stage = models.CharField(max_length=60, blank=True, help_text="key of the stage that made it")
    stage_settings = models.JSONField(default=dict, blank=True)
    prompt = models.CharField(max_length=120, blank=True, help_text="prompt file and digest")
    model_digest = models.CharField(max_length=160, blank=True, help_text="weights or endpoint that wrote it")
    scores = models.JSONField(default=dict, blank=True, help_text="what its maker measured: reward, guard, novelty")

    proposed_label = models.CharField(max_length=6, choices=Label.choices)
    proposed_categories = ArrayField(models.CharField(max_length=60), default=list, blank=True)
    # The fold of the verdict log; empty until somebody decided.
    label = models.CharField(max_length=6, choices=Label.choices, blank=True)
    categories = ArrayField(models.CharField(max_length=60), default=list, blank=True)

    priority = models.FloatField(default=0.0, help_text="higher is seen earlier")
    embedding = VectorField(dimensions=EMBEDDING_SIZE, null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    objects = ExampleQuerySet.as_manager()

    class Meta:
        constraints = [
            # Whoever delivers a result twice, it is stored once.
            models.UniqueConstraint(
                fields=["project", "text_hash"], condition=Q(origin__in=["seed", "human"]), name="imported_text_once"
            ),
            models.UniqueConstraint(fields=["made_by_job", "made_as"], name="job_stores_output_once"),
            models.CheckConstraint(
                condition=~Q(proposed_label="safe") | Q(proposed_categories=[]), name="safe_has_no_category"
            ),
        ]
        indexes = [
            models.Index(fields=["project", "state", "-priority", "id"], name="example_queue"),
            models.Index(fields=["project", "-id"], name="example_newest"),
            models.Index(fields=["project", "family"], name="example_family"),
            models.Index(fields=["project", "text_hash"], name="example_hash"),
            models.Index(fields=["round", "state"], name="example_round_state"),
        ]

    def __str__(self) -> str:
        return f"Example {self.pk}"  # never its text: this reaches logs and titles

    def save(self, *args: Any, **kwargs: Any) -> None:
        self.stamp()
        super().save(*args, **kwargs)

    def stamp(self) -> None:
        """Set the hash that finds duplicates; `save` does it, `bulk_create` does not."""
        self.text_hash = normalized_hash(self.text)

    @property
    def current_label(self) -> str:
        """The decided label, or the proposed one while nobody decided."""
        return self.label or self.proposed_label

    @property
    def current_categories(self) -> list[str]:
        """The categories that go with `current_label`."""
        return self.categories if self.label else self.proposed_categories

    def ancestors(self) -> list[Example]:
        """Parent first, root seed last."""
        chain: list[Example] = []
        at = self.parent
        while at is not None and len(chain) < 50:
            chain.append(at)
            at = at.parent
        return chain

    def to_row(self) -> dict[str, Any]:
        """The columns that every program reads (`pipeline.records.Example`)."""
        return {
            "id": str(self.pk),
            "text": self.text,
            "label": self.current_label,
            "categories": list(self.current_categories),
            "family": self.family,
            "language": self.language,
            "origin": self.origin,
            "parent_id": str(self.parent_id) if self.parent_id else None,
        }


class Finding(models.Model):
    """What one filter said of one example. Filters advise, they never delete."""

    example = models.ForeignKey(Example, on_delete=models.PROTECT, related_name="findings")
    job = models.ForeignKey("curation.Job", on_delete=models.PROTECT, related_name="findings")
    filter = models.CharField(max_length=60)
    keep = models.BooleanField()
    score = models.FloatField(null=True)
    reason = models.CharField(max_length=300, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["job", "example", "filter"], name="finding_once")]
        indexes = [models.Index(fields=["example", "id"])]
        ordering = ["id"]

    def __str__(self) -> str:
        return f"{self.filter}: {'keep' if self.keep else 'drop'} example {self.example_id}"


__all__ = ["Example", "ExampleQuerySet", "Finding", "Label", "Role", "Split"]
