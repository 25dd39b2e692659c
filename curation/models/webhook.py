"""Addresses that are told what happens in a project, and each telling."""

from __future__ import annotations

import uuid
from datetime import timedelta

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils.crypto import get_random_string, salted_hmac

from curation.models.project import Project


def _salt() -> str:
    return get_random_string(32)


class WebhookQuerySet(models.QuerySet["Webhook"]):
    def on(self) -> WebhookQuerySet:
        """Those that are told."""
        return self.filter(switched_off_at=None)


class Webhook(models.Model):
    """One address. Its signing key follows from the site's secret key, so that no copy of the database holds it."""

    class Family(models.TextChoices):
        ROUND = "round", "Rounds: each step, and what failed"
        GUARD = "guard", "Guards: trained, gone live"
        RELEASE = "release", "Releases: made"

    project = models.ForeignKey(Project, on_delete=models.PROTECT, related_name="webhooks")
    url = models.URLField(max_length=500)
    families = ArrayField(models.CharField(max_length=10, choices=Family.choices))
    salt = models.CharField(max_length=32, default=_salt, editable=False)
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)
    switched_off_at = models.DateTimeField(null=True)

    objects = WebhookQuerySet.as_manager()

    class Meta:
        ordering = ["id"]
        constraints = [models.UniqueConstraint(fields=["project", "url"], name="webhook_url_once")]

    def __str__(self) -> str:
        return f"webhook {self.pk}"

    @property
    def subject(self) -> str:
        return f"webhook:{self.pk}"

    @property
    def secret(self) -> str:
        """What its receiver checks signatures with (64 hex digits)."""
        return salted_hmac("curation.webhook", self.salt, algorithm="sha256").hexdigest()


class DeliveryQuerySet(models.QuerySet["Delivery"]):
    def due(self) -> DeliveryQuerySet:
        """Those whose time has come, by the database's clock, the oldest first."""
        return self.filter(due_at__lte=Now(), webhook__switched_off_at=None).order_by("due_at", "pk")


class Delivery(models.Model):
    """One event for one address: it waits (`due_at`), arrived (`arrived_at`), or was given up (neither)."""

    # Minutes between one try and the next: the last one is a day and a half after the first.
    PAUSES = tuple(timedelta(minutes=minutes) for minutes in (0.5, 2, 10, 60, 240, 720, 1200))

    webhook = models.ForeignKey(Webhook, on_delete=models.CASCADE, related_name="deliveries")
    key = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    event = models.CharField(max_length=40)
    about = models.JSONField(help_text="names and numbers; never the text of an example")
    created_at = models.DateTimeField(db_default=Now())
    due_at = models.DateTimeField(null=True, db_default=Now())
    arrived_at = models.DateTimeField(null=True)
    tries = models.PositiveSmallIntegerField(default=0)
    status = models.PositiveSmallIntegerField(null=True, help_text="what the last try was answered")
    error = models.CharField(max_length=200, blank=True)

    objects = DeliveryQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]
        indexes = [models.Index(fields=["due_at"], condition=Q(due_at__isnull=False), name="delivery_due")]

    def __str__(self) -> str:
        return f"{self.event} for {self.webhook}"

    @property
    def was_given_up(self) -> bool:
        return self.due_at is None and self.arrived_at is None
