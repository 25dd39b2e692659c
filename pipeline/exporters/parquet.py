from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any, BinaryIO, ClassVar

from pipeline.exporters import exporters

LISTS = ("categories",)
COUNTS = ("person_verdicts", "machine_verdicts")
OBJECTS = ("settings",)  # their keys differ from stage to stage, so they travel as JSON text


@exporters.register("parquet")
@dataclass(frozen=True)
class Parquet:
    """Apache Parquet, zstd, in row groups."""

    suffix: ClassVar[str] = ".parquet"
    media_type: ClassVar[str] = "application/vnd.apache.parquet"
    group: int = 1000  # rows held at a time

    def __call__(self, rows: Iterable[Mapping[str, Any]], file: BinaryIO) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        writer = None
        for chunk in _chunks(iter(rows), self.group):
            table = pa.Table.from_pylist([_flat(row) for row in chunk], schema=_schema(chunk[0]))
            writer = writer or pq.ParquetWriter(file, table.schema, compression="zstd")
            writer.write_table(table)
        if writer is not None:
            writer.close()


def _chunks(rows: Iterator[Mapping[str, Any]], size: int) -> Iterator[list[Mapping[str, Any]]]:
    while chunk := list(islice(rows, size)):
        yield chunk


def _flat(row: Mapping[str, Any]) -> dict[str, Any]:
    return {key: json.dumps(value, sort_keys=True) if key in OBJECTS else value for key, value in row.items()}


def _schema(row: Mapping[str, Any]) -> Any:
    """Types by name, so that a first row with nulls does not decide for the rest."""
    import pyarrow as pa

    kinds = {**dict.fromkeys(LISTS, pa.list_(pa.string())), **dict.fromkeys(COUNTS, pa.int32())}
    return pa.schema([(name, kinds.get(name, pa.string())) for name in row])
