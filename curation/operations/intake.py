"""Files in the background: a program with limits reads them, and what can be taken goes in by one transaction.

Whatever ends an attempt early, a cancel or a crash, leaves the project as it was; the next attempt goes on from the
chunks that were read.
"""

from __future__ import annotations

import csv
import hashlib
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from django.conf import settings
from django.db import connection, transaction
from django.utils import timezone

from classifier.runfolder import RunFolder
from curation import runner
from curation.models import AuditEntry, Import, Job, Project
from curation.models.example import MAX_TEXT
from curation.operations import Refused, mappings, provenance
from curation.operations.imports import VALIDATION_SHARE
from curation.operations.jobs import Attempt, finish
from pipeline.importers import ENDINGS
from pipeline.mapping import Mapping

if TYPE_CHECKING:
    from django.contrib.auth.models import User

FORMATS = {ending: key for ending, key in ENDINGS.items() if key != "text"}  # one text alone is no file of rows
MEMORY = 2 * 2**30  # bytes of address space that reading one file may take
SECONDS = 3600
BLOCK = 2**20
RETRIED = ("SIGKILL", "SIGTERM", "SIGHUP", "SIGINT")  # came from outside; any other signal is the file's doing
STAGED = """
CREATE TEMPORARY TABLE staged (
    line int, text text, text_hash text, label text, categories varchar[], language text, family text
) ON COMMIT DROP
"""
# A row is a duplicate where its text is in the project already, also from an earlier chunk. OFFSET 0 makes it a look
# into the index for each row: statistics know nothing of this transaction's rows, and a join would read them all anew.
STORE = """
WITH put AS (
    INSERT INTO curation_example (
        project_id, source_id, source_line, text, text_hash, language, origin, state, split, family, stage,
        stage_settings, prompt, model_digest, scores, proposed_label, proposed_categories, label, categories, priority,
        priority_reason, version, scored_version, reserved, created_at)
    SELECT %(project)s, %(source)s, s.line, s.text, s.text_hash, s.language, 'seed', 'accepted',
        CASE WHEN %(purpose)s = 'evaluation' THEN 'evaluation'
             WHEN ('x' || left(encode(sha256(convert_to('split:' || s.family, 'UTF8')), 'hex'), 8))::bit(32)::bigint
                  %% 100 < %(validation)s THEN 'validation'
             ELSE 'train' END,
        s.family, '', '{}', '', '', '{}', s.label, s.categories, s.label, s.categories, 0, '', 1, 1, false, now()
    FROM staged s WHERE NOT EXISTS (
        SELECT FROM curation_example e WHERE e.project_id = %(project)s AND e.text_hash = s.text_hash OFFSET 0)
    ORDER BY s.line ON CONFLICT DO NOTHING RETURNING text_hash
)
SELECT line FROM staged s WHERE NOT EXISTS (SELECT FROM put WHERE put.text_hash = s.text_hash) ORDER BY line
"""


def start(project: Project, by: User | None, file: BinaryIO, name: str, purpose: str, *, dry: bool = False) -> Import:
    """Keep a file with the columns that we document, and have a worker import it; a dry run stores nothing.

    Raises:
        Refused: the file's ending is not one we know.
    """
    return _keep(project, by, file, name, purpose, Job.Kind.CHECK if dry else Job.Kind.IMPORT)


def look(project: Project, by: User | None, file: BinaryIO, name: str, purpose: str) -> Import:
    """Keep a file and have a worker look at its first rows, so that a person can say what its columns mean.

    Raises:
        Refused: the file's ending is not one we know.
    """
    return _keep(project, by, file, name, purpose, Job.Kind.LOOK)


def _keep(project: Project, by: User | None, file: BinaryIO, name: str, purpose: str, kind: Job.Kind) -> Import:
    ending = Path(name).suffix.lower()
    if ending not in FORMATS:
        raise Refused(f"Expected a file ending in {', '.join(FORMATS)}.", "Save it in one of these and try again.")
    digest = hashlib.file_digest(file, "sha256").hexdigest()  # type: ignore[arg-type]
    file.seek(0)
    with transaction.atomic():
        row = Import.objects.create(
            project=project, name=Path(name).name[:200], format=FORMATS[ending], sha256=digest, purpose=purpose,
            created_by=by,
        )  # fmt: skip
        row.folder.mkdir(parents=True, exist_ok=True)
        with (row.folder / "file").open("wb") as kept:
            shutil.copyfileobj(file, kept, BLOCK)
        Import.objects.filter(pk=row.pk).update(bytes=(row.folder / "file").stat().st_size)
        Job.objects.enqueue(kind, project, source=row, by=by)
    return row


def report_file(row: Import) -> Path | None:
    """Line and reason of every row that was not taken, as the last job left it."""
    job = row.job
    file: Path | None = settings.ARTIFACTS_DIR / "runs" / str(job.pk) / "report.csv" if job else None
    return file if file and file.exists() else None


def go_on(row: Import, by: User | None, mapping: Mapping | None = None, *, dry: bool = False) -> None:
    """Import a file for good, or try it, by a mapping; without a new one, by the one that it was tried with.

    Raises:
        Refused: it is in the project already, or something is being done with it.
    """
    with transaction.atomic():
        if Import.objects.select_for_update().get(pk=row.pk).is_stored:
            raise Refused("This file is in the project already.", "Load the page again.")
        if row.jobs.live().exists():
            raise Refused("This file is being read.", "Wait until that is done, or cancel it.")
        if mapping is not None:
            Import.objects.filter(pk=row.pk).update(mapping=mapping.to_json(), report={})
        Job.objects.enqueue(Job.Kind.CHECK if dry else Job.Kind.IMPORT, row.project, source=row, by=by)


def look_at(attempt: Attempt) -> None:
    """The job: read the first rows, and leave what they hold in the run folder."""
    row = attempt.job.source
    assert row is not None
    folder = _run(attempt, row, ["pipeline", "look"], {})
    key = mappings.columns_key(mappings.read(folder / "look.json"))
    with transaction.atomic():
        attempt.job.fence()
        Import.objects.filter(pk=row.pk).update(columns_key=key)
        finish(attempt)


def bring(attempt: Attempt) -> None:
    """The job: read the file, and store all that can be taken at once; a dry run takes it back."""
    job, row = attempt.job, attempt.job.source
    assert row is not None
    folder = _parsed(attempt, row)
    chunks, dry = sorted((folder.path / "chunks").glob("*.copy")), job.kind == Job.Kind.CHECK
    with transaction.atomic():
        added, duplicates = _stored(attempt, row, chunks)
        _list_duplicates(folder, duplicates)
        report = {**folder.metrics(), "added": added, "duplicates": len(duplicates), "dry": dry}
        if dry:
            transaction.set_rollback(True)
        else:
            _settle(attempt, row, report)
    if dry:
        with transaction.atomic():
            job.fence()
            Import.objects.filter(pk=row.pk).update(report=report)
            finish(attempt)
    shutil.rmtree(folder / "chunks", ignore_errors=True)


def _settle(attempt: Attempt, row: Import, report: dict[str, Any]) -> None:
    """End the job with what came of it. Fenced last: until here the heart beats, and a cancel takes all of it back."""
    attempt.job.fence()
    Import.objects.filter(pk=row.pk).update(report=report, stored_at=timezone.now())
    AuditEntry.objects.create(
        project=row.project, actor=row.created_by, action="seeds-imported", subject=row.subject,
        detail={"purpose": row.purpose, "sha256": row.sha256, **report},
    )  # fmt: skip
    finish(attempt)


def _stored(attempt: Attempt, row: Import, chunks: list[Path]) -> tuple[int, list[int]]:
    """Put every chunk into the project; return how many rows went in, and the lines of those that were there."""
    values: dict[str, str | int] = {
        "project": row.project_id, "source": row.pk, "purpose": row.purpose, "validation": VALIDATION_SHARE
    }  # fmt: skip
    staged, duplicates = 0, list[int]()
    with connection.cursor() as cursor:
        # One import at a time per project, so that the counts are true; nobody else waits for this lock.
        cursor.execute("SELECT pg_advisory_xact_lock(hashtext('import'), %s)", [row.project_id])
        cursor.execute(STAGED)
        for number, chunk in enumerate(chunks, 1):
            attempt.check()
            with chunk.open("rb") as file, cursor.copy("COPY staged FROM STDIN") as copy:
                while block := file.read(BLOCK):
                    copy.write(block)
            cursor.execute("SELECT count(*) FROM staged")
            staged += cursor.fetchone()[0]
            cursor.execute(STORE, values)
            duplicates += [line for (line,) in cursor]
            provenance.keep(row, chunk.with_suffix(".told"))
            cursor.execute("TRUNCATE staged")
            # Shown by the heartbeat, which has a connection of its own: nobody sees into this transaction.
            attempt.job.done, attempt.job.total, attempt.job.message = number, len(chunks), "Storing"
    return staged - len(duplicates), duplicates


def _list_duplicates(folder: RunFolder, lines: list[int]) -> None:
    """The report as a file: what could not be read, and what was there already."""
    with (folder / "errors.csv").open() as read, (folder / "report.csv").open("w", newline="") as file:
        shutil.copyfileobj(read, file)
        csv.writer(file).writerows((line, "this text is already in the project") for line in lines)


def _parsed(attempt: Attempt, row: Import) -> RunFolder:
    settings = {
        "mapping": row.mapping, "source": row.sha256, "max_text": MAX_TEXT,
        "categories": row.project.policy_version.keys(),
    }  # fmt: skip
    return _run(attempt, row, ["pipeline", "import"], settings)


def _run(attempt: Attempt, row: Import, program: list[str], settings: dict[str, Any]) -> RunFolder:
    """Have a program read the file under limits."""
    limits = {"file": str(row.folder / "file"), "format": row.format, "memory_bytes": MEMORY, "seconds": SECONDS}
    try:
        return attempt.run(program, {"settings": limits | settings}, {})
    except runner.ProgramKilled as death:
        if any(name in str(death) for name in RETRIED):
            raise
        raise Refused(
            f"The file cannot be read with {MEMORY // 2**20} MB of memory, or it is broken.",
            "Write it again, split it, or save it as JSON lines.",
        ) from None
