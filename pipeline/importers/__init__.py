"""Reading files, row by row: each row is either read or named with its line and its reason. What its columns mean is
said elsewhere (`pipeline/mapping.py`).

An importer is called as `(file, columns) -> Iterator[Record | RowError]` on a binary file. It holds one row or a batch
at a time, so a file may be as long as it likes. Messages never quote the text. `columns` says which columns must be
there and which are wanted; None wants all of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO, NamedTuple

from pipeline.registry import Registry

importers = Registry("pipeline.importers")

LONGEST_LINE = 2**20  # bytes; nothing that a person wrote as one message is longer
FILE, FOLDER, SPLIT = "(file)", "(folder)", "(split)"  # columns that an archive adds: where in it a row stood
ENDINGS = {
    ".jsonl": "jsonl", ".ndjson": "jsonl", ".json": "json", ".csv": "csv", ".parquet": "parquet", ".arrow": "arrow",
    ".txt": "text", ".zip": "archive", ".tar": "archive", ".tgz": "archive", ".gz": "archive",
}  # fmt: skip


class Record(NamedTuple):
    """A row as it stands in the file."""

    line: int  # where it begins, from 1
    values: dict[str, Any]
    where: str = ""  # of an archive: the file, and its line there


@dataclass(frozen=True, slots=True)
class RowError:
    """A row that cannot be taken, and why."""

    line: int
    message: str


Read = Iterator[Record | RowError]


class BadRow(Exception):
    """Why a row cannot be taken."""


@dataclass(frozen=True)
class Columns:
    """Which columns are read."""

    needed: tuple[str, ...]
    more: tuple[str, ...] = ()

    def missing(self, found: Sequence[str]) -> RowError | None:
        """What to say where one that is needed is not there."""
        lacking = [name for name in self.needed if name not in found]
        if not lacking:
            return None
        listed = ", ".join(found[:20])[:200] or "nothing"
        return RowError(1, f"the file lacks the column {lacking[0]!r}; found: {listed}")


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
