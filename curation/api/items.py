"""From leases to what the desk shows, in a fixed number of queries however many there are."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

from django.contrib.auth.models import User
from django.db.models import Count, DurationField, Exists, ExpressionWrapper, F, OuterRef, Subquery
from django.db.models.functions import Coalesce, Extract, Now, TruncDay

from curation.models import Comment, Example, Finding, Flag, Lease, Preferences, Project, Verdict
from curation.operations import queue

MANY = 100  # waiting examples; counting further tells nobody more
UNSHOWN = ("embedding", "stage_settings", "model_digest")


def items_of(project: Project, reviewer: User, leases: Sequence[Lease]) -> list[dict[str, Any]]:
    """The items of these leases, in their order."""
    if not leases:
        return []
    rows = {lease.pk: lease for lease in _loaded([lease.pk for lease in leases])}
    findings = _findings(lease.example_id for lease in leases)
    severities = {one.key: one.severity for one in project.policy_version.taxonomy}
    veil = veil_severity(project, reviewer)
    shown = []
    for row in (rows[lease.pk] for lease in leases if lease.pk in rows):
        keys = row.example.proposed_categories
        severity = max((severities.get(key, 0) for key in keys), default=0)
        item = _facts(row, project) | {"severity": severity, "veiled": severity >= veil}
        shown.append(item | {"findings": findings[row.example_id]})
    return shown


def _loaded(ids: list[int]) -> Iterable[Any]:
    """Leases with their examples and everything that is counted about them."""
    said = Comment.objects.filter(example=OuterRef("example")).order_by().values("example")
    left = ExpressionWrapper(F("expires_at") - Now(), output_field=DurationField())
    found = Lease.objects.filter(pk__in=ids).select_related("example__parent").annotate(
        left=Extract(left, "epoch"),
        flagged=Exists(Flag.objects.filter(example=OuterRef("example"), resolved_at=None)),
        said=Coalesce(Subquery(said.annotate(count=Count("pk")).values("count")), 0),
    )  # fmt: skip
    hidden = [f"example__{name}" for name in UNSHOWN] + [f"example__parent__{name}" for name in (*UNSHOWN, "scores")]
    return found.defer(*hidden)


def _findings(examples: Iterable[int]) -> dict[int, list[dict[str, Any]]]:
    found: dict[int, list[dict[str, Any]]] = defaultdict(list)
    for row in Finding.objects.filter(example__in=list(examples)).order_by("pk"):
        shown = {"filter": row.filter, "keep": row.keep, "score": row.score, "reason": row.reason}
        found[row.example_id].append(shown)
    return found


def _facts(row: Any, project: Project) -> dict[str, Any]:
    example: Example = row.example
    parent = example.parent
    return {
        "lease": row.pk, "expires_in": max(int(row.left), 0), "example": example.pk, "version": example.version,
        "text": example.text, "language": example.language, "origin": example.origin, "stage": example.stage,
        "recipe": example.prompt, "priority_reason": example.priority_reason,
        "proposed": {"label": example.proposed_label, "categories": example.proposed_categories},
        "parent": {"id": parent.pk, "text": parent.text, "label": parent.current_label} if parent else None,
        "guard": None if project.review_rules.blind else {"score": example.scores.get("guard")},
        "masks": example.scores.get("masks", []), "flagged": row.flagged, "comments": row.said,
    }  # fmt: skip


def veil_severity(project: Project, reviewer: User) -> int:
    """From which severity on a text is veiled for this person: their own choice, else the project's."""
    own = Preferences.of(reviewer)
    chosen = own.veil_severity if own else None
    return project.review_rules.veil_severity if chosen is None else chosen


def counts(project: Project, reviewer: User) -> dict[str, Any]:
    """What this person judged today, and what waits for them beside what they hold, counted up to a hundred."""
    mine = Verdict.objects.current().filter(reviewer=reviewer, created_at__gte=TruncDay(Now()))
    judged = mine.exclude(decision=Verdict.Decision.SKIP).filter(example__project=project).count()
    waiting = queue.waiting(project, reviewer)[: MANY + 1].count()
    return {"mine_today": judged, "waiting": min(waiting, MANY), "waiting_capped": waiting > MANY}
