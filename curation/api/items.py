"""From leases to what the desk shows, in a fixed number of queries however many there are.

Every claim comes by here, so what it asks is written once as SQL and not composed anew each time.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from django.contrib.auth.models import User
from django.db import connection

from curation.models import Lease, Preferences, Project
from curation.operations import pool, priority
from pipeline.filters import judges_label

MANY = 100  # waiting examples; counting further tells nobody more
ITEMS = """
SELECT l.id, greatest(0, extract(epoch FROM l.expires_at - statement_timestamp()))::int, l.held,
    e.id, e.version, e.text, e.language, e.origin, e.stage, e.prompt, e.proposed_label, e.proposed_categories,
    e.priority_reason, e.scores->'guard', e.scores->'masks',
    p.id, p.text, CASE WHEN p.label = '' THEN p.proposed_label ELSE p.label END,
    EXISTS (SELECT 1 FROM curation_flag f WHERE f.example_id = e.id AND f.resolved_at IS NULL),
    (SELECT count(*) FROM curation_comment c WHERE c.example_id = e.id),
    (SELECT json_agg(json_build_object('filter', filter, 'keep', keep, 'score', score, 'reason', reason) ORDER BY id)
     FROM curation_finding WHERE example_id = e.id)
FROM curation_lease l JOIN curation_example e ON e.id = l.example_id LEFT JOIN curation_example p ON p.id = e.parent_id
WHERE l.id = ANY(%s)
"""
FIELDS = (
    "lease", "expires_in", "held", "example", "version", "text", "language", "origin", "stage", "recipe", "label",
    "categories", "priority_reason", "guard", "masks", "parent", "parent_text", "parent_label", "flagged", "comments",
    "findings",
)  # fmt: skip


def items_of(project: Project, reviewer: User, leases: Sequence[Lease]) -> list[dict[str, Any]]:
    """The items of these leases, in their order."""
    if not leases:
        return []
    severities = {one.key: one.severity for one in project.policy_version.taxonomy}
    veil = veil_severity(project, reviewer)
    shown = {}
    for row in _rows([lease.pk for lease in leases]):
        severity = max((severities.get(key, 0) for key in row["categories"]), default=0)
        shown[row["lease"]] = _item(row, project) | {"severity": severity, "veiled": severity >= veil}
    return [shown[lease.pk] for lease in leases if lease.pk in shown]


def _rows(ids: list[int]) -> list[dict[str, Any]]:
    with connection.cursor() as cursor:
        cursor.execute(ITEMS, [ids])
        return [dict(zip(FIELDS, row, strict=True)) for row in cursor.fetchall()]


def _item(row: dict[str, Any], project: Project) -> dict[str, Any]:
    """The contract's shape of one row. What it is for stays here: a known question looks like any other."""
    parent = {"id": row["parent"], "text": row.pop("parent_text"), "label": row.pop("parent_label")}
    proposed = {"label": row.pop("label"), "categories": row.pop("categories")}
    blind, findings = project.review_rules.blind, _json(row["findings"]) or []
    guard = None if blind else {"score": _json(row["guard"])}
    if blind:
        findings = [finding for finding in findings if not judges_label(finding["filter"])]
        if priority.tells_of_a_machine(row["priority_reason"]):
            row["priority_reason"] = ""
    seen = {"guard": guard, "masks": _json(row["masks"]) or [], "findings": findings}
    return row | seen | {"proposed": proposed, "parent": parent if row["parent"] else None}


def _json(value: Any) -> Any:
    """JSON comes as text where Django set the connection up, and decoded where psycopg did."""
    return json.loads(value) if isinstance(value, str) else value


def veil_severity(project: Project, reviewer: User) -> int:
    """From which severity on a text is veiled for this person: their own choice, else the project's."""
    own = Preferences.of(reviewer)
    chosen = own.veil_severity if own else None
    return project.review_rules.veil_severity if chosen is None else chosen


def counts(project: Project, reviewer: User) -> dict[str, Any]:
    """What this person judged today, and what waits for them beside what they hold, counted up to a hundred."""
    judged, waiting = pool.counts(project, reviewer, MANY + 1)
    return {"mine_today": judged, "waiting": min(waiting, MANY), "waiting_capped": waiting > MANY}
