"""Signing in, and who asks."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.backends import ModelBackend
from django.contrib.auth.models import User


class Accounts(ModelBackend):
    """Names and passwords. Every request asks for its person, so that question is not composed anew each time."""

    def get_user(self, user_id: Any) -> User | None:
        user = next(iter(User.objects.raw("SELECT * FROM auth_user WHERE id = %s", [user_id])), None)
        return user if user is not None and self.user_can_authenticate(user) else None
