from __future__ import annotations

import signal
import time
from pathlib import Path
from typing import Any

import pytest

from classifier.artifacts import digest_file, verify
from classifier.config import TrainSettings
from classifier.runfolder import ProgramError, RunFolder
from classifier.score import load_scorer
from classifier.train import category_targets, train
from tests.classifier.planted import (
    Reports,
    both_splits,
    figures,
    flip_byte,
    planted_rows,
    started,
    steps,
    trained,
    training_run,
)


def test_it_learns_a_planted_rule(trained_run: RunFolder) -> None:
    found = figures(trained_run)
    assert found["validation"]["average_precision"] > 0.95
    assert (found["train_rows"], found["steps"], len(found["history"])) == (96, 36, 3)
    assert found["digest"] == verify(trained_run / "model")


def test_the_trained_guard_answers_for_texts_it_never_saw(trained_run: RunFolder) -> None:
    scorer = load_scorer(trained_run / "model")
    rows = planted_rows(40, seed=2)
    blocked = [score >= scorer.threshold for score in scorer.unsafe([row["text"] for row in rows])]
    right = sum(b == (row["label"] == "unsafe") for b, row in zip(blocked, rows, strict=True))
    assert right >= 38


def test_the_same_seed_gives_the_same_weights_and_another_seed_others(encoder: Path, tmp_path: Path) -> None:
    digests = []
    for number, seed in enumerate((7, 7, 8)):
        run = training_run(tmp_path / str(number), encoder, seed=seed, epochs=1)
        trained(run)
        digests.append([digest_file(run / f"model/{name}.safetensors") for name in ("model", "heads")])
    assert digests[0] == digests[1]
    assert digests[0] != digests[2]


def test_a_killed_training_goes_on_as_if_it_had_not_been_killed(encoder: Path, tmp_path: Path) -> None:
    settings: dict[str, Any] = {"epochs": 12, "checkpoint_steps": 20}
    whole = training_run(tmp_path / "whole", encoder, **settings)
    broken = training_run(tmp_path / "broken", encoder, **settings)
    expected = trained(whole)

    process = started("train", broken.path)
    _wait_for(broken / "checkpoints/step-00000040/MANIFEST.json")
    process.kill()
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    before = steps(broken)
    reports = Reports()
    train(broken, reports)

    order = {step["step"]: step["rows"] for step in steps(whole)}
    after = steps(broken)[len(before) :]
    assert reports.messages[0].startswith("Going on from step ")
    assert 40 < after[0]["step"] <= len(before) + 1 < len(order)
    assert all(step["rows"] == order[step["step"]] for step in before + after)
    assert {step["step"] for step in before + after} == set(order)
    assert after[-1]["loss"] == pytest.approx(steps(whole)[-1]["loss"], abs=1e-3)
    assert figures(broken)["validation"] == pytest.approx(expected["validation"], abs=1e-3)
    assert not (broken / "checkpoints").exists()


def _wait_for(file: Path) -> None:
    deadline = time.monotonic() + 60
    while not file.exists():
        assert time.monotonic() < deadline, f"{file.name} did not come"
        time.sleep(0.005)


@pytest.fixture
def broken_off(encoder: Path, tmp_path: Path) -> RunFolder:
    """A training that stopped after step 13, with checkpoints of steps 5 and 10."""
    run = training_run(tmp_path / "run", encoder, checkpoint_steps=5)
    with pytest.raises(InterruptedError):
        train(run, Reports(break_at=13))
    return run


def test_it_goes_on_from_the_newest_checkpoint(broken_off: RunFolder) -> None:
    reports = Reports()
    train(broken_off, reports)
    assert reports.messages[0] == "Going on from step 10"


@pytest.mark.parametrize("file", ["weights.safetensors", "optimizer.safetensors", "state.json", "MANIFEST.json"])
def test_a_corrupt_checkpoint_is_put_aside_and_the_one_before_is_used(broken_off: RunFolder, file: str) -> None:
    flip_byte(broken_off / "checkpoints/step-00000010" / file)
    reports = Reports()
    train(broken_off, reports)
    assert reports.messages[0] == "Going on from step 5"
    assert (broken_off / "quarantine/step-00000010" / file).exists()


def test_a_checkpoint_that_was_cut_off_does_not_count(broken_off: RunFolder) -> None:
    for checkpoint in (broken_off / "checkpoints").iterdir():
        (checkpoint / "MANIFEST.json").unlink()
    trained(broken_off)
    assert [step["step"] for step in steps(broken_off)[13:]] == list(range(1, 37))


def test_only_the_two_newest_checkpoints_are_kept(encoder: Path, tmp_path: Path) -> None:
    run = training_run(tmp_path, encoder, checkpoint_steps=3)
    with pytest.raises(InterruptedError):
        train(run, Reports(break_at=14))
    assert sorted(folder.name for folder in (run / "checkpoints").iterdir()) == ["step-00000009", "step-00000012"]


def test_a_finished_training_is_not_done_again(trained_run: RunFolder) -> None:
    reports = Reports()
    train(trained_run, reports)
    assert reports.messages == ["Trained already"]


def test_a_damaged_model_is_trained_again(encoder: Path, tmp_path: Path) -> None:
    run = training_run(tmp_path, encoder, epochs=1)
    digest = trained(run)["digest"]
    flip_byte(run / "model/heads.safetensors")
    assert trained(run)["digest"] == digest == verify(run / "model")


@pytest.mark.parametrize("epochs", [1, 20])
@pytest.mark.parametrize("validated", [True, False])
def test_a_learning_rate_that_explodes_stops_with_a_sentence(
    encoder: Path, tmp_path: Path, epochs: int, validated: bool
) -> None:
    rows = both_splits() if validated else planted_rows(96)
    run = training_run(tmp_path, encoder, rows, learning_rate=1e9, head_learning_rate=1e9, epochs=epochs)
    with pytest.raises(ProgramError, match="diverged at step") as caught:
        train(run, Reports())
    assert "Lower the learning rate" in caught.value.remedy
    assert not (run / "model").exists()


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"learning_rate": float("inf")}, "learning_rate should be between"),
        ({"learning_rate": float("nan")}, "learning_rate should be between"),
        ({"dropout": 1}, "dropout should be between 0 and 0.9"),
        ({"epochs": 2.5}, "epochs should be a whole number"),
        ({"seed": "one"}, "seed should be a whole number"),
        ({"batch_size": None}, "batch_size should be a whole number"),
        ({"weight_decay": "much"}, "cannot be used"),
        ({"learning_rat": 1e-4}, "There is no setting 'learning_rat'"),
    ],
)
def test_a_setting_that_makes_no_sense_is_refused(values: dict[str, Any], says: str) -> None:
    with pytest.raises(ProgramError, match=says):
        TrainSettings.from_dict(values)


def test_settings_survive_json() -> None:
    settings = TrainSettings(epochs=3, learning_rate=2e-4)
    assert TrainSettings.from_dict(settings.to_dict()) == settings


def test_a_length_that_the_encoder_cannot_read_is_refused(encoder: Path, tmp_path: Path) -> None:
    with pytest.raises(ProgramError, match=r"max_length is 513.* reads 512 tokens"):
        train(training_run(tmp_path, encoder, max_length=513), Reports())


def test_training_without_training_rows_says_so(encoder: Path, tmp_path: Path) -> None:
    run = training_run(tmp_path, encoder, planted_rows(8, split="validation"))
    with pytest.raises(ProgramError, match="no rows of the split 'train'"):
        train(run, Reports())


def test_a_validation_split_of_one_class_gives_null_figures_and_the_middle_cut(encoder: Path, tmp_path: Path) -> None:
    safe = [row for row in planted_rows(20, split="validation") if row["label"] == "safe"]
    run = training_run(tmp_path, encoder, planted_rows(32) + safe, epochs=2)
    found = trained(run)
    assert found["validation"]["average_precision"] is None
    assert [epoch["validation_average_precision"] for epoch in found["history"]] == [None, None]
    assert found["best_epoch"] == 2
    assert load_scorer(run / "model").threshold == 0.5


def test_without_a_validation_split_the_last_epoch_is_kept(encoder: Path, tmp_path: Path) -> None:
    run = training_run(tmp_path, encoder, planted_rows(32), epochs=2)
    found = trained(run)
    assert (found["validation"], found["best_epoch"]) == ({}, 2)


def test_a_row_of_weight_zero_teaches_nothing(encoder: Path, tmp_path: Path) -> None:
    wrong = {"safe": "unsafe", "unsafe": "safe"}
    lies = [{**row, "label": wrong[row["label"]], "categories": [], "weight": 0.0} for row in planted_rows(96, seed=3)]
    rows = [{**row, "weight": None} for row in both_splits()]
    found = trained(training_run(tmp_path, encoder, rows + lies))
    assert found["validation"]["average_precision"] > 0.95


def test_a_category_that_nobody_named_is_unknown_not_absent() -> None:
    rows = [
        {"label": "safe", "categories": []},
        {"label": "unsafe", "categories": ["b"]},
        {"label": "unsafe", "categories": []},
    ]
    targets = category_targets(rows, ["a", "b"])
    assert targets[:2].tolist() == [[0, 0], [0, 1]]
    assert all(target != target for target in targets[2])


def test_a_guard_without_categories_trains_and_scores(encoder: Path, tmp_path: Path) -> None:
    run = training_run(tmp_path, encoder, epochs=1)
    run.write_request({**run.request(), "categories": []})
    trained(run)
    unsafe, categories = load_scorer(run / "model").scores(["a small cake"])
    assert (unsafe.shape, categories.shape) == ((1,), (1, 0))
