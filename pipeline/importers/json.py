from __future__ import annotations

import codecs
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from pipeline.importers import BadRow, Columns, Read, Record, RowError, importers
from pipeline.importers.jsonl import DECODER, Jsonl

BLOCK = 2**16  # bytes
LARGEST = 2**24  # characters of one element: a task with the answers of many people is longer than a line may be
SPACE = " \t\r\n"


@importers.register("json")
@dataclass(frozen=True)
class Json:
    """JSON: an array of objects, read an element at a time; or one object a line, which many name .json as well."""

    def __call__(self, file: BinaryIO, columns: Columns | None = None) -> Read:
        head = file.read(BLOCK).removeprefix(codecs.BOM_UTF8).lstrip()
        file.seek(0)
        if head.startswith(b"["):
            return _elements(file)
        return Jsonl()(file, columns)


def _elements(file: BinaryIO) -> Read:
    number = 0
    try:
        for number, element in enumerate(_Array(file), 1):
            if isinstance(element, dict):
                yield Record(number, element)
            else:
                yield RowError(number, f"expected a JSON object, found {type(element).__name__}")
    except BadRow as error:  # where the next element begins is not known
        yield RowError(number + 1, f"{error}; nothing after it was read")


class _Array:
    """The elements of an array, decoded one after another from a window that moves over the file."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._utf8 = codecs.getincrementaldecoder("utf-8-sig")()
        self._text, self._at, self._ended = "", 0, False

    def __iter__(self) -> Iterator[object]:
        self._mark("[")
        if self._next() == "]":
            return
        while True:
            self._next()
            yield self._element()
            if self._mark(",]") == "]":
                return

    def _mark(self, marks: str) -> str:
        found = self._next()
        if not found or found not in marks:
            raise BadRow(f"not JSON: expected {' or '.join(marks)}")
        self._at += 1
        return found

    def _next(self) -> str:
        """The next character that is no space; empty at the end."""
        while True:
            while self._at < len(self._text) and self._text[self._at] in SPACE:
                self._at += 1
            if self._at < len(self._text):
                return self._text[self._at]
            if not self._more():
                return ""

    def _element(self) -> object:
        while True:
            try:
                value, self._at = DECODER.raw_decode(self._text, self._at)
                return value
            except json.JSONDecodeError as error:
                # Half an element looks like a broken one: only more of the file can tell. Reading as much again keeps
                # the work in proportion.
                if len(self._text) - self._at > LARGEST:
                    raise BadRow(f"longer than {LARGEST:,} characters") from None
                if not self._more(max(BLOCK, len(self._text) - self._at)):
                    raise BadRow(f"not JSON: {error.msg}") from None
            except RecursionError:
                raise BadRow("not a row: nested too deeply") from None
            except ValueError:
                raise BadRow("holds a number that is too long") from None

    def _more(self, size: int = BLOCK) -> bool:
        if self._ended:
            return False
        data = self._file.read(size)
        self._ended = not data
        try:
            self._text = self._text[self._at :] + self._utf8.decode(data, final=self._ended)
        except UnicodeDecodeError as error:
            raise BadRow(f"not UTF-8: byte 0x{error.object[error.start]:02x}") from None
        self._at = 0
        return not self._ended
