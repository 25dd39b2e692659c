"""The pool: what anybody may claim. Asked at every claim, so it is written once as SQL and not composed anew each time.

`ExampleQuerySet.with_free_slot`, `not_held_by` and `unjudged_by` say the same for the rarer questions.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Any

from django.db import connection

from curation.models import Project, ReviewRules

if TYPE_CHECKING:
    from django.contrib.auth.models import User

ORDERS = {
    ReviewRules.Order.INFORMATIVE: "e.priority DESC, e.id",
    ReviewRules.Order.OLDEST: "e.id",
    ReviewRules.Order.RANDOM: "e.draw, e.id",
}
# OFFSET 0 as in `curation.models.example.Probe`, and for the same reason. Adding 0 keeps the planner from reading all
# that a person ever judged to find the one verdict on an example.
WAITS = """
e.project_id = %(project)s AND e.state = 'queued' AND NOT e.reserved
AND NOT EXISTS (SELECT 1 FROM curation_lease l WHERE l.example_id = e.id AND l.closed_at IS NULL
    AND (l.reviewer_id = %(reviewer)s OR l.purpose = 'queue' AND %(one)s) OFFSET 0)
AND NOT EXISTS (SELECT 1 FROM curation_verdict v WHERE v.example_id = e.id AND v.reviewer_id + 0 = %(reviewer)s
    AND v.decision <> 'withdraw'
    AND NOT EXISTS (SELECT 1 FROM curation_verdict w WHERE w.supersedes_id = v.id) OFFSET 0)
AND (%(one)s OR coalesce(e.overlap, %(overlap)s) > (
    SELECT count(*) FROM curation_lease l WHERE l.example_id = e.id AND l.purpose = 'queue'
    AND (l.closed_at IS NULL OR l.ended = 'verdict' AND EXISTS (
        SELECT 1 FROM curation_verdict v WHERE v.lease_id = l.id
        AND NOT EXISTS (SELECT 1 FROM curation_verdict w WHERE w.supersedes_id = v.id)))))
"""
PICK = """
SELECT e.id, e.proposed_categories FROM curation_example e WHERE {waits}
AND NOT e.proposed_categories && %(avoid)s::varchar[] AND (%(adversarial)s OR e.origin <> 'adversarial')
AND e.id <> ALL(%(but)s::bigint[]) ORDER BY {order} LIMIT %(count)s FOR UPDATE OF e SKIP LOCKED
"""
COUNTS = f"""
SELECT (
    SELECT count(*) FROM curation_verdict v
    WHERE v.reviewer_id = %(reviewer)s AND v.created_at >= date_trunc('day', statement_timestamp())
    AND v.decision NOT IN ('skip', 'withdraw')
    AND NOT EXISTS (SELECT 1 FROM curation_verdict w WHERE w.supersedes_id = v.id OFFSET 0)
), (
    -- From the far end, where nobody holds anything: the near end is what everybody has in hand.
    SELECT count(*) FROM (
        SELECT 1 FROM curation_example e WHERE {WAITS} ORDER BY e.priority, e.id DESC LIMIT %(most)s
    ) waiting
)
"""  # noqa: S608 - put together from what stands above


def _values(project: Project, reviewer: User, **more: Any) -> dict[str, Any]:
    rules = project.review_rules
    who = {"project": project.pk, "reviewer": reviewer.pk}
    return {**who, "one": rules.one_decides, "overlap": rules.overlap, **more}


def pick(
    project: Project,
    reviewer: User,
    count: int,
    *,
    avoid: Collection[str] = (),
    but: Sequence[int] = (),
    adversarial: bool = True,
) -> list[tuple[int, list[str]]]:
    """Lock the first that wait for this person and that nobody else is looking at; ids and proposed categories."""
    statement = PICK.format(waits=WAITS, order=ORDERS[ReviewRules.Order(project.review_rules.order)])
    values = _values(project, reviewer, count=count, avoid=list(avoid), but=list(but), adversarial=adversarial)
    with connection.cursor() as cursor:
        cursor.execute(statement, values)
        return [(pk, list(categories)) for pk, categories in cursor.fetchall()]


def counts(project: Project, reviewer: User, most: int) -> tuple[int, int]:
    """What this person judged today, here and elsewhere, and what waits for them in the pool, counted up to `most`."""
    with connection.cursor() as cursor:
        cursor.execute(COUNTS, _values(project, reviewer, most=most))
        judged, waiting = cursor.fetchone()
    return int(judged), int(waiting)
