"""Keys of a project's moderation API: made once, shown once, revoked for ever."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db import IntegrityError, transaction
from django.utils import timezone

from curation.models import ApiKey, AuditEntry, Project
from curation.operations import Refused

if TYPE_CHECKING:
    from django.contrib.auth.models import User


def make(project: Project, by: User | None, name: str, quota: int) -> tuple[ApiKey, str]:
    """Make a key; return it and its secret, which nobody can look up again.

    Raises:
        Refused: a live key of that name exists.
    """
    key = ApiKey(project=project, name=name, quota=quota, created_by=by)
    secret = key.draw()
    try:
        with transaction.atomic():
            key.save()
            _note(key, by, "api-key-made")
    except IntegrityError:
        raise Refused(f"There is a key named {name} already.", "Choose another name, or revoke that one.") from None
    return key, secret


def revoke(key: ApiKey, by: User | None) -> None:
    """End a key; doing it twice is doing it once."""
    with transaction.atomic():
        if ApiKey.objects.live().filter(pk=key.pk).update(revoked_at=timezone.now(), revoked_by=by):
            _note(key, by, "api-key-revoked")


def _note(key: ApiKey, by: User | None, action: str) -> None:
    AuditEntry.objects.create(
        project=key.project, actor=by, action=action, subject=f"apikey:{key.pk}", detail={"name": key.name}
    )
