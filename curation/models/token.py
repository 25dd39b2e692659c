"""Personal tokens for the API. Only a hash is kept; the token itself is shown once."""

from __future__ import annotations

import hashlib
import secrets
from typing import TYPE_CHECKING

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from django.contrib.auth.models import User

SIGN = "wst_"  # what a scanner for leaked secrets can look for


def digest(secret: str) -> str:
    """SHA-256 is enough here: a token is 32 random bytes, not a password that one could guess."""
    return hashlib.sha256(secret.encode()).hexdigest()


class PersonalTokenQuerySet(models.QuerySet["PersonalToken"]):
    def usable(self) -> PersonalTokenQuerySet:
        """Neither revoked nor expired, of somebody who may still sign in."""
        unexpired = Q(expires_at=None) | Q(expires_at__gt=Now())
        return self.filter(unexpired, revoked_at=None, user__is_active=True)

    def issue(
        self, user: User, name: str, scopes: Sequence[str], expires_at: datetime | None
    ) -> tuple[str, PersonalToken]:
        """Make a token; return its secret, which nobody can read again, and its row."""
        secret = SIGN + secrets.token_urlsafe(32)
        row = self.create(
            user=user, name=name, prefix=secret[:8], hash=digest(secret), scopes=list(scopes), expires_at=expires_at
        )
        return secret, row

    def find(self, secret: str) -> PersonalToken | None:
        """The usable token with this secret."""
        if not secret.startswith(SIGN):
            return None
        return self.usable().select_related("user").filter(hash=digest(secret)).first()


class PersonalToken(models.Model):
    """Lets a program act as the person who made it, within its scopes."""

    class Scope(models.TextChoices):
        REVIEW = "review", "Review: claim, judge, take back"
        READ = "read", "Read: examples, verdicts, releases"

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="tokens")
    name = models.CharField(max_length=80)
    prefix = models.CharField(max_length=12, help_text="tells a person which one it is")
    hash = models.CharField(max_length=64, unique=True)
    scopes = ArrayField(models.CharField(max_length=20), default=list)
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField(null=True, blank=True)
    last_used_at = models.DateTimeField(null=True)
    revoked_at = models.DateTimeField(null=True)

    objects = PersonalTokenQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"{self.name} ({self.prefix}…)"
