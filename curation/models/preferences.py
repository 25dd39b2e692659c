"""What a person chose for the desk. Empty means: as the project has it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.conf import settings
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models

from curation.models.project import Project
from curation.models.rules import NEVER

if TYPE_CHECKING:
    from django.contrib.auth.models import User


class Preferences(models.Model):
    """One person's desk: keys, look, and how much of the worst they want to see."""

    class KeyMode(models.TextChoices):
        LETTERS = "letters"
        ALT = "alt"
        OFF = "off"

    class Theme(models.TextChoices):
        SYSTEM = "system"
        LIGHT = "light"
        DARK = "dark"
        CONTRAST = "contrast"

    user = models.OneToOneField(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="preferences")
    key_mode = models.CharField(max_length=8, choices=KeyMode.choices, default=KeyMode.LETTERS)
    keymap = models.JSONField(default=dict, blank=True, help_text="action → key, only what differs from ours")
    theme = models.CharField(max_length=8, choices=Theme.choices, default=Theme.SYSTEM)
    language = models.CharField(max_length=12, blank=True, help_text="of the interface; empty: as the browser asks")
    veil_severity = models.PositiveSmallIntegerField(
        null=True, blank=True, validators=[MinValueValidator(1), MaxValueValidator(NEVER)]
    )
    mask_words = models.BooleanField(default=False)
    muted = models.BooleanField(default=False)
    spacious = models.BooleanField(default=False)
    break_after_minutes = models.PositiveSmallIntegerField(null=True, blank=True)
    daily_budget_minutes = models.PositiveSmallIntegerField(null=True, blank=True)
    severe_in_row = models.PositiveSmallIntegerField(null=True, blank=True)
    severe_per_day = models.PositiveIntegerField(null=True, blank=True)
    changed_at = models.DateTimeField(auto_now=True)

    class Meta:
        verbose_name_plural = "preferences"

    def __str__(self) -> str:
        return f"preferences of user {self.user_id}"

    @classmethod
    def of(cls, user: User) -> Preferences | None:
        """What the user chose; None where they chose nothing yet. Asks the database once at most."""
        if "preferences" not in user._state.fields_cache:
            rows = cls.objects.raw("SELECT * FROM curation_preferences WHERE user_id = %s", [user.pk])
            user._state.fields_cache["preferences"] = next(iter(rows), None)
        found: Preferences | None = user._state.fields_cache["preferences"]
        return found


class OptOut(models.Model):
    """A category that a person does not want to read. The queue obeys; nobody is told."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="opt_outs")
    project = models.ForeignKey(Project, on_delete=models.PROTECT, related_name="opt_outs")
    category = models.CharField(max_length=60)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["user", "project", "category"], name="opt_out_once")]

    def __str__(self) -> str:
        return f"opt-out {self.pk}"  # neither who nor of what: this reaches logs
