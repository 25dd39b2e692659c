"""Reading files of seeds, row by row: each row is either taken or named with its line and its reason.

An importer is called as `(file, categories=keys) -> Iterator[ImportedRow | RowError]` on a binary file. It holds one
line at a time, so a file may be as long as it likes. Messages never quote the text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, BinaryIO

from classifier.normalize import normalized_hash
from pipeline.records import SAFE, UNSAFE, Label
from pipeline.registry import Registry

importers = Registry("pipeline.importers")

LONGEST_LINE = 2**20  # bytes; nothing that a person wrote as one message is longer

SURROGATE = re.compile("[\ud800-\udfff]")

# What other tools call the two labels.
LABELS: dict[str, Label] = {
    **dict.fromkeys(("safe", "0", "benign", "harmless", "not_harmful", "unharmful", "negative", "false"), SAFE),
    **dict.fromkeys(("unsafe", "1", "harmful", "toxic", "positive", "true", "malicious"), UNSAFE),
}


@dataclass(frozen=True, slots=True)
class ImportedRow:
    """A row that can be taken."""

    line: int  # where it begins, from 1
    text: str
    label: Label
    categories: tuple[str, ...] = ()
    pair: str = ""  # rows of the same pair are one family: a seed and its twin
    language: str = "en"


@dataclass(frozen=True, slots=True)
class RowError:
    """A row that cannot be taken, and why."""

    line: int
    message: str


class BadRow(Exception):
    """Why a row cannot be taken."""


def lines(file: BinaryIO) -> Iterator[tuple[int, bytes | None]]:
    """Numbered lines, None for one that is too long: it is read past in pieces and never held."""
    number = 0
    while line := file.readline(LONGEST_LINE + 1):
        number += 1
        if len(line) > LONGEST_LINE and not line.endswith(b"\n"):
            while (rest := file.readline(LONGEST_LINE)) and not rest.endswith(b"\n"):
                pass
            yield number, None
        else:
            yield number, line.removeprefix(b"\xef\xbb\xbf") if number == 1 else line


def decoded(line: bytes | None) -> str:
    """The text of a line.

    Raises:
        BadRow: it is too long or not UTF-8.
    """
    if line is None:
        raise BadRow(f"longer than {LONGEST_LINE:,} bytes")
    try:
        return line.decode("utf-8")
    except UnicodeDecodeError as error:
        raise BadRow(f"not UTF-8: byte 0x{line[error.start]:02x} at position {error.start + 1}") from None


def read_row(line: int, row: Mapping[str, Any], categories: frozenset[str]) -> ImportedRow:
    """Check the values of a row.

    Raises:
        BadRow: one of them cannot be taken.
    """
    label = _label(row.get("label"))
    named = _categories(row)
    if strange := [name for name in named if name not in categories]:
        raise BadRow(f"the policy has no category {strange[0][:60]!r}; it has: {', '.join(sorted(categories))}")
    if label == SAFE and named:
        raise BadRow("labelled safe, but it names a category; leave one of them out")
    return ImportedRow(
        line, _text(row.get("text")), label, named, _short(row, "pair", ""), _short(row, "language", "en")
    )


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise BadRow("has no text" if value is None else f"text should be a string, found {type(value).__name__}")
    if not value.strip():
        raise BadRow("text is empty")
    if "\0" in value:
        raise BadRow("text holds a NUL character, which no database takes")
    if SURROGATE.search(value):
        raise BadRow("text holds half a surrogate pair, which is no character")
    return value.strip()


def _label(value: Any) -> Label:
    known = LABELS.get(str(value).strip().casefold()) if isinstance(value, str | int | bool) else None
    if known is None:
        found = "nothing" if value in (None, "") else repr(str(value)[:40])
        raise BadRow(f"label should be safe or unsafe, found {found}")
    return known


def _categories(row: Mapping[str, Any]) -> tuple[str, ...]:
    value = row.get("categories") or row.get("category") or ()
    if isinstance(value, str):
        for mark in ";,":
            value = value.replace(mark, "|")
        value = value.split("|")
    if not isinstance(value, list | tuple) or not all(isinstance(name, str) for name in value):
        raise BadRow("categories should be a list of names")
    return tuple(dict.fromkeys(name.strip() for name in value if name.strip()))


def _short(row: Mapping[str, Any], name: str, default: str) -> str:
    value = row.get(name)
    if value in (None, ""):
        return default
    longest = 8 if name == "language" else 100
    if not isinstance(value, str | int) or len(str(value)) > longest or "\0" in str(value):
        raise BadRow(f"{name} should be a name of at most {longest} characters")
    return str(value).strip()


class Repeats:
    """Finds rows that repeat an earlier one of the same file; holds hashes, not texts."""

    def __init__(self) -> None:
        self._first: dict[str, int] = {}

    def check(self, row: ImportedRow) -> ImportedRow | RowError:
        """The row, or the error that names the line it repeats."""
        first = self._first.setdefault(normalized_hash(row.text), row.line)
        return row if first == row.line else RowError(row.line, f"repeats line {first} of this file")
