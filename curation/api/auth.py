"""Who asks: somebody signed in, whose writes carry a CSRF token, or a program with a personal token."""

from __future__ import annotations

from datetime import timedelta

from django.contrib.auth.models import User
from django.db.models import Q
from django.db.models.functions import Now
from django.http import Http404, HttpRequest
from ninja.security import HttpBearer, SessionAuth

from curation.models import PersonalToken, Project

USED_AGAIN = timedelta(minutes=1)  # how exactly a token's last use is noted


class Session(SessionAuth):
    """The cookie of somebody who signed in; unsafe methods need the CSRF header."""

    def authenticate(self, request: HttpRequest, key: str | None) -> User | None:
        return request.user if isinstance(request.user, User) and request.user.is_active else None


class BearerToken(HttpBearer):
    """`Authorization: Bearer wst_…`: a personal token with the scope `review`."""

    def authenticate(self, request: HttpRequest, token: str) -> User | None:
        found = PersonalToken.objects.find(token)
        if found is None or PersonalToken.Scope.REVIEW not in found.scopes:
            return None
        unnoted = Q(last_used_at=None) | Q(last_used_at__lt=Now() - USED_AGAIN)
        PersonalToken.objects.filter(unnoted, pk=found.pk).update(last_used_at=Now())
        request.user = found.user
        return found.user


def project_of(request: HttpRequest, slug: str) -> Project:
    """The project, where the person may review in it."""
    found = Project.objects.reviewed_by(request.user).select_related("policy_version", "rules").filter(slug=slug)
    project = found.first()
    if project is None:
        raise Http404
    return project
