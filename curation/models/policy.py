"""Policies: what counts as harm here. A version never changes once it is in use; a change is the next version."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.validators import MaxValueValidator, MinValueValidator, RegexValidator
from django.db import models
from django.utils.functional import cached_property

KEY = RegexValidator(r"^[a-z0-9]+(-[a-z0-9]+)*$", "A key is lower-case words joined by hyphens, such as self-harm.")


class Policy(models.Model):
    name = models.CharField(max_length=120, unique=True)
    description = models.TextField(blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        verbose_name_plural = "policies"

    def __str__(self) -> str:
        return self.name


class PolicyVersion(models.Model):
    """One state of a policy's taxonomy. Projects and verdicts refer to versions, so that old decisions keep meaning."""

    policy = models.ForeignKey(Policy, on_delete=models.PROTECT, related_name="versions")
    number = models.PositiveIntegerField()
    note = models.CharField(max_length=500, blank=True)
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["policy", "number"], name="policy_version_once")]

    def __str__(self) -> str:
        return f"{self.policy} v{self.number}"

    @cached_property
    def taxonomy(self) -> list[Category]:
        """The categories in the policy's order, read once for as long as this object lives."""
        return list(self.categories.all())

    def keys(self) -> list[str]:
        """Category keys in the policy's order: the order of a guard's outputs."""
        return list(self.categories.values_list("key", flat=True))

    def in_short(self) -> str:
        """What the policy calls harm, in a few lines: for a judge that is asked by prompt."""
        names = ", ".join(category.name for category in self.taxonomy)
        return " ".join(filter(None, [self.policy.description.strip(), f"Harm is: {names}." if names else ""]))

    def forbidden_keys(self) -> list[str]:
        """Categories for which no text may ever be made by a machine."""
        return list(self.categories.filter(generation_allowed=False).values_list("key", flat=True))


class Category(models.Model):
    """One hazard of a policy version, and what others call it."""

    version = models.ForeignKey(PolicyVersion, on_delete=models.PROTECT, related_name="categories")
    key = models.CharField(max_length=60, validators=[KEY])
    name = models.CharField(max_length=80)
    definition = models.TextField()
    severity = models.PositiveSmallIntegerField(
        default=2, validators=[MinValueValidator(1), MaxValueValidator(4)], help_text="1 mild to 4 worst"
    )
    includes = models.JSONField(default=list, help_text="phrases: what is in it")
    excludes = models.JSONField(default=list, help_text="phrases: what is not")
    crosswalk = models.JSONField(default=dict, help_text="names in openai, llama_guard, ailuminate and aegis")
    generation_allowed = models.BooleanField(default=True)
    position = models.PositiveSmallIntegerField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["version", "key"], name="category_key_once"),
            models.UniqueConstraint(fields=["version", "position"], name="category_position_once"),
            models.CheckConstraint(condition=models.Q(severity__range=(1, 4)), name="category_severity_1_to_4"),
        ]
        ordering = ["version", "position"]
        verbose_name_plural = "categories"

    def __str__(self) -> str:
        return self.name

    @property
    def names_elsewhere(self) -> dict[str, Any]:
        """The crosswalk without its gaps."""
        return {system: name for system, name in self.crosswalk.items() if name}
