"""The audit trail as a chain: each entry carries the hash of the one before, so that none can change or go unseen.

The database makes the hashes, whoever inserts (see the migration). What nobody can see from within is a chain that was
cut at its end or made anew: note the head that `manage.py audit` prints somewhere else, and name it the next time.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.db import connection, transaction
from django.db.models import Q

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


def search(project: Project, words: str = "", before: int | None = None) -> Any:
    """A project's entries, newest first: those whose act, subject or person holds the words."""
    found = project.audit.select_related("actor").order_by("-link")
    if words:
        named = Q(action__icontains=words) | Q(subject__icontains=words) | Q(actor__username__icontains=words)
        found = found.filter(named)
    return found.filter(link__lt=before) if before is not None else found


__all__ = ["AuditEntry", "Chain", "contents", "search", "verify"]
