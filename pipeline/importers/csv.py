from __future__ import annotations

import csv
from dataclasses import dataclass
from typing import BinaryIO

from pipeline.importers import BadRow, Columns, Read, Record, RowError, decoded, importers, lines

DELIMITERS = (",", ";", "\t")  # spreadsheets write the second where the comma is for decimals


@importers.register("csv")
@dataclass(frozen=True)
class Csv:
    """Values parted by commas, semicolons or tabs, with a header; names of columns in lower case."""

    def __call__(self, file: BinaryIO, columns: Columns | None = None) -> Read:
        source = Source(file)
        try:
            delimiter = source.delimiter()
        except (StopIteration, csv.Error):
            delimiter = ","
        reader = csv.reader(source, strict=True, delimiter=delimiter)
        try:
            header = [name.strip().casefold() for name in next(reader, [])]
            source.check(1)
        except (BadRow, csv.Error) as error:
            yield RowError(1, f"the header cannot be read: {error}")
            return
        if wrong := _wrong(header, columns):
            yield wrong
            return
        while True:
            start = source.number + 1
            try:
                values = next(reader)
                if not any(values):
                    continue
                source.check(start)
                yield Record(start, _named(header, values))
            except StopIteration:
                return
            except BadRow as error:
                yield RowError(start, str(error))
            except csv.Error as error:
                yield RowError(start, f"not CSV: {error}")
                reader = csv.reader(source, strict=True, delimiter=delimiter)  # the old one is in the middle of a row


def _wrong(header: list[str], columns: Columns | None) -> RowError | None:
    twice = next((name for at, name in enumerate(header) if name and name in header[:at]), None)
    if twice and (columns is None or twice in (*columns.needed, *columns.more)):
        return RowError(1, f"the header names the column {twice[:60]!r} twice")
    return columns.missing(header) if columns else None


def _named(header: list[str], values: list[str]) -> dict[str, str]:
    if len(values) < len(header):
        raise BadRow(f"has {len(values)} fields, the header {len(header)}")
    return dict(zip(header, values, strict=False))


class Source:
    """Lines for the reader. One that cannot be decoded is passed on as blanks and remembered, so the rest is read."""

    def __init__(self, file: BinaryIO) -> None:
        self._lines = lines(file)
        self._bad: dict[int, str] = {}
        self._held: str | None = None
        self.number = 0

    def delimiter(self) -> str:
        """What the first line is parted by: whatever gives the most columns. The line is read again afterwards."""
        self._held = next(self)
        return max(DELIMITERS, key=lambda one: len(next(csv.reader([self._held or ""], delimiter=one), [])))

    def __iter__(self) -> Source:
        return self

    def __next__(self) -> str:
        if self._held is not None:
            held, self._held = self._held, None
            return held
        self.number, line = next(self._lines)
        try:
            return decoded(line)
        except BadRow as error:
            self._bad[self.number] = str(error)
            return "?,?\n"

    def check(self, start: int) -> None:
        """Raise BadRow if any line from `start` to here could not be decoded."""
        for number in range(start, self.number + 1):
            if number in self._bad:
                raise BadRow(self._bad.pop(number))
