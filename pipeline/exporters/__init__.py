"""Writing examples to files. An exporter is called as `(rows, file)` on an iterator of rows and a binary file.

It streams, so memory stays flat, and the same rows give the same bytes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import Any

from pipeline.registry import Registry

exporters = Registry("pipeline.exporters")
CHUNK = 200  # rows held at a time; of thousands, each would lie in memory that the system first has to hand out


def chunks(rows: Iterable[Mapping[str, Any]]) -> Iterator[list[Mapping[str, Any]]]:
    """Rows in short lists, read no earlier than they are asked for."""
    iterator = iter(rows)
    while chunk := list(islice(iterator, CHUNK)):
        yield chunk
