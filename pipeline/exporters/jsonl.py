from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, BinaryIO, ClassVar

from pipeline.exporters import exporters


@exporters.register("jsonl")
@dataclass(frozen=True)
class Jsonl:
    """JSON lines, UTF-8, keys in the order of the columns."""

    suffix: ClassVar[str] = ".jsonl"
    media_type: ClassVar[str] = "application/jsonl"

    def __call__(self, rows: Iterable[Mapping[str, Any]], file: BinaryIO) -> None:
        for row in rows:
            file.write(json.dumps(row, ensure_ascii=False, allow_nan=False).encode() + b"\n")
