"""Who may ask a project's guard, and what may be kept of what they ask."""

from __future__ import annotations

import hashlib
import secrets
from datetime import timedelta

from django.conf import settings
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Q
from django.utils import timezone

from curation.models.guard import Guard
from curation.models.project import Project

PREFIX = "wsk-"  # scanners for leaked secrets find what has a mark of its own
SHOWN = 12  # characters of a key that stay visible, to tell keys apart
SEEN_EVERY = timedelta(minutes=1)  # last use is written no more often than this
DEFAULT_QUOTA = 600  # texts a minute


class ApiKeyQuerySet(models.QuerySet["ApiKey"]):
    def live(self) -> ApiKeyQuerySet:
        """Keys that nobody revoked."""
        return self.filter(revoked_at=None)

    def of(self, secret: str) -> ApiKey | None:
        """The live key that a caller shows, or None: unknown and revoked are the same to him."""
        return self.live().select_related("project__policy_version").filter(digest=digest_of(secret)).first()


def digest_of(secret: str) -> str:
    """SHA-256 (hex). A key has 256 random bits, so nothing slower is needed against guessing."""
    return hashlib.sha256(secret.encode("utf-8", "replace")).hexdigest()


class ApiKey(models.Model):
    """A program's right to ask one project's guard. The key itself is shown once and never stored."""

    project = models.ForeignKey(Project, on_delete=models.PROTECT, related_name="api_keys")
    name = models.CharField(max_length=80, help_text="what will use it")
    shown = models.CharField(max_length=SHOWN, help_text="the key's first characters")
    digest = models.CharField(max_length=64, unique=True, help_text="SHA-256 of the key")
    quota = models.PositiveIntegerField(
        default=DEFAULT_QUOTA, validators=[MinValueValidator(1), MaxValueValidator(1_000_000)],
        help_text="texts a minute",
    )  # fmt: skip
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)
    revoked_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, related_name="+")
    revoked_at = models.DateTimeField(null=True)
    used_at = models.DateTimeField(null=True, help_text="to the minute")

    objects = ApiKeyQuerySet.as_manager()

    class Meta:
        ordering = ["project", "-pk"]
        constraints = [
            models.CheckConstraint(condition=Q(quota__gte=1), name="api_key_quota_at_least_1"),
            models.UniqueConstraint(
                fields=["project", "name"], condition=Q(revoked_at=None), name="live_api_key_name_once"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.name} ({self.shown}…)"

    def draw(self) -> str:
        """Give this unsaved key its secret and return it: the only time that anybody sees it."""
        secret = PREFIX + secrets.token_urlsafe(32)
        self.shown, self.digest = secret[:SHOWN], digest_of(secret)
        return secret

    def seen(self) -> None:
        """Note that the key is in use."""
        now = timezone.now()
        if self.used_at is None or now - self.used_at > SEEN_EVERY:
            type(self).objects.filter(pk=self.pk).update(used_at=now)


class Traffic(models.Model):
    """What a project keeps of live traffic: nothing, until a lead says otherwise."""

    project = models.OneToOneField(Project, on_delete=models.PROTECT, related_name="traffic")
    shadow = models.ForeignKey(
        Guard, null=True, blank=True, on_delete=models.PROTECT, related_name="+",
        help_text="scores everything silently; where it disagrees, the text becomes a candidate for review",
    )  # fmt: skip
    sample = models.FloatField(
        default=0.0, validators=[MinValueValidator(0), MaxValueValidator(1)],
        help_text="share of live texts that join the review queue",
    )  # fmt: skip
    daily_limit = models.PositiveIntegerField(default=200, help_text="texts a day that may be kept in all")

    class Meta:
        verbose_name_plural = "traffic"
        constraints = [models.CheckConstraint(condition=Q(sample__range=(0, 1)), name="traffic_sample_is_a_share")]

    def __str__(self) -> str:
        return f"traffic of {self.project}"

    @property
    def keeps_text(self) -> bool:
        """Whether any text of a caller may be stored."""
        return self.shadow_id is not None or self.sample > 0
