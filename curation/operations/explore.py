"""Finding examples among very many: by what they are, by their words, and by likeness. Nothing here counts a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import httpx
from django.conf import settings
from django.db import connection, transaction

from curation.models import Example, Lease, Project, Purpose, Vector
from curation.models.example import ExampleQuerySet
from curation.models.project import LEADS
from curation.operations import Refused, moderation
from curation.operations.likeness import HEAVY

if TYPE_CHECKING:
    from django.contrib.auth.models import User

PAGE = 50
WINDOW = 10_000  # newest rows that are looked through one by one before the index is asked
LIKE = 50
PATIENCE = 20.0  # seconds: the first text waits for the encoder to be loaded
# What a filter may be; nothing else reaches the query.
FACETS = ("state", "label", "origin", "split", "language", "stage", "round", "source")
# Most searches fill a page from the newest rows. Where they do not, what is wanted is rare, and the index names it all.
NEWEST = """
SELECT id, wanted FROM (
    SELECT id, {wanted} AS wanted FROM curation_example
    WHERE project_id = %(project)s AND id < %(before)s AND id <> ALL(%(hidden)s::bigint[])
    ORDER BY project_id, id DESC LIMIT %(window)s
) newest ORDER BY id DESC
"""
ALL = """
WITH found AS MATERIALIZED (
    SELECT id FROM curation_example
    WHERE {wanted} AND project_id = %(project)s AND id < %(before)s AND id <> ALL(%(hidden)s::bigint[])
)
SELECT id FROM found ORDER BY id DESC LIMIT %(limit)s
"""
AFTER = """
SELECT id, text, state, label, categories, proposed_label, proposed_categories, language, origin, split, family,
    parent_id AS parent, version, stage, created_at
FROM curation_example
WHERE project_id = %(project)s AND id > %(after)s AND id <> ALL(%(hidden)s::bigint[]) AND {wanted}
ORDER BY project_id, id LIMIT %(limit)s
"""
LAST = 2**62
Filter = Mapping[str, Any]


def hidden_from(reader: User, project: Project, role: str | None) -> list[int]:
    """What a reviewer is asked about just now. What others decided about it, and so whether it is a known question,
    is not to be looked up before the answer."""
    asked = Lease.objects.open().filter(reviewer=reader, example__project=project).exclude(purpose=Purpose.ADJUDICATION)
    return [] if role in LEADS else list(asked.values_list("example_id", flat=True))


def page(
    project: Project, wanted: Filter, before: int | None = None, hidden: Sequence[int] = ()
) -> tuple[list[Example], int | None]:
    """One page, newest first, and the key that the next one begins before; None after the last."""
    ids = _ids(project, wanted, before or LAST, hidden)
    rows = {row.pk: row for row in project.examples.filter(pk__in=ids[:PAGE]).defer(*HEAVY)}
    return [rows[pk] for pk in ids[:PAGE] if pk in rows], ids[PAGE - 1] if len(ids) > PAGE else None


def _ids(project: Project, wanted: Filter, before: int, hidden: Sequence[int]) -> list[int]:
    condition, values = _condition(wanted)
    values |= {"project": project.pk, "before": before, "hidden": [*hidden], "window": WINDOW, "limit": PAGE + 1}
    with connection.cursor() as cursor:
        if condition == "TRUE":
            cursor.execute(NEWEST.format(wanted=condition), values | {"window": PAGE + 1})
            return [row[0] for row in cursor]
        cursor.execute(NEWEST.format(wanted=condition), values)
        looked = cursor.fetchall()
        found = [pk for pk, fits in looked if fits]
        if len(found) > PAGE or len(looked) < WINDOW:
            return found[: PAGE + 1]
        cursor.execute(ALL.format(wanted=condition), values)
        return [row[0] for row in cursor]


def _condition(wanted: Filter) -> tuple[str, dict[str, Any]]:
    """The condition in SQL, made of our words only; what a person chose stays among the values."""
    facets = [f"{name}:{wanted[name]}" for name in FACETS if wanted.get(name)]
    facets += [wanted["category"]] if wanted.get("category") else []
    parts, values = [], {}
    if facets:
        parts.append("facets @> %(facets)s::text[]")
        values["facets"] = facets
    if wanted.get("flagged"):
        parts.append("id IN (SELECT example_id FROM curation_flag WHERE resolved_at IS NULL)")
    if wanted.get("q"):
        parts.append("words @@ websearch_to_tsquery('simple', %(q)s)")
        values["q"] = wanted["q"]
    return " AND ".join(parts) or "TRUE", values


def after(project: Project, wanted: Filter, start: int, limit: int, hidden: Sequence[int] = ()) -> list[dict[str, Any]]:
    """Examples from an id on, the oldest first, for programs that read all of them."""
    condition, values = _condition(wanted)
    with connection.cursor() as cursor:
        values |= {"project": project.pk, "after": start, "limit": limit, "hidden": [*hidden]}
        cursor.execute(AFTER.format(wanted=condition), values)
        names = [column.name for column in cursor.description or ()]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def like(project: Project, example: Example, hidden: Sequence[int] = ()) -> list[Example]:
    """The examples of the project most like this one, the nearest first, each with its `distance`."""
    own = Vector.objects.filter(pk=example.pk).values_list("embedding", flat=True).first()
    return [] if own is None else _nearest(project, str(own), {}, [example.pk, *hidden])


def by_meaning(project: Project, text: str, wanted: Filter, hidden: Sequence[int] = ()) -> list[Example]:
    """The examples that fit the filters and are most like a text that somebody typed, each with its `distance`.

    Raises:
        Refused: the serving program, which reads the text, does not answer.
    """
    try:
        answer = moderation.client(settings.GUARD_URL).post("/embed", json={"texts": [text]}, timeout=PATIENCE)
        (vector,) = answer.raise_for_status().json()["vectors"]
    except (httpx.HTTPError, ValueError, KeyError):
        raise Refused(
            "Searching by meaning needs the program that serves the guards, and it does not answer.",
            "Start it with make up, or search by words.",
        ) from None
    return _nearest(project, str(vector), {name: value for name, value in wanted.items() if name != "q"}, hidden)


def _nearest(project: Project, at: str, wanted: Filter, hidden: Sequence[int]) -> list[Example]:
    condition, values = _condition(wanted)
    values |= {"project": project.pk, "hidden": [*hidden], "at": at, "limit": LIKE}
    with transaction.atomic(), connection.cursor() as cursor:
        # Others' projects are in the same index: it is read on until enough of ours were found.
        cursor.execute("SET LOCAL hnsw.iterative_scan = strict_order")
        cursor.execute(NEAREST.format(wanted=condition), values)
        near = dict(cursor.fetchall())
    rows = {row.pk: row for row in project.examples.filter(pk__in=near).defer(*HEAVY)}
    for pk, distance in near.items():
        rows[pk].distance = distance  # type: ignore[attr-defined]
    return [rows[pk] for pk in near]


NEAREST = """
SELECT v.example_id, v.embedding <=> %(at)s::halfvec AS distance
FROM curation_vector v JOIN curation_example e ON e.id = v.example_id
WHERE v.project_id = %(project)s AND v.example_id <> ALL(%(hidden)s::bigint[]) AND {wanted}
ORDER BY v.embedding <=> %(at)s::halfvec LIMIT %(limit)s
"""


def family(example: Example, hidden: Sequence[int] = (), most: int = 200) -> list[tuple[int, Example]]:
    """The example's family as a tree, in the order of reading: each with its depth. The first `most` members."""
    members: ExampleQuerySet = example.project.examples.filter(family=example.family).exclude(pk__in=hidden)
    rows = list(members.order_by("pk").defer(*HEAVY)[:most])
    there = {row.pk for row in rows}
    children: dict[int | None, list[Example]] = {}
    for row in rows:
        children.setdefault(row.parent_id if row.parent_id in there else None, []).append(row)
    return _walk(children, None, 0)


def _walk(children: Mapping[int | None, Sequence[Example]], at: int | None, depth: int) -> list[tuple[int, Example]]:
    found = []
    for row in children.get(at, ()):
        found += [(depth, row), *_walk(children, row.pk, depth + 1)]
    return found
