"""Releases: accepted examples of a project, frozen into files with their lineage and verdict counts."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from functools import lru_cache
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from django.conf import settings
from django.db import connection, transaction
from django.db.models import Max
from django.utils import timezone

from classifier.runfolder import sync_folder, write_json
from curation.models import AuditEntry, Job, Project, Release, Round
from curation.operations import Refused, freezing, provenance, webhooks
from curation.operations.freezing import Selection
from pipeline.exporters import exporters
from pipeline.exporters.card import dataset_card
from pipeline.exporters.croissant import croissant
from pipeline.splits import NAMES, SplitImpossible, SplitRecipe

if TYPE_CHECKING:
    from django.contrib.auth.models import User

    from curation.operations.jobs import Attempt

FORMATS = ("jsonl", "parquet")  # always there: the one is what the digest is of, the other what libraries load
EXTRA = {"csv": "CSV for spreadsheets", "csv-lossless": "CSV for programs"}
FETCH = 250  # rows at a time
CHECKSUMS = "CHECKSUMS.sha256"
ROWS = """
SELECT e.id::text AS id,
    CASE WHEN e.version = r.version THEN e.text
    ELSE (SELECT v.text FROM curation_revision v WHERE v.example_id = e.id AND v.number = r.version) END AS text,
    r.label, r.categories, e.family, e.language, e.origin, e.parent_id::text AS parent_id, r.split, e.stage,
    e.stage_settings::text AS settings, e.model_digest AS model, e.prompt, r.version, r.source AS label_source,
    r.people AS person_verdicts, r.agreeing AS agreeing_verdicts, r.machines AS machine_verdicts
FROM curation_releaserow r JOIN curation_example e ON e.id = r.example_id
WHERE r.release_id = %s AND (%s = '' OR r.split = %s) ORDER BY r.example_id
"""


class Digesting:
    """A file that knows the SHA-256 of what was written to it."""

    def __init__(self, file: BinaryIO | None = None) -> None:
        self._file = file
        self._sum = hashlib.sha256()

    def write(self, data: bytes) -> int:
        self._sum.update(data)
        return self._file.write(data) if self._file else len(data)

    @property
    def digest(self) -> str:
        return self._sum.hexdigest()


def start(
    project: Project,
    by: User | None,
    round: Round | None = None,
    *,
    selection: Selection | None = None,
    splits: SplitRecipe | None = None,
    extra: tuple[str, ...] = (),
    about: dict[str, str] | None = None,
) -> Release:
    """Begin a release of what is accepted now; a job chooses its rows and writes its files.

    Raises:
        Refused: nothing is accepted yet, or another release is being written.
    """
    with transaction.atomic():
        Project.objects.select_for_update().get(pk=project.pk)
        _refuse_second(project)
        newest = project.releases.aggregate(newest=Max("number"))["newest"] or 0
        release = Release.objects.create(
            project=project, round=round, number=newest + 1, created_by=by, about=about or {},
            selection=(selection or Selection()).to_json(), splits=(splits or SplitRecipe()).to_json(),
            formats=[*FORMATS, *(key for key in EXTRA if key in extra)],
        )  # fmt: skip
        AuditEntry.objects.create(project=project, actor=by, action="release-started", subject=f"release:{release.pk}")
        Job.objects.enqueue(Job.Kind.RELEASE, project, release=release, by=by)
    return release


def _refuse_second(project: Project) -> None:
    if not project.examples.decided().exists():
        raise Refused("Nothing is accepted in this project yet.", "Import seeds or review a round first.")
    if Job.objects.live().filter(project=project, kind=Job.Kind.RELEASE).exists():
        raise Refused("A release of this project is being written.", "Wait for it, then make the next one.")


def build(attempt: Attempt) -> None:
    """Freeze the rows, write every file into a fresh folder, rename it into place, then close the release for good."""
    release = attempt.job.release
    assert release is not None
    if release.frozen_at is None:
        freezing.freeze(release)
        attempt.check()
    staging = attempt.folder / "files"
    counts = counts_of(release)
    digest = _write_files(release, staging, counts, attempt)
    home = Path("releases") / str(release.project_id) / f"{release.number}-{digest[:12]}"
    files = _put_in_place(staging, settings.ARTIFACTS_DIR / home)
    with transaction.atomic():
        attempt.job.fence()
        Release.objects.filter(pk=release.pk, digest="").update(
            digest=digest, path=str(home), files=files, counts=counts, released_at=timezone.now()
        )
        AuditEntry.objects.create(
            project=release.project, actor=release.created_by, action="release-made", subject=f"release:{release.pk}",
            detail={"digest": digest, "rows": counts["rows"]},
        )  # fmt: skip
        webhooks.tell(release.project, "release.made", release=release.number, digest=digest, rows=counts["rows"])
        attempt.job.finish(Job.State.DONE)


def _write_files(release: Release, staging: Path, counts: dict[str, Any], attempt: Attempt) -> str:
    (staging / "data").mkdir(parents=True, exist_ok=True)
    splits = [name for name in NAMES if name in counts["split"]]
    written = Progress(attempt, counts["rows"] * len(release.formats))
    with (staging / "data.jsonl").open("wb") as file:
        sink = Digesting(file)
        exporters.make("jsonl")(written(rows(release)), sink)
    for name in splits:
        with (staging / "data" / f"{name}.parquet").open("wb") as file:
            exporters.make("parquet")(written(rows(release, name)), file)
    for key in release.formats[len(FORMATS) :]:
        with (staging / ("data.csv" if key == "csv" else "data-lossless.csv")).open("wb") as file:
            exporters.make("csv", {"formula_safe": key == "csv"})(written(rows(release)), file)
    _write_provenance(release, staging)
    _describe(release, staging, sink.digest, counts, splits)
    return sink.digest


def _write_provenance(release: Release, staging: Path) -> None:
    """What imported rows were elsewhere, as a file of its own where there is any: the digest is of the rows alone."""
    told = provenance.of_release(release)
    first = next(told, None)
    if first is not None:
        with (staging / "provenance.jsonl").open("wb") as file:
            exporters.make("jsonl")(chain([first], told), file)


class Progress:
    """Passes rows on, reports how many, and stops where the job is no longer wanted."""

    def __init__(self, attempt: Attempt, total: int) -> None:
        self._attempt = attempt
        self._done, self._total = 0, total

    def __call__(self, found: Iterator[dict[str, Any]]) -> Iterator[dict[str, Any]]:
        for row in found:
            self._done += 1
            if self._done % FETCH == 0:
                self._attempt.report(self._done, self._total, "Writing")
                self._attempt.check()
            yield row


def rows(release: Release, split: str = "") -> Iterator[dict[str, Any]]:
    """The exported columns in order, as they were frozen; a server-side cursor, so that memory stays flat."""
    from psycopg.rows import dict_row

    with transaction.atomic():
        connection.ensure_connection()
        with connection.connection.cursor(name="release_rows", row_factory=dict_row) as cursor:
            cursor.execute(ROWS, [release.pk, split, split])
            while found := cursor.fetchmany(FETCH):
                for row in found:
                    row["settings"] = _canonical(row["settings"])
                yield from found


@lru_cache(maxsize=1024)
def _canonical(text: str) -> str:
    """Settings as JSON text that does not depend on the database's way to print it; few differ."""
    import orjson

    return orjson.dumps(orjson.loads(text), option=orjson.OPT_SORT_KEYS).decode()


COLUMNS = {
    "label": "r.label", "origin": "e.origin", "split": "r.split", "language": "e.language", "label_source": "r.source",
    "model": "e.model_digest",
}  # fmt: skip
FROM = "FROM curation_releaserow r JOIN curation_example e ON e.id = r.example_id WHERE r.release_id = %s"
CATEGORY = f"SELECT category, count(*) {FROM.replace('WHERE', ', unnest(r.categories) category WHERE')} GROUP BY 1"
FIGURES = f"""
SELECT count(*), count(DISTINCT e.family), count(*) FILTER (WHERE r.people > 1),
    count(*) FILTER (WHERE r.people > 1 AND r.agreeing = r.people),
    count(*) FILTER (WHERE r.source = 'person' AND e.origin NOT IN ('seed', 'human')),
    count(*) FILTER (WHERE r.source = 'person' AND e.origin NOT IN ('seed', 'human') AND e.proposed_label = r.label),
    count(*) FILTER (WHERE r.source = 'person' AND r.machines > 0),
    count(*) FILTER (WHERE r.source = 'person' AND r.machines > 0 AND EXISTS (
        SELECT 1 FROM curation_verdict v WHERE v.example_id = e.id AND v.maker = 'machine' AND v.label = r.label))
{FROM}
"""  # noqa: S608 - put together from what stands above
NAMED = (
    "rows", "families", "judged_by_several", "of_one_mind", "proposals_judged", "proposals_kept", "machine_and_person",
    "machine_as_person",
)  # fmt: skip


def counts_of(release: Release) -> dict[str, Any]:
    """What is in a frozen release, in figures."""
    with connection.cursor() as cursor:
        cursor.execute(FIGURES, [release.pk])
        counts: dict[str, Any] = dict(zip(NAMED, cursor.fetchone(), strict=True))
        for name, column in COLUMNS.items():
            cursor.execute(f"SELECT {column}, count(*) {FROM} GROUP BY 1 ORDER BY 1", [release.pk])
            counts[name] = dict(cursor.fetchall())
        cursor.execute(f"{CATEGORY} ORDER BY 1", [release.pk])
        counts["category"] = dict(cursor.fetchall())
    return counts


def _describe(release: Release, staging: Path, digest: str, counts: dict[str, Any], splits: list[str]) -> None:
    """Write card, Croissant metadata, recipe and checksums: none of them holds a word of an example."""
    version = release.project.policy_version
    summary = {
        "name": release.project.name, "version": release.number, "digest": digest, "counts": counts,
        "policy": str(version), "splits": splits, "selection": release.selection, "parts": release.splits,
        "about": release.about, "content_note": release.project.content_note,
        "categories": list(version.categories.values("key", "name", "definition", "severity")),
    }  # fmt: skip
    (staging / "README.md").write_text(dataset_card(summary), encoding="utf-8")
    write_json(staging / "croissant.json", croissant(summary, described(staging)))
    recipe = {name: summary[name] for name in ("name", "version", "digest", "selection", "parts", "counts")}
    write_json(staging / "release.json", recipe)
    sums = "".join(f"{file['sha256']}  {file['name']}\n" for file in described(staging))
    (staging / CHECKSUMS).write_text(sums, encoding="utf-8")


def described(folder: Path) -> list[dict[str, Any]]:
    """Name, bytes and SHA-256 of every file of a folder, the checksums themselves left out while they are made."""
    found = []
    for file in sorted(file for file in folder.rglob("*") if file.is_file()):
        with file.open("rb") as handle:
            digest = hashlib.file_digest(handle, "sha256").hexdigest()
        found.append({"name": str(file.relative_to(folder)), "bytes": file.stat().st_size, "sha256": digest})
    return found


def _put_in_place(staging: Path, home: Path) -> list[dict[str, Any]]:
    """Move the staged folder to its home by one rename; describe its files."""
    if not home.exists():
        home.parent.mkdir(parents=True, exist_ok=True)
        staging.rename(home)
        sync_folder(home.parent)
    return described(home)


# Proof


def rebuilt(release: Release) -> str:
    """Build the rows of a release again, from the database alone; return their digest."""
    sink = Digesting()
    exporters.make("jsonl")(rows(release), sink)
    return sink.digest


def file_of(release: Release, name: str) -> tuple[Path, str] | None:
    """Where a file of a release lies and its SHA-256; None for what the list written with the release does not name."""
    sums = {entry["name"]: entry["sha256"] for entry in release.files}
    file = settings.ARTIFACTS_DIR / release.path / name
    return (file, sums[name]) if name in sums and file.is_file() else None


def broken_files(release: Release) -> list[str]:
    """Names of files that are missing or are not what they were."""
    home = settings.ARTIFACTS_DIR / release.path
    there = {file["name"]: file["sha256"] for file in described(home)} if home.is_dir() else {}
    return [file["name"] for file in release.files if there.get(file["name"]) != file["sha256"]]


DIFF = """
SELECT count(*) FILTER (WHERE a.example_id IS NULL), count(*) FILTER (WHERE b.example_id IS NULL),
    count(*) FILTER (WHERE a.version <> b.version), count(*) FILTER (WHERE a.label <> b.label),
    count(*) FILTER (WHERE a.label = b.label AND a.categories <> b.categories),
    count(*) FILTER (WHERE a.split <> b.split)
FROM (SELECT * FROM curation_releaserow WHERE release_id = %s) a
FULL JOIN (SELECT * FROM curation_releaserow WHERE release_id = %s) b ON a.example_id = b.example_id
"""
CHANGES = ("added", "removed", "text", "label", "categories", "split")


def difference(old: Release, new: Release) -> dict[str, int]:
    """How many rows came, went or changed from one release to another."""
    with connection.cursor() as cursor:
        cursor.execute(DIFF, [old.pk, new.pk])
        return dict(zip(CHANGES, cursor.fetchone(), strict=True))


__all__ = ["SplitImpossible", "build", "difference", "rebuilt", "rows", "start"]
