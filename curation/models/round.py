"""Rounds of the loop, and the recipes that say how they are run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.db import models
from django.db.models import Q

from curation.models.project import Project
from curation.models.states import Stateful, StatefulQuerySet

if TYPE_CHECKING:
    from django.contrib.auth.models import User

    from curation.models.job import Job


class Recipe(models.Model):
    """A named, versioned set of stages and settings. A change is a new version; rounds keep their own copy."""

    project = models.ForeignKey(Project, on_delete=models.PROTECT, related_name="recipes")
    name = models.CharField(max_length=80)
    version = models.PositiveIntegerField(default=1)
    body = models.JSONField()
    parent = models.ForeignKey(
        "self", null=True, on_delete=models.PROTECT, related_name="children", help_text="what it was made from"
    )
    note = models.CharField(max_length=300, blank=True, help_text="what changed, and why")
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["project", "name", "version"], name="recipe_version_once")]

    def __str__(self) -> str:
        return f"{self.name} v{self.version}"


class RoundQuerySet(StatefulQuerySet["Round"]):
    def visible_to(self, user: User) -> RoundQuerySet:
        """Rounds of projects that the user is a member of."""
        return self.filter(project__memberships__user=user)

    def open(self) -> RoundQuerySet:
        """Rounds that were started and have not ended."""
        return self.exclude(state__in=[Round.State.DRAFT, *Round.ENDED])


class Round(Stateful):
    """Once round the loop."""

    class State(models.TextChoices):
        DRAFT = "draft"
        GENERATING = "generating"
        FILTERING = "filtering"
        REVIEWING = "reviewing"
        TRAINING = "training"
        EVALUATING = "evaluating"
        ATTACKING = "attacking"  # the adversary looks for what the new guard gets wrong
        CLOSED = "closed"
        CANCELLED = "cancelled"

    class Review(models.TextChoices):
        PEOPLE = "people"
        AUTO = "auto"

    ENDED = (State.CLOSED, State.CANCELLED)
    # The order of work; a recipe without a stage skips its state.
    LINE = (
        State.GENERATING, State.FILTERING, State.REVIEWING, State.TRAINING, State.EVALUATING, State.ATTACKING,
        State.CLOSED,
    )  # fmt: skip
    MOVES = {
        State.DRAFT: (State.GENERATING, State.FILTERING, State.TRAINING, State.CANCELLED),
        State.GENERATING: (State.FILTERING, State.CANCELLED),
        State.FILTERING: (State.REVIEWING, State.CANCELLED),
        State.REVIEWING: (State.TRAINING, State.CANCELLED),
        State.TRAINING: (State.EVALUATING, State.CANCELLED),
        State.EVALUATING: (State.ATTACKING, State.CLOSED, State.CANCELLED),
        State.ATTACKING: (State.CLOSED, State.CANCELLED),
    }

    project = models.ForeignKey(Project, on_delete=models.PROTECT, related_name="rounds")
    number = models.PositiveIntegerField()
    state = models.CharField(max_length=12, choices=State.choices, default=State.DRAFT)
    recipe = models.JSONField(default=dict, help_text="this round's own copy of the settings of every stage")
    from_recipe = models.ForeignKey(Recipe, null=True, on_delete=models.PROTECT, related_name="rounds")
    paused_at = models.DateTimeField(null=True, help_text="what runs for it stops, and goes on from there")
    review = models.CharField(max_length=8, choices=Review.choices, default=Review.PEOPLE)
    evaluation_set = models.ForeignKey(
        "curation.EvaluationSet", null=True, on_delete=models.PROTECT, related_name="rounds",
        help_text="frozen when the round starts; both guards are measured on it",
    )  # fmt: skip
    guard_before = models.ForeignKey("curation.Guard", null=True, on_delete=models.PROTECT, related_name="+")
    started_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)
    started_at = models.DateTimeField(null=True)
    ended_at = models.DateTimeField(null=True)

    objects = RoundQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["project", "number"], name="round_number_once"),
            models.UniqueConstraint(
                fields=["project"],
                condition=~Q(state__in=["draft", "closed", "cancelled"]),
                name="one_open_round",
            ),
        ]
        ordering = ["project", "number"]

    def __str__(self) -> str:
        return f"Round {self.number}"

    @property
    def is_open(self) -> bool:
        """Started and not ended."""
        return self.state != self.State.DRAFT and self.state not in self.ENDED

    @property
    def current_job(self) -> Job | None:
        """The newest job of this round."""
        return self.jobs.order_by("-pk").first()

    def settings_for(self, stage: str) -> dict[str, Any]:
        """The recipe's settings of one stage, empty where it has none."""
        settings: dict[str, Any] = self.recipe.get(stage) or {}
        return settings
