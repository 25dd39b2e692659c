from __future__ import annotations

from dataclasses import dataclass
from typing import Any, BinaryIO

from pipeline.importers import Columns, Read, RowError, importers
from pipeline.importers.parquet import BATCH, classes, numbered


@importers.register("arrow")
@dataclass(frozen=True)
class Arrow:
    """Arrow, as a stream or a file: what `save_to_disk` of the library `datasets` leaves."""

    def __call__(self, file: BinaryIO, columns: Columns | None = None) -> Read:
        import pyarrow as pa

        try:
            schema, batches = _opened(file)
            if columns and (error := columns.missing(schema.names)):
                yield error
                return
            wanted = [name for name in schema.names if columns is None or name in (*columns.needed, *columns.more)]
            parts = (
                batch.slice(at, BATCH).select(wanted) for batch in batches for at in range(0, batch.num_rows, BATCH)
            )
            yield from numbered(parts, classes(schema.metadata))
        except pa.ArrowInvalid:
            yield RowError(1, "this is no whole Arrow file; write it again, or save it as Parquet")


def _opened(file: BinaryIO) -> tuple[Any, Any]:
    import pyarrow as pa

    is_file = file.read(6) == b"ARROW1"
    file.seek(0)
    if not is_file:
        stream = pa.ipc.open_stream(file)
        return stream.schema, stream
    whole = pa.ipc.open_file(file)
    return whole.schema, (whole.get_batch(at) for at in range(whole.num_record_batches))
