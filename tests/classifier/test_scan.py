from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from classifier.__main__ import main
from tests.classifier.planted import started
from tests.guards import make_guard


@pytest.fixture(scope="module")
def guard(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_guard(tmp_path_factory.mktemp("scan") / "guard", threshold=0.0)  # flags everything


def lines_of(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


@pytest.fixture
def messages(tmp_path: Path) -> Path:
    """600 lines: more than two chunks."""
    file = tmp_path / "messages.jsonl"
    file.write_text("".join(json.dumps({"text": f"a dog and {n} cats"}) + "\n" for n in range(600)))
    return file


def test_lines_are_scored_in_order_and_never_repeated(
    guard: Path, messages: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status = main(["scan", "--model", str(guard), str(messages), "--quiet"])

    out = capsys.readouterr().out
    assert status == 0
    assert [line["line"] for line in lines_of(out)] == list(range(1, 601))
    assert all(line["flagged"] and 0 <= line["unsafe"] <= 1 for line in lines_of(out))
    assert "cats" not in out


def test_jobs_give_the_same_answer_as_one(guard: Path, messages: Path, tmp_path: Path) -> None:
    for jobs in ("1", "2"):
        main(["scan", "--model", str(guard), str(messages), "--jobs", jobs, "--out", str(tmp_path / jobs), "--quiet"])

    one, two = (lines_of((tmp_path / jobs).read_text()) for jobs in ("1", "2"))
    assert [(line["line"], round(line["unsafe"], 4)) for line in one] == [
        (line["line"], round(line["unsafe"], 4)) for line in two
    ]


def test_a_scan_that_broke_off_goes_on_where_it_was(guard: Path, messages: Path, tmp_path: Path) -> None:
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    main(["scan", "--model", str(guard), str(messages), "--out", str(whole), "--quiet"])
    lines = whole.read_text().splitlines(keepends=True)
    broken.write_text("".join(lines[:300]) + lines[300][:20])

    main(["scan", "--model", str(guard), str(messages), "--out", str(broken), "--quiet"])

    assert [line["line"] for line in lines_of(broken.read_text())] == list(range(1, 601))
    assert broken.read_text().splitlines(keepends=True)[:300] == lines[:300]


def test_a_pipe_is_answered_line_by_line(guard: Path) -> None:
    process = started("scan", "--model", guard, "--quiet", stdin=-1)
    assert process.stdin and process.stdout
    for text in ("a dog", "a cat"):
        process.stdin.write(f"{text}\n")
        process.stdin.flush()
        assert json.loads(process.stdout.readline())["file"] == "-"  # before the pipe is closed
    process.stdin.close()

    assert process.wait(60) == 0


def test_a_line_without_a_text_is_named_and_the_rest_is_scored(
    guard: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "odd.jsonl.gz"
    odd = ['{"text": "fine"}', "{", '{"other": 1}', '{"text": 7}', '{"text": " "}', '{"text": "\\ud800"}', "[" * 9999]
    file.write_bytes(gzip.compress("\n".join(odd).encode()))

    status = main(["scan", "--model", str(guard), str(file), "--quiet"])

    out = capsys.readouterr()
    assert status == 1
    assert ["error" in line for line in lines_of(out.out)] == [False, True, True, True, True, False, True]
    assert "5 lines held no text" in out.err


def test_only_flagged_lines_are_written_where_that_is_wanted(
    tmp_path: Path, messages: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    silent = make_guard(tmp_path / "silent", threshold=1.0)

    main(["scan", "--model", str(silent), str(messages), "--flagged", "--quiet"])

    assert capsys.readouterr().out == ""


def test_a_file_that_is_not_there_is_a_sentence(guard: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["scan", "--model", str(guard), "nowhere.txt", "--quiet"]) == 1
    assert "There is no file nowhere.txt" in capsys.readouterr().err
