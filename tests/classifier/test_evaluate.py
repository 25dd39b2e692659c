from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from classifier.__main__ import main
from classifier.evaluate import category_accuracy, evaluate, metrics, per_category, read_rows
from classifier.runfolder import ProgramError, RunFolder
from tests.classifier.planted import Reports, figures, planted_rows, started, write_input


def test_the_figures_are_those_computed_by_hand() -> None:
    found = metrics(np.array([0.9, 0.8, 0.7, 0.2]), np.array([1.0, 0.0, 1.0, 0.0]), 0.5)
    assert found == pytest.approx({
        "n": 4, "unsafe": 2, "threshold": 0.5,
        "average_precision": (1 + 2 / 3) / 2,
        "f1": 4 / 5, "best_f1": 4 / 5, "precision": 2 / 3, "recall": 1, "fpr": 1 / 2,
        "recall_at_fpr_1": 1 / 2, "recall_at_fpr_5": 1 / 2,
        "ece": (0.1 + 0.8 + 0.3 + 0.2) / 4,
        "brier": (0.01 + 0.64 + 0.09 + 0.04) / 4,
    })  # fmt: skip


def test_a_row_at_the_threshold_is_blocked() -> None:
    found = metrics(np.array([0.5, 0.5]), np.array([1.0, 0.0]), 0.5)
    assert (found["recall"], found["fpr"]) == (1, 1)


def test_with_safe_rows_only_what_needs_unsafe_ones_is_null() -> None:
    found = metrics(np.array([0.9, 0.1]), np.zeros(2), 0.5)
    null = {name for name, value in found.items() if value is None}
    assert null == {"average_precision", "f1", "best_f1", "recall", "recall_at_fpr_1", "recall_at_fpr_5"}
    assert found["fpr"] == 0.5


def test_with_unsafe_rows_only_what_needs_safe_ones_is_null() -> None:
    found = metrics(np.array([0.9, 0.1]), np.ones(2), 0.5)
    null = {name for name, value in found.items() if value is None}
    assert null == {"average_precision", "best_f1", "fpr", "recall_at_fpr_1", "recall_at_fpr_5"}
    assert found["recall"] == 0.5


def test_with_nothing_blocked_there_is_no_precision() -> None:
    assert metrics(np.array([0.1, 0.2]), np.array([0.0, 1.0]), 0.5)["precision"] is None


def test_figures_per_category_count_only_its_rows() -> None:
    rows: list[dict[str, Any]] = [{"categories": ["a"]}, {"categories": ["a"]}, {"categories": None}]
    found = per_category(np.array([0.9, 0.1, 0.1]), np.array([[0.8, 0], [0.7, 0], [0.1, 0]]), ["a", "b"], rows, 0.5)
    assert found == {"a": {"n": 2, "recall": 0.5, "average_precision": 1.0}}


def test_the_program_leaves_figures_and_a_score_for_each_row(trained_run: RunFolder, tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    run.write_request({"settings": {"model": str(trained_run / "model")}})
    rows = planted_rows(20, seed=4)
    write_input(run, rows)
    evaluate(run, Reports())
    found, out = figures(run), run.rows("output.parquet")
    assert found["average_precision"] > 0.9 and found["n"] == 20
    assert found["per_category"]["illegal-drugs"]["n"] == 10
    assert [row["id"] for row in out] == [row["id"] for row in rows]
    assert all(0 <= row["unsafe"] <= 1 for row in out)


def lines(rows: list[dict[str, Any]]) -> bytes:
    return b"".join(json.dumps(row).encode() + b"\n" for row in rows)


def test_measuring_a_file_prints_one_json_object(trained_run: RunFolder, tmp_path: Path) -> None:
    (tmp_path / "data.jsonl").write_bytes(lines(planted_rows(20, seed=4)))
    process = started("evaluate", "--model", trained_run / "model", "--data", tmp_path / "data.jsonl")
    out, _ = process.communicate()
    found = json.loads(out)
    assert process.returncode == 0
    assert found["average_precision"] > 0.9 and (found["n"], found["unsafe"]) == (20, 10)


def test_a_gzipped_file_gives_the_same_figures_and_the_threshold_can_be_chosen(
    trained_run: RunFolder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plain, packed = tmp_path / "data.jsonl", tmp_path / "data.jsonl.gz"
    plain.write_bytes(lines(planted_rows(20, seed=4)))
    packed.write_bytes(gzip.compress(plain.read_bytes()))
    found = []
    for data in (plain, packed):
        assert main(["evaluate", "--model", str(trained_run / "model"), "--data", str(data), "--threshold", "0"]) == 0
        found.append({**json.loads(capsys.readouterr().out), "seconds": None})
    assert found[0] == found[1]
    assert (found[0]["threshold"], found[0]["fpr"]) == (0, 1)


GOOD = {"text": "bake a cake", "label": "safe"}


@pytest.mark.parametrize(
    "bad",
    [b"{", b"[]", b"3", b'"text"', b"\xff\xfe", b'{"text": "a"}', b'{"text": 1, "label": "safe"}',
     b'{"text": "a", "label": "maybe"}', b'{"text": "a", "label": ["safe"]}'],
)  # fmt: skip
def test_a_bad_line_is_named_by_its_number(tmp_path: Path, bad: bytes) -> None:
    file = tmp_path / "data.jsonl"
    file.write_bytes(lines([GOOD]) + b"\n" + bad + b"\n" + lines([GOOD]))
    with pytest.raises(ProgramError, match="line 3: "):
        read_rows(file)


def test_a_line_may_name_one_category_or_several_or_none(tmp_path: Path) -> None:
    file = tmp_path / "data.jsonl"
    file.write_bytes(lines([GOOD, {**GOOD, "category": "a"}, {**GOOD, "categories": ["a", "b"]}]))
    assert [row["categories"] for row in read_rows(file)] == [[], ["a"], ["a", "b"]]


def test_a_file_that_cannot_be_read_is_an_error_of_one_sentence(
    trained_run: RunFolder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    packed = gzip.compress(lines([GOOD] * 50))
    (tmp_path / "cut.jsonl.gz").write_bytes(packed[:-12])
    (tmp_path / "wrong.jsonl.gz").write_bytes(lines([GOOD]))
    (tmp_path / "empty.jsonl").write_bytes(b"\n")
    for name in ("cut.jsonl.gz", "wrong.jsonl.gz", "empty.jsonl", "missing.jsonl"):
        assert main(["evaluate", "--model", str(trained_run / "model"), "--data", str(tmp_path / name)]) == 1
        out, err = capsys.readouterr()
        assert out == ""
        assert name in err or "Not a gzipped file" in err


def test_a_model_without_data_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evaluate", "--model", str(tmp_path)]) == 2
    assert "both --model and --data" in capsys.readouterr().err


def test_the_share_of_rows_whose_likeliest_category_is_theirs() -> None:
    rows = [
        {"categories": ["theft"]},
        {"categories": ["fraud", "theft"]},
        {"categories": ["fraud"]},
        {},
        {"categories": ["other"]},
    ]
    scores = np.array([[0.9, 0.1], [0.2, 0.3], [0.6, 0.4], [0.9, 0.1], [0.9, 0.1]])
    assert category_accuracy(scores, ["theft", "fraud"], rows) == pytest.approx(2 / 3)
    assert category_accuracy(scores[3:], ["theft", "fraud"], rows[3:]) is None
