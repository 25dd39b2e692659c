"""Signing in, and who asks."""

from __future__ import annotations

import ipaddress
from typing import Any

from django.conf import settings
from django.contrib.auth.backends import ModelBackend
from django.contrib.auth.models import User
from django.http import HttpRequest

BACKEND = "curation.people.Accounts"


class Accounts(ModelBackend):
    """Names and passwords. Every request asks for its person, so that question is not composed anew each time."""

    def get_user(self, user_id: Any) -> User | None:
        user = next(iter(User.objects.raw("SELECT * FROM auth_user WHERE id = %s", [user_id])), None)
        return user if user is not None and self.user_can_authenticate(user) else None


def address_of(request: HttpRequest) -> str | None:
    """Whose address a request came from; behind a proxy the one that the proxy saw, never what the client claims."""
    seen = request.headers.get("X-Forwarded-For", "").rsplit(",", 1)[-1].strip() if settings.BEHIND_TLS else ""
    try:
        return str(ipaddress.ip_address(seen or request.META.get("REMOTE_ADDR", "")))
    except ValueError:  # a Unix socket has none
        return None
