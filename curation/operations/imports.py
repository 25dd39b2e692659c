"""Bringing seeds in: every row is either stored or named with its line and its reason."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, BinaryIO

from django.db import transaction

from classifier.normalize import normalized_hash
from curation.models import AuditEntry, Example, Project
from curation.models.example import MAX_TEXT, Split
from curation.operations import Refused
from pipeline.importers import RowError
from pipeline.mapping import ImportedRow, Mapping, read
from pipeline.splits import split_of

if TYPE_CHECKING:
    from django.contrib.auth.models import User

CHUNK = 1000  # rows a statement
PURPOSES = ("training", "evaluation")
EVIDENT_ERRORS = 1000  # errors kept for the page; the rest is counted


@dataclass
class ImportReport:
    """What came of a file."""

    rows: int = 0
    added: int = 0
    duplicates: int = 0
    refused: int = 0
    errors: list[RowError] = field(default_factory=list)

    def refuse(self, error: RowError) -> None:
        self.refused += 1
        if len(self.errors) < EVIDENT_ERRORS:
            self.errors.append(error)


def seeds(project: Project, by: User | None, file: BinaryIO, name: str, purpose: str = "training") -> ImportReport:
    """Import a JSONL or CSV file: good rows are stored in one transaction, bad ones are named with their line.

    Raises:
        Refused: the file's ending or the purpose is not one we know, or its header cannot be read.
    """
    if purpose not in PURPOSES:
        raise Refused(f"The purpose of an import is {' or '.join(PURPOSES)}, found {purpose!r}.")
    source = hashlib.file_digest(file, "sha256").hexdigest()  # type: ignore[arg-type]
    file.seek(0)
    report = ImportReport()
    parsed = _parsed(project, file, name)
    with transaction.atomic():
        # One import at a time per project, so that the count of duplicates is true.
        Project.objects.select_for_update().get(pk=project.pk)
        for chunk in _chunks(parsed, report):
            _store(project, chunk, purpose, source, report)
        AuditEntry.objects.create(
            project=project, actor=by, action="seeds-imported", subject=f"project:{project.pk}",
            detail={"purpose": purpose, "sha256": source, "rows": report.rows, "added": report.added,
                    "duplicates": report.duplicates, "refused": report.refused},
        )  # fmt: skip
    return report


def _parsed(project: Project, file: BinaryIO, name: str) -> Iterator[ImportedRow | RowError]:
    key = "csv" if name.lower().endswith(".csv") else "jsonl" if name.lower().endswith((".jsonl", ".ndjson")) else None
    if key is None:
        raise Refused("Expected a file ending in .jsonl or .csv.", "Save it in one of these formats and try again.")
    return read(key, file, Mapping(), frozenset(project.policy_version.keys()))


def _chunks(parsed: Iterator[ImportedRow | RowError], report: ImportReport) -> Iterator[list[ImportedRow]]:
    chunk: list[ImportedRow] = []
    for row in parsed:
        report.rows += 1
        if isinstance(row, RowError):
            report.refuse(row)
        elif len(row.text) > MAX_TEXT:
            report.refuse(RowError(row.line, f"text has {len(row.text):,} characters; at most {MAX_TEXT:,} are taken"))
        else:
            chunk.append(row)
        if len(chunk) >= CHUNK:
            yield chunk
            chunk = []
    if chunk:
        yield chunk


def _store(project: Project, rows: list[ImportedRow], purpose: str, source: str, report: ImportReport) -> None:
    hashes = {row.line: normalized_hash(row.text) for row in rows}
    there = set(project.examples.filter(text_hash__in=hashes.values()).values_list("text_hash", flat=True))
    fresh = []
    for row in rows:
        if hashes[row.line] in there:
            report.duplicates += 1
            report.refuse(RowError(row.line, "this text is already in the project"))
            report.refused -= 1  # counted as a duplicate, listed with its line
        else:
            fresh.append(_example(project, row, hashes[row.line], purpose, source))
    Example.objects.bulk_create(fresh)
    report.added += len(fresh)


def _example(project: Project, row: ImportedRow, text_hash: str, purpose: str, source: str) -> Example:
    # Two files may use the same pair names for different things: a family belongs to its file.
    family = hashlib.sha256(f"{source}:{row.pair}".encode()).hexdigest()[:16] if row.pair else text_hash[:16]
    return Example(
        project=project, text=row.text, text_hash=text_hash, language=row.language, origin=Example.Origin.SEED,
        state=Example.State.ACCEPTED, split=split_of(family) if purpose == "training" else Split.EVALUATION,
        family=family, proposed_label=row.label, proposed_categories=list(row.categories),
        label=row.label, categories=list(row.categories),
    )  # fmt: skip
