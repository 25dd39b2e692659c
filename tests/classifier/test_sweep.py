from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from classifier.runfolder import ProgramError, RunFolder
from classifier.sweep import choose, sweep, what_mattered
from tests.classifier.planted import CATEGORIES, SETTINGS, Reports, both_splits, figures, write_input


def sweep_run(folder: Path, encoder: Path, **request: Any) -> RunFolder:
    run = RunFolder(folder)
    settings = {**SETTINGS, "backbone": str(encoder), "epochs": 500}
    run.write_request({"settings": settings, "categories": CATEGORIES, **request})
    write_input(run, both_splits())
    return run


def test_the_better_half_goes_on_and_what_mattered_is_told(encoder: Path, tmp_path: Path) -> None:
    space = {"learning_rate": [3e-3, 0.0], "head_learning_rate": [1e-3, 0.0]}
    run = sweep_run(tmp_path, encoder, space=space, candidates=4, first_minutes=0.01)
    sweep(run, Reports())
    found = figures(run)
    assert [sum(trial["rung"] == rung for trial in found["trials"]) for rung in range(3)] == [4, 2, 1]
    assert [trial["minutes"] for trial in found["trials"]] == [0.01] * 4 + [0.02] * 2 + [0.04]
    assert found["best"]["settings"]["learning_rate"] == 3e-3
    assert found["what_mattered"][0]["setting"] == "learning_rate"


def test_a_sweep_that_was_broken_off_trains_nothing_twice(
    encoder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = sweep_run(tmp_path, encoder, space={"seed": [1, 2]}, first_minutes=0.01)
    sweep(run, Reports())
    first = figures(run)
    steps = {file: file.stat().st_mtime_ns for file in tmp_path.rglob("steps.jsonl")}
    assert len(steps) == 3
    sweep(run, Reports())
    assert figures(run) == first
    assert {file: file.stat().st_mtime_ns for file in tmp_path.rglob("steps.jsonl")} == steps


def test_the_same_seed_chooses_the_same_candidates() -> None:
    space = {"a": [1, 2, 3], "b": [1, 2, 3]}
    assert choose(space, 4) == choose(space, 4) != choose(space, 4, seed=1)
    assert len(choose(space, 100)) == 9


def test_a_setting_that_moves_the_figure_comes_first() -> None:
    trials = [
        {"rung": 0, "settings": {"a": a, "b": b}, "average_precision": 0.5 + 0.3 * a + 0.01 * b}
        for a in (0, 1) for b in (0, 1)
    ]  # fmt: skip
    trials.append({"rung": 1, "settings": {"a": 0, "b": 0}, "average_precision": 0.0})
    first, second = what_mattered(trials)
    assert (first["setting"], second["setting"]) == ("a", "b")
    assert first["spread"] == pytest.approx(0.3)


@pytest.mark.parametrize(
    ("space", "says"),
    [(None, "no space"), ({}, "no space"), ({"epochs": []}, "no space"), ({"epoch": [1]}, "no setting 'epoch'")],
)
def test_a_space_that_is_none_is_a_sentence(space: Any, says: str, encoder: Path, tmp_path: Path) -> None:
    with pytest.raises(ProgramError, match=says):
        sweep(sweep_run(tmp_path, encoder, space=space), Reports())
