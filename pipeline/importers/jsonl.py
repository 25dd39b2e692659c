from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, BinaryIO

from pipeline.importers import BadRow, Columns, Read, Record, RowError, decoded, importers, lines


@importers.register("jsonl")
@dataclass(frozen=True)
class Jsonl:
    """JSON lines: one object a line."""

    def __call__(self, file: BinaryIO, columns: Columns | None = None) -> Read:
        for number, line in lines(file):
            if line is not None and not line.strip():
                continue
            try:
                yield Record(number, parse(decoded(line)))
            except BadRow as error:
                yield RowError(number, str(error))


def parse(line: str) -> dict[str, Any]:
    """One JSON object, strictly: no NaN, no key twice.

    Raises:
        BadRow: it is something else.
    """
    try:
        value = DECODER.decode(line)
    except json.JSONDecodeError as error:
        raise BadRow(f"not JSON: {error.msg} at column {error.colno}") from None
    except RecursionError:
        raise BadRow("not a row: nested too deeply") from None
    except ValueError:  # an integer of thousands of digits
        raise BadRow("holds a number that is too long") from None
    if not isinstance(value, dict):
        raise BadRow(f"expected a JSON object, found {type(value).__name__}")
    return value


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    row = dict(pairs)
    if len(row) != len(pairs):
        raise BadRow("names a key twice")
    return row


def _no_constant(name: str) -> Any:
    raise BadRow(f"holds {name}, which is not JSON")


DECODER = json.JSONDecoder(object_pairs_hook=_unique, parse_constant=_no_constant)
