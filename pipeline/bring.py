"""The program that reads a file of a stranger: in a process of its own, with limits on its memory and its time.

    request.json: file, format, mapping, categories, source, evaluation, rest, max_text, memory_bytes, seconds
    -> chunks/00000.copy …   rows as PostgreSQL's COPY takes them, each file whole once it has its name: `COLUMNS`, then
                             `rest`, which is the same for every row
       chunks/00000.told …   for COPY, too: what was said of them before, where the file knows that
       errors.csv            line and reason of every row that cannot be taken, never its text
       metrics.json          counts

Started again on the same folder it keeps the chunks that are there and writes the others.
"""

from __future__ import annotations

import csv
import hashlib
import json
import resource
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any, TextIO

from classifier.normalize import normalized_hash
from classifier.runfolder import ProgramError, Report, RunFolder, write_json
from pipeline.importers import RowError, importers
from pipeline.mapping import ImportedRow, Mapping, Reader, Taken
from pipeline.splits import split_of

CHUNK = 20_000  # rows
COLUMNS = (
    "text_hash", "source_line", "text", "proposed_label", "proposed_categories", "label", "categories", "language",
    "family", "split",
)  # fmt: skip
FORMULA = ("=", "+", "-", "@", "\t", "\r")  # a spreadsheet would run what begins with these
ESCAPED = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})


def bring(run: RunFolder, report: Report) -> None:
    """The program: read the file that the request names into chunks."""
    asked = run.request()["settings"]
    (run / "chunks").mkdir(exist_ok=True)
    mapping = Mapping.of(asked.get("mapping", {}))
    taken = Taken(Reader(mapping, frozenset(asked["categories"])), mapping)
    with limits(asked), Path(asked["file"]).open("rb") as file, (run / "errors.csv").open("w", newline="") as errors:
        records = importers.make(asked["format"])(file, mapping.columns)
        counts = _read(run, asked, taken(records), errors, report)
    counts["rows"] += taken.left_out
    write_json(run / "metrics.json", {**counts, "left_out": taken.left_out})


@contextmanager
def limits(asked: dict[str, Any]) -> Iterator[None]:
    """Bound memory and time: what goes beyond fails here with a sentence, and takes nothing else with it."""
    _limit(asked)
    try:
        yield
    except MemoryError:
        raise ProgramError(
            f"The file is too large when unpacked: reading it took more than {asked['memory_bytes'] // 2**20} MB.",
            "Split it, or save it as JSON lines, and import that.",
        ) from None


def _limit(asked: dict[str, Any]) -> None:
    memory, seconds = int(asked["memory_bytes"]), int(asked["seconds"])
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))

    def too_long(*_: object) -> None:
        raise ProgramError(f"Reading the file took more than {seconds} seconds.", "Split it and import the parts.")

    signal.signal(signal.SIGALRM, too_long)
    signal.alarm(seconds)
    # A loop inside a library does not come back to hear the alarm.
    resource.setrlimit(resource.RLIMIT_CPU, (seconds + 30, seconds + 30))


def _read(
    run: RunFolder, asked: dict[str, Any], rows: Iterator[ImportedRow | RowError], errors: TextIO, report: Report
) -> dict[str, int]:
    writer, chunk, counts = csv.writer(errors), list[ImportedRow](), {"rows": 0, "refused": 0, "chunks": 0}
    writer.writerow(["line", "message"])
    for row in rows:
        counts["rows"] += 1
        if isinstance(row, ImportedRow) and len(row.text) > asked["max_text"]:
            message = f"text has {len(row.text):,} characters; at most {asked['max_text']:,} are taken"
            row = RowError(row.line, message)
        if isinstance(row, RowError):
            counts["refused"] += 1
            writer.writerow([row.line, f"'{row.message}" if row.message.startswith(FORMULA) else row.message])
            continue
        chunk.append(row)
        if len(chunk) >= CHUNK:
            _put(run, asked, counts, chunk, report)
    if chunk:
        _put(run, asked, counts, chunk, report)
    return counts


def _put(
    run: RunFolder, asked: dict[str, Any], counts: dict[str, int], chunk: list[ImportedRow], report: Report
) -> None:
    target = run / "chunks" / f"{counts['chunks']:05}.copy"
    counts["chunks"] += 1
    if not target.exists():  # the rows come last: they are there once all of the chunk is
        told = [_told(row) for row in chunk if row.external_id or row.judgements]
        if told:
            _write(target.with_suffix(".told"), told)
        _write(target, [_line(row, asked) for row in chunk])
    chunk.clear()
    report(counts["rows"], 0, f"Read {counts['rows']:,} rows")


def _write(target: Path, lines: list[str]) -> None:
    partial = target.with_name(f"{target.name}.part")
    partial.write_text("".join(lines), encoding="utf-8")
    partial.replace(target)


def _told(row: ImportedRow) -> str:
    judgements = json.dumps([asdict(one) for one in row.judgements or ()], ensure_ascii=False)
    values = (normalized_hash(row.text), row.external_id, judgements)
    return "\t".join(value.translate(ESCAPED) for value in values) + "\n"


def _line(row: ImportedRow, asked: dict[str, Any]) -> str:
    text_hash = normalized_hash(row.text)
    # Two files may use the same pair names for different things: a family belongs to its file.
    source = f"{asked['source']}:{row.pair}"
    family = hashlib.sha256(source.encode()).hexdigest()[:16] if row.pair else text_hash[:16]
    split = "evaluation" if asked["evaluation"] else split_of(family)
    categories = "{" + ",".join(row.categories) + "}"  # keys of the policy need no quotes
    text, language = row.text.translate(ESCAPED), row.language.translate(ESCAPED)
    said = f"{row.label}\t{categories}"
    return f"{text_hash}\t{row.line}\t{text}\t{said}\t{said}\t{language}\t{family}\t{split}\t{asked['rest']}\n"
