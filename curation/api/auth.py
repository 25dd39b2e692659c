"""Who asks: somebody signed in, whose writes carry a CSRF token, or a program with a personal token."""

from __future__ import annotations

from copy import copy
from datetime import datetime, timedelta
from functools import lru_cache

from django.contrib.auth.models import User
from django.db import connection
from django.db.models import Q
from django.db.models.functions import Now
from django.http import Http404, HttpRequest
from ninja.security import HttpBearer, SessionAuth

from curation.models import PersonalToken, Project
from curation.models.project import REVIEWERS

USED_AGAIN = timedelta(minutes=1)  # how exactly a token's last use is noted


class Session(SessionAuth):
    """The cookie of somebody who signed in; unsafe methods need the CSRF header."""

    def authenticate(self, request: HttpRequest, key: str | None) -> User | None:
        return request.user if isinstance(request.user, User) and request.user.is_active else None


class BearerToken(HttpBearer):
    """`Authorization: Bearer wst_…`: a personal token with a scope."""

    def __init__(self, scope: str) -> None:
        super().__init__()
        self._scope = scope

    def authenticate(self, request: HttpRequest, token: str) -> User | None:
        found = PersonalToken.objects.find(token)
        if found is None or self._scope not in found.scopes:
            return None
        unnoted = Q(last_used_at=None) | Q(last_used_at__lt=Now() - USED_AGAIN)
        PersonalToken.objects.filter(unnoted, pk=found.pk).update(last_used_at=Now())
        request.user = found.user
        return found.user


MEMBER = """
SELECT p.id, p.policy_version_id, r.changed_at,
    EXISTS (SELECT 1 FROM curation_batch b WHERE b.project_id = p.id AND b.closed_at IS NULL)
FROM curation_project p
JOIN curation_membership m ON m.project_id = p.id LEFT JOIN curation_reviewrules r ON r.project_id = p.id
WHERE p.slug = %s AND m.user_id = %s AND m.role = ANY(%s)
"""


def project_of(request: HttpRequest, slug: str) -> Project:
    """The project, where the person may review in it. Whether they may is asked each time, the rest is remembered."""
    with connection.cursor() as cursor:
        cursor.execute(MEMBER, [slug, request.user.pk, list(REVIEWERS)])
        row = cursor.fetchone()
    if row is None:
        raise Http404
    project = copy(_project(*row[:3]))
    project.has_batches = row[3]
    return project


@lru_cache(maxsize=256)
def _project(pk: int, policy_version: int, rules_changed_at: datetime | None) -> Project:
    """A project with its policy and rules; what may change of them is part of the key."""
    project = Project.objects.select_related("policy_version", "rules").get(pk=pk)
    _ = project.policy_version.taxonomy  # so that copies share it
    return project
