"""The audit trail as a chain: each entry carries the hash of the one before, so that none can change or go unseen.

The database makes the hashes, whoever inserts (see the migration). What nobody can see from within is a chain that was
cut at its end or made anew: note the head that `manage.py audit` prints somewhere else, and name it the next time.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING, Any

from django.db import connection, transaction
from django.db.models import Q, QuerySet

from curation.models import AuditEntry

if TYPE_CHECKING:
    from curation.models import Project

FIRST = "0" * 64
FETCH = 2000  # entries at a time
CONTENT = "SELECT link, previous, hash, curation_audit_content(entry) FROM curation_auditentry entry ORDER BY link"


@dataclass(frozen=True)
class Chain:
    """What came of looking at every link."""

    entries: int
    head: str
    broken_at: int | None = None  # the first entry that does not fit
    knows_head: bool = True  # whether the head that was noted earlier is still in it

    @property
    def holds(self) -> bool:
        return self.broken_at is None and self.knows_head


def verify(noted: str = "") -> Chain:
    """Make every hash again and compare; `noted` is a head that was written down earlier."""
    previous, seen, count = FIRST, not noted, 0
    for link, before, stored, content in contents():
        count += 1
        if link != count or before != previous or hashlib.sha256(content.encode()).hexdigest() != stored:
            return Chain(count, previous, broken_at=count, knows_head=seen)
        previous, seen = stored, seen or stored == noted
    return Chain(count, previous, knows_head=seen)


def contents() -> Iterator[tuple[int, str, str, str]]:
    """Each link's number, the hash before, its hash, and the text that was hashed; in order."""
    with transaction.atomic(), connection.chunked_cursor() as cursor:
        cursor.execute(CONTENT)
        while rows := cursor.fetchmany(FETCH):
            yield from rows


@dataclass(frozen=True)
class Question:
    """Which entries: what is left out does not narrow. Words and subjects are parts, people are whole names."""

    what: str = ""
    who: str = ""
    about: str = ""
    since: date | None = None
    until: date | None = None  # this day too


ANY = Question()


def search(project: Project, asked: Question = ANY, before: int | None = None) -> QuerySet[AuditEntry]:
    """A project's entries that fit, newest first; those before a link where one is named."""
    found = project.audit.select_related("actor").order_by("-link")
    if asked.what:
        found = found.filter(action__icontains=asked.what.replace(" ", "-"))
    if asked.who:
        found = found.filter(actor__username__iexact=asked.who)
    if asked.about:
        named = Q(subject__icontains=asked.about.replace(" ", ":")) | Q(detail__name__icontains=asked.about)
        found = found.filter(named)
    if asked.since:
        found = found.filter(at__gte=_midnight(asked.since))
    if asked.until:
        found = found.filter(at__lt=_midnight(asked.until + timedelta(days=1)))
    return found.filter(link__lt=before) if before is not None else found


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time.min, tzinfo=UTC)


def rows(entries: QuerySet[AuditEntry]) -> Iterator[dict[str, Any]]:
    """Entries as they are exported, in few at a time."""
    for one in entries.iterator(chunk_size=FETCH):
        yield {
            "link": one.link, "at": one.at.isoformat(), "actor": one.actor.get_username() if one.actor else "",
            "action": one.action, "subject": one.subject, "detail": one.detail, "previous": one.previous,
            "hash": one.hash,
        }  # fmt: skip
