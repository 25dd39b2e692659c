from __future__ import annotations

import io
import json
from typing import Any

import pytest

from pipeline import mapping
from pipeline.importers import LONGEST_LINE, RowError
from pipeline.mapping import ImportedRow, Mapping

CATEGORIES = frozenset({"fraud", "hate"})


def read(key: str, content: bytes) -> list[ImportedRow | RowError]:
    return list(mapping.read(key, io.BytesIO(content), Mapping(), CATEGORIES))


def jsonl(*rows: Any) -> bytes:
    return "\n".join(row if isinstance(row, str) else json.dumps(row) for row in rows).encode()


def errors(rows: list[ImportedRow | RowError]) -> dict[int, str]:
    return {row.line: row.message for row in rows if isinstance(row, RowError)}


GOOD = {"text": "hello good friend", "label": "safe"}


def test_a_good_row_is_taken_as_it_is() -> None:
    row = {"text": " fake a receipt ", "label": "unsafe", "categories": ["fraud"], "pair": 7, "language": "de"}

    assert read("jsonl", jsonl(row)) == [ImportedRow(1, "fake a receipt", "unsafe", ("fraud",), "7", "de")]


@pytest.mark.parametrize(
    ("row", "says"),
    [
        ({"label": "safe"}, "has no text"),
        ({"text": "   ", "label": "safe"}, "text is empty"),
        ({"text": 5, "label": "safe"}, "should be a string, found int"),
        ({"text": "a\0b", "label": "safe"}, "NUL"),
        ({"text": "hello there"}, "label should be safe or unsafe, found nothing"),
        ({"text": "hello there", "label": "spicy"}, "found 'spicy'"),
        ({"text": "hello there", "label": "unsafe", "categories": ["magic"]}, "no category 'magic'"),
        ({"text": "hello there", "label": "safe", "categories": ["fraud"]}, "labelled safe, but it names a category"),
        ({"text": "hello there", "label": "unsafe", "categories": [3]}, "list of names"),
        ({"text": "hello there", "label": "safe", "pair": "x" * 200}, "at most 100 characters"),
        ("[1, 2]", "expected a JSON object, found list"),
        ("{", "not JSON"),
        ('{"text": "a", "label": "safe", "x": NaN}', "holds NaN"),
        ('{"text": "a", "text": "b", "label": "safe"}', "names a key twice"),
        ('{"text": "a", "label": "safe", "x": ' + "1" * 5000 + "}", "number that is too long"),
        ('{"x": ' + "[" * 100_000, "nested too deeply"),
        ('{"text": "half \\ud800 pair", "label": "safe"}', "half a surrogate pair"),
    ],
)
def test_a_bad_row_is_named_with_its_reason_and_the_next_is_taken(row: Any, says: str) -> None:
    first, second = read("jsonl", jsonl(row, GOOD))

    assert isinstance(first, RowError)
    assert first.line == 1
    assert says in first.message
    assert isinstance(second, ImportedRow)


def test_a_line_that_is_not_utf8_names_its_byte() -> None:
    found = errors(read("jsonl", b'{"text": "caf\xe9", "label": "safe"}\n' + jsonl(GOOD)))

    assert found == {1: "not UTF-8: byte 0xe9 at position 14"}


def test_a_line_of_ten_megabytes_is_passed_over_without_being_held() -> None:
    huge = b'{"text": "' + b"a" * (10 * LONGEST_LINE) + b'", "label": "safe"}\n'

    rows = read("jsonl", huge + jsonl(GOOD))

    assert "longer than" in errors(rows)[1]
    assert isinstance(rows[1], ImportedRow)
    assert rows[1].line == 2


def test_a_row_that_repeats_another_names_it() -> None:
    assert errors(read("jsonl", jsonl(GOOD, {**GOOD, "text": "HELLO,  good friend!"}))) == {
        2: "repeats line 1 of this file"
    }


def test_blank_lines_and_a_byte_order_mark_are_fine() -> None:
    rows = read("jsonl", b"\xef\xbb\xbf" + jsonl(GOOD) + b"\n\n\n" + jsonl({"text": "other one here", "label": 1}))

    assert [(row.line, type(row)) for row in rows] == [(1, ImportedRow), (4, ImportedRow)]


def test_messages_never_quote_the_text() -> None:
    for row in ({"text": "peculiar\0", "label": "safe"}, {"text": "peculiar", "label": ""}, '{"text": "peculiar'):
        assert all("peculiar" not in message for message in errors(read("jsonl", jsonl(row))).values())


def test_csv_takes_categories_parted_by_bars() -> None:
    rows = read("csv", b'text,label,categories,pair\n"one, two",unsafe,fraud|hate,a\nhello you,safe,,a\n')

    assert rows == [
        ImportedRow(2, "one, two", "unsafe", ("fraud", "hate"), "a"),
        ImportedRow(3, "hello you", "safe", (), "a"),
    ]


@pytest.mark.parametrize(
    "content",
    [
        b'text;label\n"one; two, three";unsafe\nhello you;safe\n',
        b"text\tlabel\none; two, three\tunsafe\nhello you\tsafe\n",
    ],
    ids=["semicolons", "tabs"],
)
def test_csv_of_a_spreadsheet_is_parted_as_its_header_is(content: bytes) -> None:
    rows = read("csv", content)

    assert errors(rows) == {}
    assert [row.text for row in rows] == ["one; two, three", "hello you"]


def test_csv_with_a_comma_in_its_only_column_is_one_of_commas() -> None:
    assert errors(read("csv", b'"text",label\n"a; b; c; d",safe\n')) == {}


def test_csv_counts_lines_over_fields_of_several_lines() -> None:
    rows = read("csv", b'text,label\n"first\nsecond",safe\nbad row here,perhaps\n')

    assert isinstance(rows[0], ImportedRow)
    assert list(errors(rows)) == [4]


@pytest.mark.parametrize("content", [b"", b"body,label\nx,safe\n"])
def test_csv_without_the_columns_says_which_is_missing(content: bytes) -> None:
    assert "lacks the column 'text'" in errors(read("csv", content))[1]


def test_csv_rows_that_are_short_or_odd_are_named_and_the_rest_is_taken() -> None:
    content = (
        b"text,label\nonly one field\ncaf\xe9 au lait,safe\n" + b'"' + b"x" * 200_000 + b'",safe\nhello you,safe\n'
    )

    rows = read("csv", content)

    assert "1 fields, the header 2" in errors(rows)[2]
    assert "not UTF-8" in errors(rows)[3]
    assert "not CSV" in errors(rows)[4]
    assert rows[-1] == ImportedRow(5, "hello you", "safe")


def test_csv_with_a_quote_that_never_closes_says_so() -> None:
    assert any("not CSV" in message for message in errors(read("csv", b'text,label\n"never closed,safe\n')).values())
