"""What people should see first, and why: computed by workers over stored scores and embeddings, in few statements.

Each reason has a weight between 0 and 1; an example's priority is their sum and the heaviest is the reason that is
shown. Uncertainty sampling goes back to Lewis and Gale, A Sequential Algorithm for Training Text Classifiers (1994);
disagreement to query by committee, Seung et al. (1992).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from django.conf import settings
from django.db import connection, transaction
from django.db.models import Q

from curation.models import Example, Guard, Job, Project
from curation.models.example import STALE, ExampleQuerySet
from curation.operations.jobs import Attempt, finish
from pipeline.filters.label_judge import CONTRADICTED

CHUNK = 1_000
NEWEST = 20_000  # decided examples that novelty is measured against: older ones have close relatives among them
# How far each example is from the nearest decided one: kept with it, because it costs a pass over all that is decided.
NOVELTY = """
WITH decided AS MATERIALIZED (
    SELECT id, embedding FROM curation_example WHERE project_id = %(project)s
    AND state IN ('accepted', 'rejected') AND embedding IS NOT NULL ORDER BY id DESC LIMIT %(newest)s
)
UPDATE curation_example e SET scores = e.scores || jsonb_build_object(
    'nearest', near.id, 'nearest_distance', round(near.distance::numeric, 4))
FROM (
    SELECT q.id AS example, n.* FROM curation_example q CROSS JOIN LATERAL (
        SELECT d.id, d.embedding <=> q.embedding AS distance FROM decided d WHERE d.id <> q.id
        ORDER BY d.embedding <=> q.embedding LIMIT 1
    ) n
    WHERE q.id = ANY(%(examples)s) AND q.embedding IS NOT NULL
) near WHERE e.id = near.example
"""


def tells_of_a_machine(reason: str) -> bool:
    """Whether a reason says what guard or judge think, which a blind reviewer should not know before their verdict."""
    return "guard" in reason.lower() or "judge" in reason.lower()


PRIORITY = """
WITH judge AS (
    SELECT DISTINCT ON (f.example_id) f.example_id, f.score, f.reason = %(contradicted)s AS contradicted
    FROM curation_finding f
    JOIN curation_example q ON q.id = f.example_id AND q.project_id = %(project)s AND q.state = 'queued'
    WHERE f.filter = 'label-judge' AND (f.score IS NOT NULL OR f.reason = %(contradicted)s)
    ORDER BY f.example_id, f.id DESC
), known AS (
    SELECT e.id, e.origin, e.proposed_categories, (e.scores->>'guard')::float AS guard, judge.score AS judge,
           judge.contradicted, (e.scores->>'nearest_distance')::float AS apart
    FROM curation_example e LEFT JOIN judge ON judge.example_id = e.id
    WHERE e.project_id = %(project)s AND e.state = 'queued'
), reasons AS (
    SELECT known.id, why.weight, why.reason FROM known CROSS JOIN LATERAL (VALUES
        (1 - 2 * abs(guard - 0.5), format('The guard is torn: %%s', round(guard::numeric, 2))),
        (abs(guard - judge), format('Guard and judge disagree: %%s and %%s',
            round(guard::numeric, 2), round(judge::numeric, 2))),
        (CASE WHEN guard IS NULL THEN 1 - 2 * abs(judge - 0.5) END,
            format('The judge is torn: %%s', round(judge::numeric, 2))),
        (CASE WHEN contradicted THEN 1.0 END, 'The judges contradict each other'),
        (CASE WHEN apart IS NOT NULL THEN 0.5 * least(apart, 1) END, 'Unlike anything decided so far'),
        (CASE WHEN origin = 'adversarial' THEN 1.0 END, 'The adversary found it'),
        (CASE WHEN origin = 'template' THEN 0.5 END, 'One of a contrast pair')
    ) AS why (weight, reason) WHERE why.weight IS NOT NULL
    UNION ALL
    SELECT known.id, quota.weight, quota.reason FROM known
    JOIN jsonb_to_recordset(%(quotas)s::jsonb) AS quota (category text, weight float, reason text)
    ON quota.category = ANY(known.proposed_categories)
), summed AS (
    SELECT known.id, coalesce(sum(weight), 0) AS priority,
           coalesce((array_agg(reason ORDER BY weight DESC) FILTER (WHERE weight > 0))[1], '') AS reason
    FROM known LEFT JOIN reasons ON reasons.id = known.id GROUP BY known.id
)
UPDATE curation_example e SET priority = summed.priority, priority_reason = summed.reason
FROM summed WHERE e.id = summed.id
AND (e.priority, e.priority_reason) IS DISTINCT FROM (summed.priority, summed.reason)
"""


def prioritize(project: Project) -> int:
    """Order everything that waits in the project anew, from what is stored; return how many places changed."""
    with connection.cursor() as cursor:
        values = {"quotas": json.dumps(shortfalls(project)), "contradicted": CONTRADICTED}
        cursor.execute(PRIORITY, {"project": project.pk, **values})
        return int(cursor.rowcount)


def shortfalls(project: Project) -> list[dict[str, Any]]:
    """Categories with fewer decided examples than the rules want, each with the share that is missing."""
    quotas: dict[str, int] = project.review_rules.category_quotas
    names, found = project.category_names(), []
    for category, wanted in quotas.items():
        there = project.examples.decided().filter(categories__contains=[category]).count()
        if there < wanted:
            reason = f"Few decided yet: {names.get(category, category)}, {there} of {wanted}"
            found.append({"category": category, "weight": 1 - there / wanted, "reason": reason[:120]})
    return found


def measure_novelty(project: Project, examples: Sequence[int]) -> None:
    """Store how far each of these is from the nearest decided example, and which one that is."""
    values: dict[str, Any] = {"project": project.pk, "examples": list(examples), "newest": NEWEST}
    with connection.cursor() as cursor:
        cursor.execute(NOVELTY, values)


def arrived(project: Project, examples: ExampleQuerySet) -> None:
    """Give candidates that enter review their place, and have the active guard look at them where there is one."""
    measure_novelty(project, list(examples.values_list("pk", flat=True)))
    prioritize(project)
    if unscored(project).exists():
        Job.objects.enqueue(Job.Kind.PRIORITIZE, project)


def active_guard(project: Project) -> Guard | None:
    return project.guards.filter(state=Guard.State.ACTIVE).first()


def unscored(project: Project) -> ExampleQuerySet:
    """What waits and was not scored by the active guard; nothing where there is none."""
    guard, waiting = active_guard(project), project.examples.filter(state=Example.State.QUEUED)
    if guard is None:
        return waiting.none()
    return waiting.exclude(Q(scores__guard_digest=guard.digest, scores__guard__isnull=False))


def score(attempt: Attempt) -> None:
    """The job: have the active guard score what waits, then order the queue anew."""
    _measure(attempt, unscored(attempt.job.project), embed=False)


def rescore(attempt: Attempt) -> None:
    """The job: measure edited texts again, by embedding and by guard, then order the queue anew."""
    _measure(attempt, attempt.job.project.examples.filter(STALE), embed=True)


def _measure(attempt: Attempt, examples: ExampleQuerySet, *, embed: bool) -> None:
    job, project = attempt.job, attempt.job.project
    guard, columns = active_guard(project), examples.order_by("pk").values_list("pk", "text", "version")
    rows = [{"id": str(pk), "text": text, "version": version} for pk, text, version in columns]
    scores = _run(attempt, "score", rows, {"model": str(settings.ARTIFACTS_DIR / guard.path)}) if guard else {}
    vectors = _run(attempt, "embed", rows, {}) if embed else {}
    with transaction.atomic():
        job.fence()
        _store(scores, vectors, guard)
        measure_novelty(project, [pk for pk, _ in vectors])
        prioritize(project)
        finish(attempt)
        if embed and project.examples.filter(STALE).exists():  # edited while the programs ran
            Job.objects.enqueue(Job.Kind.RESCORE, project)


Measured = dict[tuple[int, int], dict[str, Any]]  # by id and version of the text


def _run(attempt: Attempt, program: str, rows: list[dict[str, Any]], wanted: dict[str, Any]) -> Measured:
    """What a program of the guard says of each text. An earlier attempt may have given it other versions than now."""
    if not rows:
        return {}
    folder = attempt.run(["classifier", program], {"settings": wanted}, {"input.parquet": rows}, program)
    versions = {row["id"]: int(row["version"]) for row in folder.rows("input.parquet")}
    return {(int(row["id"]), versions[row["id"]]): row for row in folder.rows("output.parquet")}


def _store(scores: Measured, vectors: Measured, guard: Guard | None) -> None:
    """Keep what was measured of texts that nobody changed meanwhile."""
    ids = {pk for pk, _ in (*scores, *vectors)}
    found = list(Example.objects.filter(pk__in=ids).select_for_update(of=("self",)).order_by("pk").defer("embedding"))
    for example in found:
        at = (example.pk, example.version)
        if at in scores and guard is not None:
            example.scores |= {"guard": round(scores[at]["unsafe"], 4), "guard_digest": guard.digest}
        if at in vectors:
            example.embedding, example.scored_version = vectors[at]["vector"], example.version
    Example.objects.bulk_update(found, ["scores"], batch_size=CHUNK)
    embedded = [example for example in found if (example.pk, example.version) in vectors]
    Example.objects.bulk_update(embedded, ["embedding", "scored_version"], batch_size=CHUNK)
