from __future__ import annotations

import codecs
import csv
import io
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, BinaryIO, ClassVar

from pipeline.exporters import chunks, exporters

# A spreadsheet runs what begins with one of these, full-width ones too, also after spaces that it strips.
FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")

SUSPECT = frozenset((*FORMULA, " "))  # first characters that are worth a second look


@exporters.register("csv")
@dataclass(frozen=True)
class Csv:
    """CSV, UTF-8, a header; lists and objects as JSON text.

    For spreadsheets a quotation mark goes before what they would run as a formula. Without `formula_safe` every cell is
    what it was, so that a program reads back what was written.
    """

    suffix: ClassVar[str] = ".csv"
    media_type: ClassVar[str] = "text/csv"
    formula_safe: bool = True

    def __call__(self, rows: Iterable[Mapping[str, Any]], file: BinaryIO) -> None:
        for part in self.parts(rows):
            file.write(part)

    def parts(self, rows: Iterable[Mapping[str, Any]]) -> Iterator[bytes]:
        """The file in parts, made no earlier than they are asked for."""
        cell = _defused if self.formula_safe else _plain
        if self.formula_safe:
            yield codecs.BOM_UTF8  # Excel takes UTF-8 for something else without it
        header = True
        for chunk in chunks(rows):
            text = io.StringIO(newline="")
            writer = csv.writer(text, lineterminator="\n")
            if header:
                writer.writerow(list(chunk[0]))
                header = False
            writer.writerows([cell(value) for value in row.values()] for row in chunk)
            yield text.getvalue().encode()


def _plain(value: Any) -> Any:
    return json.dumps(value, sort_keys=True, ensure_ascii=False) if isinstance(value, list | dict) else value


def _defused(value: Any) -> Any:
    if isinstance(value, str):
        return f"'{value}" if value[:1] in SUSPECT and value.lstrip(" ").startswith(FORMULA) else value
    return _plain(value)
