"""Files in the background: a program with limits reads them, and what can be taken goes in by one transaction.

Whatever ends an attempt early, a cancel or a crash, leaves the project as it was; the next attempt goes on from the
chunks that were read.
"""

from __future__ import annotations

import csv
import hashlib
import logging
import shutil
import threading
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from django.conf import settings
from django.db import DatabaseError, connection, transaction
from django.utils import timezone

from classifier.runfolder import RunFolder
from curation import runner
from curation.models import AuditEntry, Import, Job, Project
from curation.models.example import MAX_TEXT
from curation.models.imported import Purpose
from curation.operations import Refused, mappings, provenance
from curation.operations.jobs import Attempt, finish
from pipeline.bring import COLUMNS
from pipeline.importers import ENDINGS
from pipeline.mapping import Mapping

if TYPE_CHECKING:
    from django.contrib.auth.models import User

logger = logging.getLogger(__name__)

FORMATS = {ending: key for ending, key in ENDINGS.items() if key != "text"}  # one text alone is no file of rows
MEMORY = 2 * 2**30  # bytes of address space that reading one file may take
SECONDS = 3600
SORT_EVERY = 0.5  # seconds
BLOCK = 2**20
RETRIED = ("SIGKILL", "SIGTERM", "SIGHUP", "SIGINT")  # came from outside; any other signal is the file's doing
# What is the same for all rows of an import; the program ends each line with it.
REST = {
    "project_id": "{project}", "source_id": "{source}", "created_at": "{now}", "origin": "seed", "state": "accepted",
    "stage": "", "stage_settings": "{{}}", "prompt": "", "model_digest": "", "scores": "{{}}", "priority": "0",
    "priority_reason": "", "version": "1", "scored_version": "1", "reserved": "f",
}  # fmt: skip
COPY = f"COPY curation_example ({', '.join((*COLUMNS, *REST))}) FROM STDIN"
# OFFSET 0 makes it a look into the index for each text: statistics know nothing of this transaction's rows, and without
# it all of them would be read anew for each chunk.
THERE = """
SELECT wanted FROM unnest(%s::text[]) wanted WHERE EXISTS (
    SELECT FROM curation_example WHERE project_id = %s AND text_hash = wanted OFFSET 0)
"""
HASH = 64  # characters of a text's hash, which a line begins with
# One import at a time per project, so that the counts are true; nobody else waits for this lock.
ALONE = "SELECT pg_advisory_xact_lock(hashtext('import'), %s)"
# The rows name one project and one file. Both are locked here, so PostgreSQL need not look up both for each row.
HOLD = """
SELECT FROM curation_import i JOIN curation_project p ON p.id = i.project_id WHERE i.id = %s FOR KEY SHARE
"""
# Not every user of a database may: then the rows are checked one by one.
CHECKS = """
SELECT set_config('session_replication_role', %s, true) WHERE has_parameter_privilege('session_replication_role', 'SET')
"""
# Words only queue up for the index of the explorer while rows are copied; `Sorting` takes them in.
QUEUE_WORDS = "SET LOCAL gin_pending_list_limit = '64MB'; SET LOCAL work_mem = '64MB'"
TAKE_WORDS = "SELECT gin_clean_pending_list('example_search')"


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


def not_taken(row: Import, most: int = 10) -> list[tuple[str, str]]:
    """The first rows that were not taken, each with its line and the reason."""
    file = report_file(row)
    if file is None:
        return []
    with file.open(newline="") as lines:
        return [(one[0], one[1]) for one in islice(csv.reader(lines), 1, most + 1)]


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
    dry = job.kind == Job.Kind.CHECK
    with Sorting(), transaction.atomic():
        stored = Stored(attempt, row)
        folder = _parsed(attempt, row, stored)
        stored(folder)
        _list_duplicates(folder, stored.duplicates)
        report = {**folder.metrics(), "added": stored.added, "duplicates": len(stored.duplicates), "dry": dry}
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


class Sorting:
    """Takes words into the index of the explorer beside the copying: a second core does what would hold up the first.

    An index knows nothing of transactions, so it may run ahead of the rows, and may stay behind without harm.
    """

    def __init__(self) -> None:
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._work, name="sorting", daemon=True)

    def __enter__(self) -> Sorting:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _work(self) -> None:
        try:
            while not self._over.wait(SORT_EVERY):
                with connection.cursor() as cursor:
                    cursor.execute(TAKE_WORDS)
        except DatabaseError as error:  # the copying does it then, more slowly
            logger.warning("Words are not sorted beside an import: %s", type(error).__name__)
        finally:
            connection.close()  # this thread's own


def _settle(attempt: Attempt, row: Import, report: dict[str, Any]) -> None:
    """End the job with what came of it. Fenced last: until here the heart beats, and a cancel takes all of it back."""
    attempt.job.fence()
    Import.objects.filter(pk=row.pk).update(report=report, stored_at=timezone.now())
    AuditEntry.objects.create(
        project=row.project, actor=row.created_by, action="seeds-imported", subject=row.subject,
        detail={"purpose": row.purpose, "sha256": row.sha256, **report},
    )  # fmt: skip
    finish(attempt)


class Stored:
    """The rows of an import that are in the project, in an open transaction; called again, it takes what came since."""

    def __init__(self, attempt: Attempt, row: Import) -> None:
        self.added, self.duplicates = 0, list[int]()
        self._attempt, self._row, self._project, self._next = attempt, row, row.project_id, 0
        with connection.cursor() as cursor:
            cursor.execute(ALONE, [row.project_id])
            cursor.execute(HOLD, [row.pk])
            cursor.execute(QUEUE_WORDS)

    def __call__(self, folder: RunFolder) -> None:
        while (chunk := folder / "chunks" / f"{self._next:05}.copy").exists():
            self._attempt.check()
            self._put(chunk.read_bytes())
            provenance.keep(self._row, chunk.with_suffix(".told"))
            self._next += 1

    def _put(self, chunk: bytes) -> None:
        """Copy a chunk without what is there already, also from an earlier chunk."""
        lines = chunk.splitlines(keepends=True)
        with connection.cursor() as cursor:
            cursor.execute(THERE, [[line[:HASH].decode() for line in lines], self._project])
            if there := {found.encode() for (found,) in cursor}:
                self.duplicates += [int(line.split(b"\t", 2)[1]) for line in lines if line[:HASH] in there]
                lines = [line for line in lines if line[:HASH] not in there]
            cursor.execute(CHECKS, ["replica"])
            with cursor.copy(COPY) as copy:
                copy.write(b"".join(lines))
            cursor.execute(CHECKS, ["origin"])
        self.added += len(lines)


def _list_duplicates(folder: RunFolder, lines: list[int]) -> None:
    """The report as a file: what could not be read, and what was there already."""
    with (folder / "errors.csv").open() as read, (folder / "report.csv").open("w", newline="") as file:
        shutil.copyfileobj(read, file)
        csv.writer(file).writerows((line, "this text is already in the project") for line in lines)


def _parsed(attempt: Attempt, row: Import, stored: Stored) -> RunFolder:
    """Have the program read the file; what it has read is stored while it reads on."""
    same = {"project": row.project_id, "source": row.pk, "now": timezone.now().isoformat()}
    settings = {
        "mapping": row.mapping, "source": row.sha256, "max_text": MAX_TEXT,
        "categories": row.project.policy_version.keys(), "evaluation": row.purpose == Purpose.EVALUATION,
        "rest": "\t".join(value.format(**same) for value in REST.values()),
    }  # fmt: skip
    return _run(attempt, row, ["pipeline", "import"], settings, stored)


def _run(
    attempt: Attempt, row: Import, program: list[str], settings: dict[str, Any], look: Stored | None = None
) -> RunFolder:
    """Have a program read the file under limits."""
    limits = {"file": str(row.folder / "file"), "format": row.format, "memory_bytes": MEMORY, "seconds": SECONDS}
    try:
        return attempt.run(program, {"settings": limits | settings}, {}, look=look)
    except runner.ProgramKilled as death:
        if any(name in str(death) for name in RETRIED):
            raise
        raise Refused(
            f"The file cannot be read with {MEMORY // 2**20} MB of memory, or it is broken.",
            "Write it again, split it, or save it as JSON lines.",
        ) from None
