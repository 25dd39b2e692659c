"""What imported examples were elsewhere: stored with them, shown, and handed out again, never counted as verdicts."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from django.db import connection, transaction

from curation.models import Import, Release

BLOCK = 2**20
TOLD = "CREATE TEMPORARY TABLE IF NOT EXISTS told (text_hash text, external_id text, judgements text) ON COMMIT DROP"
# The look into the index for each row is made by OFFSET 0, as in `intake`; what was there before is left as it is.
KEEP = """
INSERT INTO curation_provenance (example_id, external_id, judgements)
SELECT e.id, t.external_id, t.judgements::jsonb FROM told t CROSS JOIN LATERAL (
    SELECT id FROM curation_example WHERE project_id = %(project)s AND text_hash = t.text_hash
    AND source_id = %(source)s OFFSET 0
) e
"""
OF_RELEASE = """
SELECT r.example_id::text AS id, p.external_id, p.judgements FROM curation_releaserow r
JOIN curation_provenance p ON p.example_id = r.example_id
WHERE r.release_id = %s ORDER BY r.example_id
"""
FETCH = 2000  # rows at a time


def keep(row: Import, file: Path) -> None:
    """Store what a chunk's file tells of the examples that came in with it, inside the transaction that stores them."""
    if not file.exists():
        return
    with connection.cursor() as cursor:
        cursor.execute(TOLD)
        cursor.execute("TRUNCATE told")
        with file.open("rb") as told, cursor.copy("COPY told FROM STDIN") as copy:
            while block := told.read(BLOCK):
                copy.write(block)
        cursor.execute(KEEP, {"project": row.project_id, "source": row.pk})


def of_release(release: Release) -> Iterator[dict[str, Any]]:
    """What the examples of a release were elsewhere, in their order; by a server-side cursor: memory stays flat."""
    import orjson
    from psycopg.rows import dict_row

    with transaction.atomic():
        connection.ensure_connection()
        with connection.connection.cursor(name="release_provenance", row_factory=dict_row) as cursor:
            cursor.execute(OF_RELEASE, [release.pk])
            while found := cursor.fetchmany(FETCH):
                yield from ({**one, "judgements": orjson.loads(one["judgements"])} for one in found)
