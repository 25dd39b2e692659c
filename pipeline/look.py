"""The program that looks at a file before it is imported, under the same limits: what its columns are called, which
values they have, and how its first rows read.

    request.json: file, format, memory_bytes, seconds
    -> look.json   a `Look`; texts are cut, and only values that few rows share are listed
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO

from classifier.runfolder import Report, RunFolder, write_json
from pipeline.bring import limits
from pipeline.dialects import judged, people_of, recognise, unfold
from pipeline.importers import SPLIT, BadRow, Record, RowError, importers
from pipeline.importers.archive import chosen, members
from pipeline.mapping import LONGEST_NAME, labels_of, names_of

SAMPLE = 20_000  # rows whose values are counted
SHOWN = 12  # rows
MOST_COLUMNS = 200
MOST_VALUES = 60  # of a column: with more it holds texts or numbers, not names
LONGEST_CELL = 400  # characters
UNFIT = "…"


@dataclass
class Column:
    """A column of a file, by the rows that were looked at."""

    name: str
    filled: int = 0
    length: int = 0  # characters of its texts together
    judged: bool = False  # it holds what several annotators said
    values: dict[str, int] | None = field(default_factory=dict)  # none where there are too many to list
    names: dict[str, int] | None = field(default_factory=dict)  # the same read as a list of names

    @property
    def mean_length(self) -> float:
        return self.length / self.filled if self.filled else 0.0


@dataclass
class Look:
    """What a file holds."""

    dialect: str = ""
    rows: int = 0  # that were looked at
    more: bool = False  # there are others
    columns: list[Column] = field(default_factory=list)
    passed_over: int = 0  # columns beyond those that can be chosen
    first: list[Record] = field(default_factory=list)
    errors: list[RowError] = field(default_factory=list)
    annotators: list[str] = field(default_factory=list)
    files: list[str] = field(default_factory=list)  # of an archive, those that are read
    unread: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> Look:
        """From JSON."""
        known = {one.name: values[one.name] for one in fields(cls) if one.name in values}
        return cls(**{
            **known, "columns": [Column(**one) for one in known["columns"]],
            "first": [Record(*one) for one in known["first"]], "errors": [RowError(**one) for one in known["errors"]],
        })  # fmt: skip

    def column(self, name: str) -> Column | None:
        return next((column for column in self.columns if column.name == name), None)

    @property
    def names(self) -> list[str]:
        return [column.name for column in self.columns]

    @property
    def splits(self) -> dict[str, int]:
        """Splits of an archive with their rows, where there are several."""
        column = self.column(SPLIT)
        found = {name: count for name, count in (column.values or {}).items() if name} if column else {}
        return found if len(found) > 1 else {}


def look(run: RunFolder, report: Report) -> None:
    """The program: look at the file that the request names."""
    asked = run.request()["settings"]
    with limits(asked), Path(asked["file"]).open("rb") as file:
        found = look_at(file, asked["format"])
    write_json(run / "look.json", asdict(found))


def look_at(file: BinaryIO, format: str) -> Look:
    """Read the first rows of a file; none of them is kept whole."""
    found = Look()
    if format == "archive":
        _list(found, file)
        file.seek(0)
    records = iter(importers.make(format)(file, None))
    columns: dict[str, Column] = {}
    people: set[str] = set()
    for record in islice(records, SAMPLE):
        if isinstance(record, RowError):
            found.errors = [*found.errors, record][:SHOWN]
            continue
        _count(found, columns, people, record)
    found.more = next(records, None) is not None
    found.columns, found.annotators = list(columns.values()), sorted(people)[:MOST_VALUES]
    return found


def _list(found: Look, file: BinaryIO) -> None:
    held = members(file)
    read = {member.name for member in chosen(held)}
    found.files = sorted(read)[:SHOWN]
    found.unread = sorted(member.name for member in held if member.is_data and member.name not in read)[:SHOWN]


def _count(found: Look, columns: dict[str, Column], people: set[str], record: Record) -> None:
    if not found.rows:
        found.dialect = recognise(record.values)
    found.rows += 1
    values = unfold(found.dialect, record.values) if found.dialect else record.values
    passed_over = 0
    for name, value in values.items():
        if name not in columns and (len(columns) >= MOST_COLUMNS or not _is_name(name)):
            passed_over += 1
            continue
        _see(columns.setdefault(name, Column(name)), value)
    found.passed_over = max(found.passed_over, passed_over)
    people.update(filter(_is_name, people_of(values.values())))
    if len(found.first) < SHOWN:
        kept = {name: _cut(value) for name, value in values.items() if name in columns}
        found.first.append(Record(record.line, kept))


def _is_name(word: str) -> bool:
    """Whether it can be shown, stored and chosen as a name."""
    return len(word) <= LONGEST_NAME and "\0" not in word and not any("\ud800" <= mark <= "\udfff" for mark in word)


def _see(column: Column, value: Any) -> None:
    if value is None or value == "":
        return
    column.filled += 1
    column.length += len(value) if isinstance(value, str) else 0
    said = judged(value)
    column.judged = column.judged or said is not None
    cells = [value] if said is None else [one["values"] for one in said]
    column.values = _more(column.values, cells, labels_of)
    column.names = _more(column.names, cells, names_of)


def _more(counts: dict[str, int] | None, cells: Iterable[Any], words_of: Any) -> dict[str, int] | None:
    """The counts with the words of these cells; none once they are no names, or too many."""
    if counts is None:
        return None
    for cell in cells:
        try:
            words = words_of(cell)
        except BadRow:
            return None
        for word in words:
            if not _is_name(word):
                return None
            counts[word] = counts.get(word, 0) + 1
    return counts if len(counts) <= MOST_VALUES else None


def _cut(value: Any) -> Any:
    """A cell as the page shows it; one that is large and no text is told by a mark."""
    if isinstance(value, str):
        text = value[:LONGEST_CELL].encode("utf-8", "replace").decode()
        return text if len(value) <= LONGEST_CELL else f"{text}…"
    try:
        shown = json.dumps(value, allow_nan=False)
    except (TypeError, ValueError, RecursionError):  # dates, bytes, figures that are none
        return str(value)[:LONGEST_CELL] if not isinstance(value, list | dict) else UNFIT
    # What JSON escapes cannot be stored everywhere, and no name has it.
    return value if len(shown) <= 10 * LONGEST_CELL and "\\ud" not in shown and "\\u0000" not in shown else UNFIT
