from __future__ import annotations

from collections import Counter
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from safetensors.torch import load_file, save_file

from classifier import folds
from classifier.artifacts import digest_file, write_manifest
from classifier.config import TrainSettings
from classifier.families import dealt
from classifier.runfolder import RunFolder
from classifier.score import load_scorer
from classifier.train import train
from tests.classifier.planted import Reports, both_splits, figures, planted_rows, trained, training_run


@pytest.fixture
def kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave what every guard was trained from and to where it was."""
    monkeypatch.setattr(folds, "shutil", SimpleNamespace(rmtree=lambda _: None))


def right_of_forty(run: RunFolder) -> int:
    """How many texts it judges rightly of those that it never saw."""
    scorer, rows = load_scorer(run / "model"), planted_rows(40, seed=2)
    blocked = [score >= scorer.threshold for score in scorer.unsafe([row["text"] for row in rows])]
    return sum(b == (row["label"] == "unsafe") for b, row in zip(blocked, rows, strict=True))


def parts_of(run: RunFolder) -> list[RunFolder]:
    return [RunFolder(part) for part in sorted((run / "folds").iterdir())]


def test_families_are_dealt_whole_and_every_fold_gets_its_share_of_sources_and_labels() -> None:
    rows = [
        {"text": f"{word} number {n} of its kind", "label": "unsafe" if n % 2 else "safe", "source": source,
         "pair": f"{source}-{n // 2}"}
        for source, word in (("a", "apple"), ("b", "bread")) for n in range(60)
    ]  # fmt: skip
    rows = [{**row, "text": f"{row['text']} {hash_of(at)}"} for at, row in enumerate(rows)]

    fold = dealt(rows, 3)

    assert fold == dealt(rows, 3) != dealt(rows, 3, seed=1)
    of: dict[str, set[int]] = {}
    for row, number in zip(rows, fold, strict=True):
        of.setdefault(row["pair"], set()).add(number)
    assert max(map(len, of.values())) == 1
    counts = Counter((number, row["source"], row["label"]) for row, number in zip(rows, fold, strict=True))
    assert set(counts.values()) == {10}
    assert len(counts) == 3 * 2 * 2


def hash_of(number: int) -> str:
    """Words that no other row has, so that likeness links nothing."""
    return " ".join(f"{word}{number * number % 991}" for word in ("this", "that", "those", "these", "them", "there"))


def test_texts_that_are_alike_are_in_one_fold_whatever_family_they_are_said_to_be_of() -> None:
    rows = [{"text": "how do i water my plants in the summer", "label": "safe", "family": str(n)} for n in range(8)]
    assert len(set(dealt(rows, 4))) == 1


@pytest.mark.usefixtures("kept")
def test_every_row_is_learnt_from_and_judged_by_the_one_guard_that_never_saw_it(encoder: Path, tmp_path: Path) -> None:
    run = training_run(tmp_path, encoder, folds=3)

    found = trained(run)

    held = []
    for part in parts_of(run):
        rows = part.rows("input.parquet")
        assert len(rows) == 136
        held += [row["id"] for row in rows if row["split"] == "validation"]
    assert Counter(held) == Counter(row["id"] for row in both_splits())
    assert (found["rows"], found["train_rows"], found["validation"]["n"]) == (136, 136, 136)
    assert found["validation"]["average_precision"] > 0.95
    assert found["steps"] == sum(figures(part)["steps"] for part in parts_of(run))
    assert len(found["history"]) == 3


@pytest.mark.usefixtures("kept")
@pytest.mark.parametrize("more", [{}, {"lora_rank": 2}, {"frozen": True, "epochs": 1}])
def test_the_guard_is_the_mean_of_those_that_learnt(encoder: Path, tmp_path: Path, more: dict[str, Any]) -> None:
    run = training_run(tmp_path, encoder, **{"folds": 2, "epochs": 1, **more})
    trained(run)

    for file in ("model", "heads"):
        weights = load_file(run / f"model/{file}.safetensors")
        each = [load_file(part / f"model/{file}.safetensors") for part in parts_of(run)]
        for name, value in weights.items():
            assert np.allclose(value, (each[0][name] + each[1][name]) / 2, atol=1e-6), name
    assert any(not np.allclose(each[0][name], each[1][name]) for name in each[0])


def test_it_answers_for_texts_it_never_saw_and_leaves_nothing_behind(encoder: Path, tmp_path: Path) -> None:
    run = training_run(tmp_path, encoder, folds=2, learning_rate=1e-3, epochs=8)
    reports = Reports()
    train(run, reports)

    assert right_of_forty(run) >= 36
    assert figures(run)["joined"]
    assert not (run / "folds").exists()
    assert {message.split(":")[0] for message in reports.messages} == {
        "Guard 1 of 2",
        "Guard 2 of 2",
        "Calibrating",
        "Trained",
    }
    done = [done for done, message, _ in reports if message.startswith("Guard")]
    assert done == sorted(done)


def test_one_that_was_broken_off_goes_on_with_the_guards_it_has(encoder: Path, tmp_path: Path) -> None:
    whole = training_run(tmp_path / "whole", encoder, folds=3, checkpoint_steps=5)
    trained(whole)
    broken = training_run(tmp_path / "broken", encoder, folds=3, checkpoint_steps=5)
    steps = figures(whole)["steps"] // 3
    with pytest.raises(InterruptedError):
        train(broken, Reports(break_at=steps + 7))
    first = digest_file(broken / "folds/0/model/model.safetensors")
    assert not (broken / "model").exists()

    reports = Reports()
    train(broken, reports)

    assert reports.messages[0] == "Guard 2 of 3: Going on from step 5"
    assert first not in {"", digest_file(broken / "model/model.safetensors")}
    for file in ("model", "heads"):
        one, other = (load_file(run / f"model/{file}.safetensors") for run in (whole, broken))
        assert all(np.allclose(one[name], other[name], atol=1e-4) for name in one)


def test_guards_that_went_too_far_apart_are_not_averaged(
    encoder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = training_run(tmp_path, encoder, folds=2, learning_rate=1e-3, epochs=8)
    with monkeypatch.context() as before, pytest.raises(InterruptedError):
        before.setattr(folds, "_join", lambda *_: Reports(break_at=0)(0, 0))
        trained(run)
    reorder(run / "folds/0/model", seed=1)

    found = trained(run)

    assert not found["joined"]
    assert found["validation"]["average_precision"] > 0.9
    assert right_of_forty(run) >= 36


def reorder(folder: Path, seed: int) -> None:
    """Give the hidden units of a guard another order: it says the same, and has nothing in common with what it was."""
    for file in ("model.safetensors", "heads.safetensors"):
        weights = load_file(folder / file)
        width = load_file(folder / "heads.safetensors")["verdict.weight"].shape[1]
        order = np.random.default_rng(seed).permutation(width)
        for name, value in weights.items():
            into = name.startswith(("embeddings", "verdict", "category")) or any(
                f".{one}." in name for one in ("query", "key", "value", "intermediate")
            )
            if value.ndim == 2:
                weights[name] = (value[:, order] if into else value[order]).contiguous()
            elif "LayerNorm" in name or (not into and "output" in name):
                weights[name] = value[order].contiguous()
        save_file(weights, folder / file)
    write_manifest(folder)


def test_one_fold_is_no_fold() -> None:
    with pytest.raises(ValueError, match="0, or 2 and more"):
        TrainSettings(folds=1)
