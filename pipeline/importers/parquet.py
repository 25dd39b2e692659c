from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, BinaryIO

from pipeline.importers import Columns, Read, Record, RowError, importers

BATCH = 1_000  # rows unpacked at once


@importers.register("parquet")
@dataclass(frozen=True)
class Parquet:
    """Parquet; columns that nobody wants are not unpacked.

    A small file may unpack to more than memory holds, and its footer may lie about it: read it only in a process of its
    own with a limit, as `python -m pipeline import` does.
    """

    def __call__(self, file: BinaryIO, columns: Columns | None = None) -> Read:
        import pyarrow as pa
        import pyarrow.parquet as pq

        try:
            table = pq.ParquetFile(file)
            names = table.schema_arrow.names
            if columns and (error := columns.missing(names)):
                yield error
                return
            wanted = [name for name in names if columns is None or name in (*columns.needed, *columns.more)]
            batches = table.iter_batches(BATCH, columns=wanted, use_threads=False)
            yield from numbered(batches, classes(table.schema_arrow.metadata))
        except pa.ArrowInvalid:
            yield RowError(1, "this is no whole Parquet file; write it again, or save it as JSON lines")


def numbered(batches: Iterable[Any], named: Mapping[str, list[str]]) -> Iterator[Record]:
    """Rows of batches, with the names of classes in the place of their numbers."""
    line = 0
    for batch in batches:
        for values in batch.to_pylist():
            line += 1
            for column, names in named.items():
                if column in values:
                    values[column] = _name(values[column], names)
            yield Record(line, values)


def _name(value: Any, names: list[str]) -> Any:
    if isinstance(value, list):
        return [_name(one, names) for one in value]
    return names[value] if isinstance(value, int) and 0 <= value < len(names) else value


def classes(metadata: Mapping[bytes, bytes] | None) -> dict[str, list[str]]:
    """Names of the classes by column, as the library `datasets` leaves them with a schema; without them a 0 could be
    either label."""
    try:
        features = json.loads((metadata or {})[b"huggingface"])["info"]["features"]
        found = {column: _names(feature) for column, feature in features.items()}
    except (KeyError, ValueError, TypeError, AttributeError, RecursionError):
        return {}
    return {column: names for column, names in found.items() if names}


def _names(feature: Any) -> list[str]:
    """Of a class label, or of a list of them."""
    if isinstance(feature, list):
        feature = feature[0] if feature else {}
    if isinstance(feature, dict) and feature.get("_type") in ("Sequence", "List"):
        feature = feature.get("feature")
    if not isinstance(feature, dict) or feature.get("_type") != "ClassLabel":
        return []
    return [str(name) for name in feature.get("names") or []]
