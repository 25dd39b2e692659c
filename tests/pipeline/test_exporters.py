from __future__ import annotations

import csv
import io
import json
from typing import Any

import yaml

from pipeline.exporters import exporters
from pipeline.exporters.card import dataset_card

ROWS: list[dict[str, Any]] = [
    {
        "id": str(n), "text": f'=1+{n} \u202e «ü»\r\n, "quoted"', "label": "safe", "categories": [], "family": "f",
        "split": "train", "settings": f'{{"n":{n}}}', "person_verdicts": n, "machine_verdicts": 0, "parent_id": None,
    }
    for n in range(2500)
]  # fmt: skip
SUMMARY: dict[str, Any] = {
    "name": 'A "quoted": name', "version": 3, "digest": "abc", "policy": "Policy v1", "splits": ["train"],
    "about": {"licence": "CC-BY-4.0"}, "content_note": "",
    "categories": [{"key": "fraud", "name": "Fraud", "definition": "A | pipe <b>", "severity": 3}],
    "counts": {
        "rows": 12, "label": {"safe": 5, "unsafe": 7}, "origin": {"seed": 12}, "split": {"train": 12},
        "language": {"en": 12}, "label_source": {"machine": 4, "person": 3, "seed": 5}, "category": {"fraud": 7},
        "model": {"": 5, "weights-1": 7}, "families": 3, "judged_by_several": 2, "of_one_mind": 1,
        "proposals_judged": 3, "proposals_kept": 2, "machine_and_person": 0, "machine_as_person": 0,
    },
}  # fmt: skip


def export(key: str, **settings: Any) -> bytes:
    file = io.BytesIO()
    exporters.make(key, settings)(iter(ROWS), file)
    return file.getvalue()


def test_json_lines_come_back_as_they_went() -> None:
    assert [json.loads(line) for line in export("jsonl").splitlines()] == ROWS


def test_parquet_comes_back_as_it_went() -> None:
    import pyarrow.parquet as pq

    file = pq.ParquetFile(io.BytesIO(export("parquet")))

    rows = file.read().to_pylist()
    assert file.num_row_groups == 1
    assert rows == ROWS


def test_lossless_csv_comes_back_as_it_went() -> None:
    rows = list(csv.DictReader(io.StringIO(export("csv", formula_safe=False).decode(), newline="")))

    assert [row["text"] for row in rows] == [row["text"] for row in ROWS]
    assert "\r\n" in rows[1]["text"]


def test_a_spreadsheet_finds_no_formula() -> None:
    rows = list(csv.DictReader(io.StringIO(export("csv").decode("utf-8-sig"), newline="")))

    assert all(row["text"].startswith("'=") for row in rows)


def test_the_same_rows_give_the_same_bytes() -> None:
    assert export("jsonl") == export("jsonl")
    assert export("parquet") == export("parquet")


def test_the_card_says_who_decided_and_its_front_matter_is_yaml() -> None:
    card = dataset_card(SUMMARY)

    front = yaml.safe_load(card.split("---")[1])
    assert front["pretty_name"] == 'A "quoted": name'
    assert front["size_categories"] == ["n<1K"]
    assert "3 labels were decided by a person, 4 by a machine" in card
    assert "A \\| pipe &lt;b>" in card
