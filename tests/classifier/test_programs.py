from __future__ import annotations

import base64
import io
import json
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from classifier.__main__ import PROGRAMS, main
from classifier.runfolder import ProgramError, ProgressWriter, Report, RunFolder, run_program, write_json
from classifier.score import load_scorer
from tests.classifier.planted import planted_rows, started, training_run, write_input


@pytest.mark.parametrize("program", PROGRAMS)
def test_every_program_explains_itself(program: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main([program, "--help"])
    out = capsys.readouterr().out
    assert end.value.code == 0
    assert "RUN_FOLDER" in out and "--watch-parent" in out and "input.parquet" in out


def test_the_command_lists_its_programs() -> None:
    out, _ = (process := started("--help")).communicate()
    assert process.returncode == 0
    assert all(program in out for program in PROGRAMS)


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_program_without_a_folder_says_what_it_needs(program: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main([program])
    assert end.value.code == 2
    assert "needs a RUN_FOLDER" in capsys.readouterr().err


def last_line(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(capsys.readouterr().out.splitlines()[-1])
    return found


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_folder_without_a_request_fails_with_a_sentence(
    program: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([program, str(tmp_path / "nowhere")]) == 1
    said = last_line(capsys)
    assert said["error"].endswith("request.json is missing.") and said["remedy"]


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_folder_without_input_fails_with_a_sentence(
    program: str, trained_run: RunFolder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    named = {} if program == "train" else {"model": str(trained_run / "model")}
    RunFolder(tmp_path).write_request({"settings": named})
    assert main([program, str(tmp_path)]) == 1
    assert last_line(capsys)["error"].endswith("input.parquet is missing.")


@pytest.mark.parametrize("request_text", ["{", "[]", "3"])
def test_a_request_that_is_no_object_fails_with_a_sentence(
    tmp_path: Path, request_text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "request.json").write_text(request_text)
    assert main(["train", str(tmp_path)]) == 1
    assert "request.json" in last_line(capsys)["error"]


@pytest.mark.parametrize("program", ["score", "evaluate"])
def test_a_request_without_a_model_fails_with_a_sentence(
    program: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    RunFolder(tmp_path).write_request({"settings": {}})
    assert main([program, str(tmp_path)]) == 1
    assert "settings.model" in last_line(capsys)["error"]


def test_scoring_gives_every_text_a_probability_and_its_categories(
    trained_run: RunFolder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = RunFolder(tmp_path)
    run.write_request({"settings": {"model": str(trained_run / "model")}})
    rows = [*planted_rows(10, seed=5), {**planted_rows(1)[0], "id": "empty", "text": ""}]
    write_input(run, rows)
    assert main(["score", str(tmp_path)]) == 0
    out = run.rows("output.parquet")
    assert [row["id"] for row in out] == [row["id"] for row in rows]
    assert all(row["unsafe"] > 0.5 for row in out[1:10:2])
    assert set(out[0]["categories"]) == {"illegal-drugs", "weapons"}
    assert last_line(capsys)["message"] == "Scored"


def test_what_is_disguised_scores_as_the_endpoint_would_answer(trained_run: RunFolder, tmp_path: Path) -> None:
    scorer = load_scorer(trained_run / "model")
    plain = [row["text"] for row in planted_rows(20, seed=5) if row["label"] == "unsafe"]
    hidden = [base64.b64encode(text.encode()).decode() for text in plain]
    assert max(scorer.scores(hidden)[0]) < min(scorer.scores(plain)[0]), "as it came it says nothing"

    run = RunFolder(tmp_path)
    run.write_request({"settings": {"model": str(trained_run / "model")}})
    write_input(run, [{"id": str(at), "text": text} for at, text in enumerate(hidden)])
    assert main(["score", str(tmp_path)]) == 0
    said = [row["unsafe"] for row in run.rows("output.parquet")]
    assert said == pytest.approx(scorer.unsafe(hidden))
    assert said == pytest.approx(scorer.unsafe(plain))


def test_embedding_gives_unit_vectors_in_order_whatever_the_batch(encoder: Path, tmp_path: Path) -> None:
    from classifier.embed import Embedder

    run = RunFolder(tmp_path)
    run.write_request({"settings": {"model": str(encoder)}})
    rows = planted_rows(70)
    write_input(run, rows)
    assert main(["embed", str(tmp_path)]) == 0
    vectors = np.array([row["vector"] for row in run.rows("output.parquet")])
    assert vectors.shape == (70, 32)
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(np.ones(70), abs=1e-5)
    assert Embedder(str(encoder)).embed([rows[3]["text"]])[0] == pytest.approx(vectors[3], abs=1e-5)


def test_a_program_ends_when_its_starter_is_gone(encoder: Path, tmp_path: Path) -> None:
    import subprocess

    run = training_run(tmp_path, encoder, epochs=1000, checkpoint_steps=10**6)
    process = started("train", run.path, "--watch-parent", stdin=subprocess.PIPE)
    assert process.stdin and process.stdout
    first = json.loads(process.stdout.readline())
    assert first["total"] == 12_000 and process.poll() is None
    process.stdin.close()
    try:
        assert process.wait(timeout=60) == 3
    finally:
        process.kill()
        process.stdout.close()
        assert process.stderr
        process.stderr.close()
        process.wait()
    assert process.returncode != -signal.SIGKILL and not (run / "model").exists()


def failing(error: BaseException) -> Any:
    def work(run: RunFolder, report: Report) -> None:
        print("a library talks")
        raise error

    return work


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (ProgramError("It is broken.", "Mend it."), "It is broken."),
        (MemoryError(), "out of memory"),
        (OSError(28, "No space left on device"), "No space left"),
        (ValueError("the text of an example"), "ValueError in the program"),
    ],
)
def test_whatever_fails_ends_in_one_sentence_and_never_quotes_an_example(
    error: BaseException, says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_program(failing(error), tmp_path) == 1
    out, err = capsys.readouterr()
    (line,) = out.splitlines()
    assert says in json.loads(line)["error"] and json.loads(line)["remedy"]
    assert "a library talks" in err
    log = tmp_path / "log.txt"
    assert "the text of an example" not in out + err + (log.read_text() if log.exists() else "")


def test_progress_is_thinned_out_but_news_and_the_end_are_told() -> None:
    stream = io.StringIO()
    report = ProgressWriter(stream)
    for done in range(1, 1001):
        report(done, 1000, "First" if done < 500 else "Second")
    told = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert {1, 500, 1000} <= {line["done"] for line in told}
    assert len(told) < 100


def test_json_that_cannot_be_written_leaves_the_old_file(tmp_path: Path) -> None:
    write_json(tmp_path / "metrics.json", {"f1": 1.0})
    with pytest.raises(ValueError, match="JSON compliant"):
        write_json(tmp_path / "metrics.json", {"f1": float("nan")})
    assert json.loads((tmp_path / "metrics.json").read_text()) == {"f1": 1.0}
