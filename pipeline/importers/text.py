from __future__ import annotations

from dataclasses import dataclass
from typing import BinaryIO

from pipeline.importers import LONGEST_LINE, BadRow, Columns, Read, Record, RowError, decoded, importers


@importers.register("text")
@dataclass(frozen=True)
class Text:
    """One text a file, as in archives that have a folder for each label."""

    def __call__(self, file: BinaryIO, columns: Columns | None = None) -> Read:
        content = file.read(LONGEST_LINE + 1)
        try:
            yield Record(1, {"text": decoded(content if len(content) <= LONGEST_LINE else None)})
        except BadRow as error:
            yield RowError(1, str(error))
