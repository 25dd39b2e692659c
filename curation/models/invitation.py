"""Invitations: a link for one person, once, for a while. Only its hash is kept; the link itself is shown once."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from curation.models.project import Project, Role
from curation.models.token import digest

if TYPE_CHECKING:
    from datetime import datetime

    from django.contrib.auth.models import User


class InvitationQuerySet(models.QuerySet["Invitation"]):
    def open(self) -> InvitationQuerySet:
        """Neither used nor revoked nor expired, by the database's clock."""
        return self.filter(accepted_at=None, revoked_at=None, expires_at__gt=Now())

    def issue(
        self, name: str, expires_at: datetime, *, project: Project | None, role: str, by: User | None
    ) -> tuple[str, Invitation]:
        """Make an invitation; return the secret of its link, which nobody can read again, and its row."""
        secret = secrets.token_urlsafe(32)
        row = self.create(
            project=project, role=role, name=name, hash=digest(secret), expires_at=expires_at, created_by=by
        )
        return secret, row

    def find(self, secret: str) -> Invitation | None:
        """The invitation with this secret, whatever became of it."""
        return self.select_related("project", "created_by").filter(hash=digest(secret)).first()


class Invitation(models.Model):
    """Lets whoever has its link in: into a project, or onto the site as somebody who may make projects."""

    project = models.ForeignKey(Project, null=True, on_delete=models.PROTECT, related_name="invitations")
    role = models.CharField(max_length=12, choices=Role.choices, blank=True)
    name = models.CharField(max_length=80, help_text="for whom; it is proposed as the name of the account")
    hash = models.CharField(max_length=64, unique=True)
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField()
    revoked_at = models.DateTimeField(null=True)
    accepted_at = models.DateTimeField(null=True)
    accepted_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, related_name="+")

    objects = InvitationQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.CheckConstraint(
                condition=Q(project=None, role="") | (Q(project__isnull=False) & ~Q(role="")),
                name="an_invitation_to_a_project_says_as_what",
            ),
        ]

    def __str__(self) -> str:
        return f"invitation {self.pk}"
