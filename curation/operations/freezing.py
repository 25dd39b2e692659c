"""Choosing what goes into a release and writing it down: filter, agreement rule, splits. All of it is one transaction.

Work on rows is set-based: a million of them pass through PostgreSQL, and only their families through this process.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields
from typing import Any

from django.db import connection, transaction
from django.db.models.functions import Now

from curation.models import Project, Release
from curation.operations import Refused
from pipeline.splits import DRAW, HELD_OUT, Draw, Family, SplitImpossible, SplitRecipe

FETCH = 5000  # families at a time
SOURCES = ("person", "machine", "seed")
# An exam or a known question decides nothing, so its verdicts are not counted.
CHOOSE = """
CREATE TEMP TABLE chosen ON COMMIT DROP AS
WITH counted AS (
    SELECT v.example_id, count(*) FILTER (WHERE v.maker = 'person') AS people,
        count(*) FILTER (WHERE v.maker = 'person' AND v.label = e.label) AS agreeing,
        count(*) FILTER (WHERE v.maker = 'machine') AS machines
    FROM curation_verdict v JOIN curation_example e ON e.id = v.example_id
    WHERE e.project_id = %(project)s AND e.state = 'accepted' AND v.decision NOT IN ('withdraw', 'skip')
    AND v.purpose IN ('queue', 'adjudication')
    AND NOT EXISTS (SELECT 1 FROM curation_verdict w WHERE w.supersedes_id = v.id)
    GROUP BY v.example_id
), labelled AS (
    SELECT e.id, e.version, e.family, e.text_hash, e.language, e.origin, r.number AS round,
        CASE e.split WHEN 'evaluation' THEN 'test' ELSE e.split END AS split, e.split = 'evaluation' AS held_out,
        CASE WHEN e.label = '' THEN e.proposed_label ELSE e.label END AS label,
        CASE WHEN e.label = '' THEN e.proposed_categories ELSE e.categories END AS categories,
        coalesce(c.people, 0) AS people, coalesce(c.agreeing, 0) AS agreeing, coalesce(c.machines, 0) AS machines,
        CASE WHEN c.people > 0 THEN 'person' WHEN c.machines > 0 THEN 'machine' ELSE 'seed' END AS source
    FROM curation_example e LEFT JOIN counted c ON c.example_id = e.id LEFT JOIN curation_round r ON r.id = e.round_id
    WHERE e.project_id = %(project)s AND e.state = 'accepted'
), fitting AS (
    SELECT *, row_number() OVER (PARTITION BY text_hash ORDER BY id) AS copy FROM labelled
    WHERE (%(labels)s::text[] = '{}' OR label = ANY(%(labels)s))
    AND (%(origins)s::text[] = '{}' OR origin = ANY(%(origins)s))
    AND (%(languages)s::text[] = '{}' OR language = ANY(%(languages)s))
    AND (%(categories)s::text[] = '{}' OR label = 'safe' OR categories::text[] && %(categories)s)
    AND (%(last_round)s::int IS NULL OR round IS NULL OR round <= %(last_round)s)
    AND source = ANY(%(sources)s)
    AND (source <> 'person' OR agreeing >= %(least_people)s AND agreeing >= %(least_agreement)s * people)
)
SELECT id, version, family, split, held_out, label, categories, people, agreeing, machines, source
FROM fitting WHERE copy = 1
"""
FAMILIES = """
SELECT family, bool_or(held_out), count(*) FILTER (WHERE label = 'safe'), count(*) FILTER (WHERE label = 'unsafe')
FROM chosen GROUP BY family ORDER BY bool_or(held_out) DESC, count(*) DESC, md5(%s || family), family
"""
TORN = "SELECT count(*) FROM (SELECT 1 FROM chosen GROUP BY family HAVING count(DISTINCT split) > 1) torn"
KEEP_ROWS = """
INSERT INTO curation_releaserow
    (release_id, example_id, version, label, categories, split, source, people, agreeing, machines)
SELECT %s, id, version, label, categories, split, source, people, agreeing, machines FROM chosen ORDER BY id
"""


@dataclass(frozen=True)
class Selection:
    """Which accepted examples. An empty list takes all; the agreement rule holds for what people decided."""

    labels: tuple[str, ...] = ()
    origins: tuple[str, ...] = ()
    languages: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()  # of unsafe rows; safe ones have none and stay
    sources: tuple[str, ...] = SOURCES  # who decided the label
    last_round: int | None = None
    least_people: int = 0  # people whose verdict was the label
    least_agreement: float = 0.0  # and their share of those who judged

    @classmethod
    def of(cls, values: dict[str, Any]) -> Selection:
        """From JSON.

        Raises:
            Refused: it names a condition that there is not.
        """
        known = {field.name for field in fields(cls)}
        if strange := sorted(set(values) - known):
            raise Refused(f"A release cannot be picked by {strange[0]!r}.", f"There are: {', '.join(sorted(known))}.")
        given: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value for name, value in values.items()
        }
        return cls(**given)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def freeze(release: Release) -> int:
    """Choose the rows of a release and part them; return how many. Nothing is kept unless all of it can be.

    Raises:
        Refused: nothing fits, or the split cannot be met.
    """
    with transaction.atomic(), connection.cursor() as cursor:
        rows = choose(release.project, Selection.of(release.selection))
        try:
            part(SplitRecipe(**release.splits))
        except SplitImpossible as no:
            raise Refused(no.message, no.remedy) from None
        cursor.execute(KEEP_ROWS, [release.pk])
        Release.objects.filter(pk=release.pk).update(frozen_at=Now())
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE curation_releaserow")
    return rows


def choose(project: Project, selection: Selection) -> int:
    """Fill the temporary table `chosen`, of a text that stands twice its first; return how many rows.

    Raises:
        Refused: nothing fits.
    """
    values = {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(selection).items()}
    with connection.cursor() as cursor:
        cursor.execute(CHOOSE, {"project": project.pk, **values})
        cursor.execute("SELECT count(*) FROM chosen")
        (rows,) = cursor.fetchone()
    if not rows:
        raise Refused("No accepted example fits this filter and agreement rule.", "Widen one of them.")
    return int(rows)


def part(recipe: SplitRecipe) -> None:
    """Give every chosen row its split, whole families together.

    Raises:
        SplitImpossible: it cannot be met, or the examples' own splits part a family.
    """
    if recipe.mode == DRAW:
        _draw(recipe)
    with connection.cursor() as cursor:
        cursor.execute(TORN)
        (torn,) = cursor.fetchone()
    if torn:
        raise SplitImpossible(f"{torn:,} families stand in two splits.", "Draw the splits anew for this release.")


def _draw(recipe: SplitRecipe) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT label, count(*) FROM chosen GROUP BY label ORDER BY label")
        draw = Draw(recipe, dict(cursor.fetchall()))
        cursor.execute("CREATE TEMP TABLE drawn (family text, split text) ON COMMIT DROP")
        for pairs in _batches(draw, _families(recipe.seed)):
            with cursor.copy("COPY drawn FROM STDIN") as copy:
                for pair in pairs:
                    copy.write_row(pair)
        draw.check()
        cursor.execute("UPDATE chosen SET split = drawn.split FROM drawn WHERE drawn.family = chosen.family")


def _families(seed: int) -> Iterator[list[Family]]:
    """Families that are held out, then the largest first; a server-side cursor, so that memory stays flat."""
    with connection.chunked_cursor() as cursor:
        cursor.execute(FAMILIES, [str(seed)])
        while rows := cursor.fetchmany(FETCH):
            yield [Family(name, {"safe": safe, "unsafe": unsafe}, held) for name, held, safe, unsafe in rows]


def _batches(draw: Draw, families: Iterator[list[Family]]) -> Iterator[list[tuple[str, str]]]:
    for batch in families:
        yield list(draw(batch))


__all__ = ["HELD_OUT", "SOURCES", "Selection", "choose", "freeze", "part"]
