"""Rows for programs that read a project's data: by id, from a place on, so many at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.db import connection

from curation.models import Project, Release, Verdict

if TYPE_CHECKING:
    from django.contrib.auth.models import User

ROWS = """
SELECT e.id, CASE WHEN e.version = r.version THEN e.text
    ELSE (SELECT v.text FROM curation_revision v WHERE v.example_id = e.id AND v.number = r.version) END AS text,
    r.label, r.categories, e.family, e.language, e.origin, e.parent_id AS parent, r.split, r.source AS label_source
FROM curation_releaserow r JOIN curation_example e ON e.id = r.example_id
WHERE r.release_id = %(release)s AND r.example_id > %(after)s AND (%(split)s = '' OR r.split = %(split)s)
ORDER BY r.example_id LIMIT %(limit)s
"""


def projects(user: User) -> list[dict[str, Any]]:
    """The user's projects with their role in each."""
    found = user.memberships.select_related("project").order_by("project__slug")
    return [{"slug": one.project.slug, "name": one.project.name, "role": one.role} for one in found]


def verdicts(project: Project, after: int, limit: int) -> list[dict[str, Any]]:
    """The log from a verdict on."""
    found = Verdict.objects.filter(example__project=project, pk__gt=after).select_related("reviewer").order_by("pk")
    return [
        {
            "id": one.pk, "example": one.example_id, "version": one.version, "maker": one.maker,
            "reviewer": one.reviewer and one.reviewer.get_username(), "decision": one.decision, "label": one.label,
            "categories": one.categories, "reason": one.reason, "confidence": one.confidence, "purpose": one.purpose,
            "supersedes": one.supersedes_id, "at": one.created_at,
        }
        for one in found[:limit]
    ]  # fmt: skip


def releases(project: Project) -> list[dict[str, Any]]:
    """All releases that are done, the newest first."""
    return [
        {
            "number": one.number, "digest": one.digest, "rows": one.counts.get("rows", 0), "files": one.files,
            "released_at": one.released_at,
        }
        for one in project.releases.ready().order_by("-number")
    ]  # fmt: skip


def rows(release: Release, split: str, after: int, limit: int) -> list[dict[str, Any]]:
    """A release's rows from an example on, as they were frozen."""
    with connection.cursor() as cursor:
        cursor.execute(ROWS, {"release": release.pk, "split": split, "after": after, "limit": limit})
        names = [column.name for column in cursor.description or ()]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
