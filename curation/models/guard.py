"""Guards, the frozen sets they are measured on, the measurements, and the rules for going live."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Q

from curation.models.project import Project
from curation.models.states import Stateful, StatefulQuerySet

if TYPE_CHECKING:
    from django.contrib.auth.models import User


class EvaluationSet(models.Model):
    """Held-out rows frozen as a file named by its content; the same rows freeze to the same set."""

    project = models.ForeignKey(Project, on_delete=models.PROTECT, related_name="evaluation_sets")
    name = models.CharField(max_length=120)
    digest = models.CharField(max_length=64, help_text="SHA-256 of the rows in order")
    path = models.CharField(max_length=300, help_text="under the artifact root")
    rows = models.PositiveIntegerField()
    unsafe = models.PositiveIntegerField()
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["project", "digest"], name="evaluation_set_once")]

    def __str__(self) -> str:
        return f"{self.name} ({self.rows} rows)"


class FrozenRows(models.Model):
    """What the rows of a frozen set are, column by column in the order of its file: for curves, slices and gates.

    Texts are not in it. They stand in the file, and in the examples that the ids name.
    """

    evaluation_set = models.OneToOneField(EvaluationSet, on_delete=models.CASCADE, related_name="columns")
    ids = ArrayField(models.BigIntegerField(), help_text="of the examples")
    unsafe = ArrayField(models.BooleanField())
    words = ArrayField(models.PositiveIntegerField(), help_text="length of each text")
    languages = ArrayField(models.CharField(max_length=8))
    categories = ArrayField(models.CharField(max_length=400), help_text="keys of a row, joined by a space")
    twins = ArrayField(models.BooleanField(), help_text="harmless rows whose family holds an unsafe one")

    def __str__(self) -> str:
        return f"rows of {self.evaluation_set}"


class GuardQuerySet(StatefulQuerySet["Guard"]):
    def visible_to(self, user: User) -> GuardQuerySet:
        """Guards of projects that the user is a member of."""
        return self.filter(project__memberships__user=user)

    def served(self) -> GuardQuerySet:
        """Guards that answer: the active ones, and those that shadow one."""
        from curation.models.traffic import Traffic

        return self.filter(Q(state=Guard.State.ACTIVE) | Q(pk__in=Traffic.objects.values("shadow")))


class Guard(Stateful):
    """A trained classifier, published under its digest."""

    class State(models.TextChoices):
        TRAINED = "trained"
        EVALUATED = "evaluated"
        CANDIDATE = "candidate"
        ACTIVE = "active"
        RETIRED = "retired"

    MOVES = {
        State.TRAINED: (State.EVALUATED,),
        State.EVALUATED: (State.CANDIDATE, State.ACTIVE),
        State.CANDIDATE: (State.ACTIVE, State.RETIRED),
        State.ACTIVE: (State.RETIRED,),
        State.RETIRED: (State.ACTIVE,),  # rollback
    }

    project = models.ForeignKey(Project, on_delete=models.PROTECT, related_name="guards")
    round = models.OneToOneField("curation.Round", on_delete=models.PROTECT, related_name="guard")
    job = models.OneToOneField("curation.Job", on_delete=models.PROTECT, related_name="guard")
    number = models.PositiveIntegerField()
    state = models.CharField(max_length=12, choices=State.choices, default=State.TRAINED)
    digest = models.CharField(max_length=64, help_text="of the manifest of its files")
    path = models.CharField(max_length=300, help_text="under the artifact root")
    # The same guard in the forms that serving runs; empty until it was exported.
    export_digest = models.CharField(max_length=64, blank=True)
    export_path = models.CharField(max_length=300, blank=True, help_text="under the artifact root")
    export_report = models.JSONField(default=dict, help_text="what each form costs in accuracy and time")
    settings = models.JSONField(default=dict)
    metrics = models.JSONField(default=dict, help_text="on the validation split, while training")
    # Lineage: everything one needs to train it again.
    parent = models.ForeignKey("self", null=True, on_delete=models.PROTECT, related_name="children")
    dataset_digest = models.CharField(max_length=64)
    dataset_rows = models.PositiveIntegerField()
    base_digest = models.CharField(max_length=64)
    code_revision = models.CharField(max_length=64, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    objects = GuardQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["project", "number"], name="guard_number_once"),
            models.UniqueConstraint(fields=["project"], condition=Q(state="active"), name="one_active_guard"),
        ]
        ordering = ["project", "number"]

    def __str__(self) -> str:
        return f"Guard {self.number}"

    @property
    def serving_path(self) -> str:
        """What serving loads, under the artifact root: the exported form, or what training wrote until there is one."""
        return self.export_path or self.path

    def metrics_on(self, evaluation_set: EvaluationSet | None) -> dict[str, Any] | None:
        """Figures on a frozen set, None where it was not measured."""
        if evaluation_set is None:
            return None
        return self.evaluations.filter(evaluation_set=evaluation_set).values_list("metrics", flat=True).first()


class Evaluation(models.Model):
    """One guard on one frozen set."""

    guard = models.ForeignKey(Guard, on_delete=models.PROTECT, related_name="evaluations")
    evaluation_set = models.ForeignKey(EvaluationSet, on_delete=models.PROTECT, related_name="evaluations")
    job = models.ForeignKey("curation.Job", on_delete=models.PROTECT, related_name="evaluations")
    metrics = models.JSONField()
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["guard", "evaluation_set"], name="evaluated_once")]

    def __str__(self) -> str:
        return f"{self.guard} on {self.evaluation_set}"


class RowScores(models.Model):
    """The probability of unsafe that a guard gave each row of a frozen set, in the order of its file."""

    evaluation = models.OneToOneField(Evaluation, on_delete=models.CASCADE, related_name="scores")
    values = ArrayField(models.FloatField())

    def __str__(self) -> str:
        return f"scores of {self.evaluation}"


class PeerEvaluation(models.Model):
    """Somebody else's guard on one frozen set: comparable with what stands on the same set, whose digest is its rows'.

    The spec is as `classifier.peers` reads it. It may name a folder or an address, never a secret.
    """

    evaluation_set = models.ForeignKey(EvaluationSet, on_delete=models.PROTECT, related_name="peers")
    name = models.CharField(max_length=120)
    spec = models.CharField(max_length=500)
    metrics = models.JSONField(help_text="as of an evaluation, seconds among them")
    measured_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, related_name="+")
    measured_at = models.DateTimeField(auto_now=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["evaluation_set", "spec"], name="peer_measured_once")]
        ordering = ["name", "id"]

    def __str__(self) -> str:
        return f"{self.name} on {self.evaluation_set}"

    @property
    def asked(self) -> str:
        """How it is asked, without where it is: paths and addresses are the operator's."""
        kind, _, rest = self.spec.partition(":")
        ways = {"generative": "language model, {}", "chat": "chat endpoint, {}", "moderation": "moderation endpoint"}
        return ways.get(kind, "classifier").format(rest.partition(":")[0])


SHARE = [MinValueValidator(0.0), MaxValueValidator(1.0)]


class PromotionRules(models.Model):
    """What a guard must hold to go live without a person's written reason. A lead sets them; ours are the defaults."""

    project = models.OneToOneField(Project, on_delete=models.PROTECT, related_name="promotion_rules")
    check_sets = models.BooleanField(default=True)
    sets_loss = models.FloatField(default=0.01, validators=SHARE, help_text="average precision that it may lose")
    check_twins = models.BooleanField(default=True)
    twins_gain = models.FloatField(default=0.02, validators=SHARE, help_text="more safe twins that it may block")
    check_recall = models.BooleanField(default=True)
    recall_loss = models.FloatField(default=0.02, validators=SHARE, help_text="recall at 1 % that it may lose")
    changed_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, related_name="+")
    changed_at = models.DateTimeField(auto_now=True)

    def __str__(self) -> str:
        return f"promotion rules of {self.project}"
