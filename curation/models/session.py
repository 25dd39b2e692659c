"""Sessions that know whose they are, so that a person can see and end their own."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from django.conf import settings
from django.contrib.sessions.base_session import AbstractBaseSession, BaseSessionManager
from django.db import models
from django.db.models.functions import Now

if TYPE_CHECKING:
    from django.contrib.auth.models import User
    from django.contrib.sessions.backends.base import SessionBase

BROWSERS = (
    ("Edg", "Edge"), ("OPR/", "Opera"), ("Firefox/", "Firefox"), ("Chrome/", "Chrome"), ("Safari/", "Safari"),
    ("curl/", "curl"),
)  # fmt: skip
SYSTEMS = (
    ("Android", "Android"), ("iPhone", "iPhone"), ("iPad", "iPad"), ("Windows", "Windows"), ("Mac OS X", "macOS"),
    ("Linux", "Linux"),
)  # fmt: skip


class SessionManager(BaseSessionManager["Session"]):
    def of(self, user: User) -> models.QuerySet[Session]:
        """The user's sessions that still hold, the latest used first."""
        return self.filter(user=user, expire_date__gt=Now()).order_by("-seen_at")


class Session(AbstractBaseSession):
    """One browser that signed in. `curation/sessions.py` fills the columns from what the session holds."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.CASCADE, related_name="sessions")
    agent = models.CharField(max_length=200, blank=True, help_text="what the browser says it is")
    began_at = models.DateTimeField(null=True)
    seen_at = models.DateTimeField(null=True)

    objects = SessionManager()  # type: ignore[misc]

    @classmethod
    def get_session_store_class(cls) -> type[SessionBase]:
        from curation.sessions import SessionStore

        return SessionStore

    @property
    def sign(self) -> str:
        """A name for pages: the key itself is as good as a password."""
        return hashlib.sha256(self.session_key.encode()).hexdigest()[:24]

    @property
    def browser(self) -> str:
        """What a person would call it; browsers claim to be others too, so the order counts."""
        name = next((word for sign, word in BROWSERS if sign in self.agent), "")
        system = next((word for sign, word in SYSTEMS if sign in self.agent), "")
        return ", ".join(filter(None, (name, system)))
