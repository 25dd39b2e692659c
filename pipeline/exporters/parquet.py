from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, BinaryIO, ClassVar

from pipeline.exporters import chunks, exporters

LISTS = ("categories",)
COUNTS = ("version", "person_verdicts", "agreeing_verdicts", "machine_verdicts")


@exporters.register("parquet")
@dataclass(frozen=True)
class Parquet:
    """Apache Parquet, zstd, in row groups."""

    suffix: ClassVar[str] = ".parquet"
    media_type: ClassVar[str] = "application/vnd.apache.parquet"
    group: int = 10_000  # rows held at a time

    def __call__(self, rows: Iterable[Mapping[str, Any]], file: BinaryIO) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        writer = None
        for chunk in chunks(rows, self.group):
            schema = writer.schema if writer else _schema(chunk[0])
            columns = [pa.array([_flat(row[name]) for row in chunk], type=schema.field(name).type) for name in chunk[0]]
            writer = writer or pq.ParquetWriter(file, schema, compression="zstd")
            writer.write_table(pa.Table.from_arrays(columns, schema=schema))
        if writer is not None:
            writer.close()


def _flat(value: Any) -> Any:
    return json.dumps(value, sort_keys=True, ensure_ascii=False) if isinstance(value, dict) else value


def _schema(row: Mapping[str, Any]) -> Any:
    """Types by name, so that a first row with nulls does not decide for the rest."""
    import pyarrow as pa

    kinds = {**dict.fromkeys(LISTS, pa.list_(pa.string())), **dict.fromkeys(COUNTS, pa.int32())}
    return pa.schema([(name, kinds.get(name, pa.string())) for name in row])
