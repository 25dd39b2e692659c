from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, BinaryIO, ClassVar

import orjson

from pipeline.exporters import chunks, exporters


@exporters.register("jsonl")
@dataclass(frozen=True)
class Jsonl:
    """JSON lines, UTF-8, keys in the order of the columns."""

    suffix: ClassVar[str] = ".jsonl"
    media_type: ClassVar[str] = "application/jsonl"

    def __call__(self, rows: Iterable[Mapping[str, Any]], file: BinaryIO) -> None:
        for chunk in chunks(rows):
            file.write(b"".join([orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE) for row in chunk]))
