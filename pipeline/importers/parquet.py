from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO

from pipeline.importers import BadRow, ImportedRow, Repeats, RowError, importers, read_row

WANTED = ("text", "label", "categories", "category", "pair", "language")
BATCH = 1_000  # rows unpacked at once


@importers.register("parquet")
@dataclass(frozen=True)
class Parquet:
    """Parquet: a row each with text, label and perhaps categories, pair, language; other columns are not unpacked.

    A small file may unpack to more than memory holds, and its footer may lie about it: read it only in a process of its
    own with a limit, as `python -m pipeline import` does.
    """

    def __call__(self, file: BinaryIO, *, categories: frozenset[str]) -> Iterator[ImportedRow | RowError]:
        import pyarrow as pa
        import pyarrow.parquet as pq

        try:
            table = pq.ParquetFile(file)
            columns = [name for name in WANTED if name in table.schema_arrow.names]
            if "text" not in columns or "label" not in columns:
                missing = "text" if "text" not in columns else "label"
                found = ", ".join(table.schema_arrow.names[:20])[:200]
                yield RowError(1, f"lacks the column {missing!r}; found: {found or 'nothing'}")
                return
            yield from _rows(table.iter_batches(BATCH, columns=columns, use_threads=False), categories)
        except pa.ArrowInvalid:
            yield RowError(1, "this is no whole Parquet file; write it again, or save it as JSON lines")


def _rows(batches: Any, categories: frozenset[str]) -> Iterator[ImportedRow | RowError]:
    repeats, line = Repeats(), 0
    for batch in batches:
        for values in batch.to_pylist():
            line += 1
            try:
                yield repeats.check(read_row(line, values, categories))
            except BadRow as error:
                yield RowError(line, str(error))
