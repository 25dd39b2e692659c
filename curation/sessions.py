"""Sessions with an owner: the row is the truth, Redis saves asking for it. See `curation/models/session.py`."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, cast

from django.contrib.auth import SESSION_KEY
from django.contrib.sessions.backends.cached_db import SessionStore as CachedStore
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils import timezone

if TYPE_CHECKING:
    from django.contrib.auth.models import User

    from curation.models import Session

BEGAN, SEEN, AGENT = "began", "seen", "agent"  # of the session's data
OFTEN = timedelta(minutes=10)  # how exactly a person is told when a session was last used


class SessionStore(CachedStore):
    """Keeps beside the session whose it is, since when, and what browser it is."""

    cache_key_prefix = "curation.sessions"

    @classmethod
    def get_model_class(cls) -> type[Session]:
        from curation.models import Session

        return Session

    def create_model_instance(self, data: dict[str, Any]) -> Session:
        row = cast("Session", super().create_model_instance(data))
        row.user_id = int(data[SESSION_KEY]) if SESSION_KEY in data else None
        row.agent = data.get(AGENT, "")
        row.began_at, row.seen_at = (_time(data.get(name)) for name in (BEGAN, SEEN))
        return row


def _time(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


def remember(get_response: Callable[[HttpRequest], HttpResponseBase]) -> Callable[[HttpRequest], HttpResponseBase]:
    """Middleware: note when a session was used, at most every ten minutes; who signed in just now is noted at once."""

    def middleware(request: HttpRequest) -> HttpResponseBase:
        response = get_response(request)
        session = request.session
        if session.accessed and SESSION_KEY in session:
            now, seen = timezone.now(), _time(session.get(SEEN))
            if seen is None or now - seen > OFTEN:
                session.setdefault(BEGAN, now.isoformat())
                session[SEEN] = now.isoformat()
                session[AGENT] = request.headers.get("User-Agent", "")[:200]
        return response

    return middleware


def end(user: User, *, but: str | None, sign: str = "") -> int:
    """Sign the user out everywhere but in the session with the key `but`, or where `sign` says; return of how many."""
    from curation.models import Session

    others = [row for row in Session.objects.of(user) if row.session_key != but and sign in ("", row.sign)]
    for row in others:
        SessionStore(row.session_key).delete()
    return len(others)
