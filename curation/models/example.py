"""Examples, their lineage, and what the filters said of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from django.contrib.postgres.fields import ArrayField
from django.db import connection, models
from django.db.models import Case, Exists, F, OuterRef, Q, When
from django.db.models.functions import Coalesce, Random
from pgvector.django import VectorField

from classifier.normalize import normalized_hash
from curation.models.project import REVIEWERS, Project, Role
from curation.models.states import IllegalMove, Stateful, StatefulQuerySet

if TYPE_CHECKING:
    from django.contrib.auth.models import User

    from curation.models.rules import ReviewRules

MAX_TEXT = 32_000  # characters; longer texts are refused at the door, with their line number
EMBEDDING_SIZE = 384  # all-MiniLM-L6-v2


SETTLE = """
WITH moved AS (
    UPDATE curation_example SET state = %(new)s, label = %(label)s, categories = %(categories)s::varchar[]
    WHERE id = %(example)s AND state = %(old)s RETURNING id
), freed AS (
    UPDATE curation_lease SET closed_at = statement_timestamp(), ended = 'released'
    WHERE example_id = %(example)s AND purpose = 'queue' AND closed_at IS NULL
)
INSERT INTO curation_move (subject, scope, old, new, count, by_id, at, note)
SELECT %(subject)s, '', %(old)s, %(new)s, 1, %(by)s, statement_timestamp(), %(note)s FROM moved
"""
IN_POOL = Q(state="queued", reserved=False)
STALE = Q(version__gt=F("scored_version"))  # edited since it was measured


class Label(models.TextChoices):
    SAFE = "safe"
    UNSAFE = "unsafe"


class Split(models.TextChoices):
    TRAIN = "train"
    VALIDATION = "validation"
    EVALUATION = "evaluation"


class Probe(Exists):
    """An EXISTS that PostgreSQL answers row by row, from an index.

    It would rather join with all of a reviewer's verdicts when it believes the table to be small, and the statistics of
    a busy queue are always old. OFFSET 0 keeps it from that.
    """

    template = "EXISTS(%(subquery)s OFFSET 0)"


def _count(rows: models.QuerySet[Any]) -> Coalesce:
    """How many rows a subquery about the outer example has."""
    counted = rows.order_by().values("example").annotate(count=models.Count("pk")).values("count")
    return Coalesce(models.Subquery(counted), 0)


def _verdicts_of(reviewer: User) -> models.QuerySet[Any]:
    from curation.models import Verdict

    return Verdict.objects.current().filter(example=OuterRef("pk"), reviewer=reviewer)


class ExampleQuerySet(StatefulQuerySet["Example"]):
    def visible_to(self, user: User) -> ExampleQuerySet:
        """Examples of projects that the user is a member of."""
        return self.filter(project__memberships__user=user)

    def waiting(self) -> ExampleQuerySet:
        """Examples that need a person, the most informative first."""
        return self.filter(state=Example.State.QUEUED).order_by("-priority", "pk")

    def waiting_for(self, reviewer: User) -> ExampleQuerySet:
        """Examples this reviewer may still judge, the most informative first. Skipped ones stay with the others."""
        member = Q(project__memberships__user=reviewer, project__memberships__role__in=REVIEWERS)
        return self.waiting().filter(member).unjudged_by(reviewer)

    def unjudged_by(self, reviewer: User) -> ExampleQuerySet:
        """Without what the reviewer has judged or skipped."""
        return self.exclude(Probe(_verdicts_of(reviewer)))

    def put_back_by(self, reviewer: User) -> ExampleQuerySet:
        """What the reviewer skipped and did not judge since."""
        mine, skip = _verdicts_of(reviewer), Q(decision="skip")
        return self.filter(Probe(mine.filter(skip))).exclude(Probe(mine.exclude(skip)))

    def not_held_by(self, reviewer: User) -> ExampleQuerySet:
        """Without what lies in the reviewer's hand."""
        from curation.models import Lease

        return self.exclude(Probe(Lease.objects.open().filter(example=OuterRef("pk"), reviewer=reviewer)))

    def with_free_slot(self, rules: ReviewRules) -> ExampleQuerySet:
        """Those that one more person may judge: fewer than it needs hold or have judged them."""
        from curation.models import Lease, Verdict

        held = Lease.objects.open().filter(example=OuterRef("pk"), purpose="queue")
        if rules.one_decides:
            return self.exclude(Probe(held))
        taken = _count(held) + _count(Verdict.objects.counted().filter(example=OuterRef("pk")))
        return self.alias(taken=taken).filter(taken__lt=Coalesce("overlap", rules.overlap))

    def decided(self) -> ExampleQuerySet:
        """Examples with a trusted label: accepted ones, seeds among them."""
        return self.filter(state=Example.State.ACCEPTED)

    def trainable(self) -> ExampleQuerySet:
        """Accepted examples outside the evaluation families."""
        return self.decided().exclude(split=Split.EVALUATION)

    def sources(self) -> dict[str, str]:
        """What each family came from: the name of the file that its root was imported with, else the root's origin.

        Where a family has several roots the oldest one counts, so that it is never of two sources.
        """
        roots = self.filter(parent=None).order_by("-pk").values_list("family", "source__name", "origin")
        return {family: name or origin for family, name, origin in roots}


class Example(Stateful):
    """One text with its label and the facts of where it came from.

    The table has two more columns, which PostgreSQL computes and only `operations/explore.py` asks for: `words`, what a
    search looks into, and `facets`, what the row is by each filter, such as state:queued. See migration 0005.
    """

    class State(models.TextChoices):
        NEW = "new"
        FILTERED = "filtered"  # a filter advised against it; a person may overrule
        QUEUED = "queued"
        ACCEPTED = "accepted"
        REJECTED = "rejected"
        DISPUTED = "disputed"
        RETIRED = "retired"  # taken out of the queue undecided: by a lead, or by a skip where the project says so

    class Origin(models.TextChoices):
        SEED = "seed"
        AUGMENTED = "augmented"
        PARAPHRASED = "paraphrased"
        ADVERSARIAL = "adversarial"
        TEMPLATE = "template"  # of the catalogue of contrast pairs; the label is known by the way it is built
        HUMAN = "human"
        TRAFFIC = "traffic"  # a live request that the project chose to keep

    BROUGHT = (Origin.ADVERSARIAL, Origin.TEMPLATE)  # by an attack

    MOVES = {
        State.NEW: (State.FILTERED, State.QUEUED),
        State.FILTERED: (State.QUEUED,),
        State.QUEUED: (State.ACCEPTED, State.REJECTED, State.DISPUTED, State.RETIRED),
        # Back to the queue by undo: a verdict is withdrawn, so the example waits again.
        State.DISPUTED: (State.ACCEPTED, State.REJECTED, State.RETIRED, State.QUEUED),
        State.ACCEPTED: (State.QUEUED,),
        State.REJECTED: (State.QUEUED,),
        State.RETIRED: (State.QUEUED,),
    }

    # Keys that an index below begins with need none of their own: an import pays for each one.
    project = models.ForeignKey(Project, on_delete=models.PROTECT, related_name="examples", db_index=False)
    round = models.ForeignKey(
        "curation.Round", null=True, blank=True, on_delete=models.PROTECT, related_name="examples", db_index=False,
        help_text="the round whose candidates it joined; none for imported ones",
    )  # fmt: skip
    text = models.TextField(help_text="as it reads now; its revisions keep how it read before")
    version = models.PositiveIntegerField(default=1, help_text="counts edits; an edit names the one that it saw")
    scored_version = models.PositiveIntegerField(default=1, help_text="of the text that scores and embedding are of")
    text_hash = models.CharField(max_length=64, editable=False, help_text="SHA-256 of the normalized text")
    language = models.CharField(max_length=8, default="en")
    origin = models.CharField(max_length=12, choices=Origin.choices)
    state = models.CharField(max_length=12, choices=State.choices, default=State.NEW)
    split = models.CharField(max_length=12, choices=Split.choices, default=Split.TRAIN)

    parent = models.ForeignKey(
        "self", null=True, blank=True, on_delete=models.PROTECT, related_name="children", db_index=False
    )
    family = models.CharField(max_length=64, help_text="the root seed; no family is on both sides of a split")
    made_by_job = models.ForeignKey(
        "curation.Job", null=True, on_delete=models.PROTECT, related_name="examples", db_index=False
    )
    made_as = models.PositiveIntegerField(null=True, help_text="row of the output of that job")
    stage = models.CharField(max_length=60, blank=True, help_text="key of the stage that made it")
    stage_settings = models.JSONField(default=dict, blank=True)
    prompt = models.CharField(max_length=120, blank=True, help_text="prompt file and digest")
    model_digest = models.CharField(max_length=160, blank=True, help_text="weights or endpoint that wrote it")
    scores = models.JSONField(default=dict, blank=True, help_text="what its maker measured: reward, guard, novelty")

    source = models.ForeignKey(
        "curation.Import", null=True, on_delete=models.PROTECT, related_name="examples", db_index=False,
        help_text="the file that it came with",
    )  # fmt: skip
    source_line = models.PositiveIntegerField(null=True, help_text="its row in that file")

    proposed_label = models.CharField(max_length=6, choices=Label.choices)
    proposed_categories = ArrayField(models.CharField(max_length=60), default=list, blank=True)
    # The fold of the verdict log; empty until somebody decided.
    label = models.CharField(max_length=6, choices=Label.choices, blank=True)
    categories = ArrayField(models.CharField(max_length=60), default=list, blank=True)

    priority = models.FloatField(default=0.0, help_text="higher is seen earlier")
    priority_reason = models.CharField(max_length=120, blank=True, help_text="why it comes early, for the reviewer")
    overlap = models.PositiveSmallIntegerField(
        null=True, help_text="verdicts it needs; none: as the project's rules say"
    )
    reserved = models.BooleanField(default=False, help_text="an open batch keeps it for the people that it names")
    draw = models.FloatField(db_default=Random(), editable=False, help_text="its place in the random order")
    embedding = VectorField(dimensions=EMBEDDING_SIZE, null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    objects = ExampleQuerySet.as_manager()

    class Meta:
        constraints = [
            # Whoever delivers a result twice, it is stored once. Finds texts, too: what a machine made may repeat one,
            # so its number stands beside the hash.
            models.UniqueConstraint(
                "project",
                "text_hash",
                Case(
                    When(origin__in=["seed", "human"], then=0), default=F("id"), output_field=models.BigIntegerField()
                ),
                name="imported_text_once",
            ),
            models.UniqueConstraint(
                fields=["made_by_job", "made_as"], condition=Q(made_by_job__isnull=False), name="job_stores_output_once"
            ),
            models.CheckConstraint(
                condition=~Q(proposed_label="safe") | Q(proposed_categories=[]), name="safe_has_no_category"
            ),
        ]
        indexes = [
            models.Index(fields=["project", "state", "-priority", "id"], name="example_queue"),
            # The queue in each of its orders, without what a batch keeps for some: a claim reads the first entries.
            models.Index(fields=["project", "-priority", "id"], condition=IN_POOL, name="example_pool"),
            models.Index(fields=["project", "id"], condition=IN_POOL, name="example_pool_oldest"),
            models.Index(fields=["project", "draw", "id"], condition=IN_POOL, name="example_pool_random"),
            models.Index(fields=["project"], condition=STALE, name="example_stale"),
            models.Index(fields=["project", "id"], name="example_newest"),  # grows at its end, and is read backwards
            models.Index(fields=["project", "family"], name="example_family"),
            # Imported rows have neither, and do not pay for it.
            models.Index(fields=["round", "state"], condition=Q(round__isnull=False), name="example_round_state"),
            models.Index(fields=["parent"], condition=Q(parent__isnull=False), name="example_parent"),
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

    def settle(self, new: str, label: str, categories: Sequence[str], by: User | None, note: str = "") -> None:
        """Leave the queue: state, label, audit row and the end of every lease on it, in one statement.

        Every verdict comes by here, so it is not four. The caller holds the row's lock.
        """
        self.check_edge(str(self.state), new)
        values: dict[str, Any] = {
            "example": self.pk, "subject": self.subject, "old": self.state, "new": new, "label": label,
            "categories": list(categories), "by": by and by.pk, "note": note[:500],
        }  # fmt: skip
        with connection.cursor() as cursor:
            cursor.execute(SETTLE, values)
            if not cursor.rowcount:
                raise IllegalMove(f"{self} is no longer {self.state}")
        self.state, self.label, self.categories = new, label, list(categories)

    def proposes(self, label: str, categories: Sequence[str]) -> bool:
        """Whether this answer is what was proposed, in whatever order."""
        return (label, set(categories)) == (self.proposed_label, set(self.proposed_categories))

    def needed(self, rules: ReviewRules) -> int:
        """How many people's verdicts decide it."""
        return self.overlap or rules.overlap

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
