from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from classifier import selection
from classifier.config import CHOICES, TrainSettings
from classifier.selection import Evidence, select
from tests.classifier.planted import figures, steps, trained, training_run

FIRST, SECOND, NOISE = range(3)  # directions of the made-up vectors


def made(
    easy: int = 300, torn: int = 20, lying: int = 20, families: Sequence[str] | None = None
) -> tuple[Evidence, dict[str, set[int]]]:
    """Rows on two sides of a line, rows on the line itself, and rows with the other side's label."""
    random = np.random.default_rng(7)
    count = easy + torn + lying
    labels = (np.arange(count) % 2).astype(float)
    sides = np.where(labels == 1, 1.0, -1.0)
    sides[easy : easy + torn] = 0.0
    sides[easy + torn :] *= -1
    vectors = random.normal(0, 0.1, (count, 8))
    vectors[:, FIRST] += sides
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    kinds = {"torn": set(range(easy, easy + torn)), "lying": set(range(easy + torn, count))}
    return Evidence(vectors, labels, families or [f"family {row}" for row in range(count)]), kinds


@pytest.mark.parametrize("method", CHOICES)
def test_a_method_gives_as_many_different_rows_as_are_wanted_and_the_same_ones_again(method: str) -> None:
    evidence, _ = made()

    chosen = select(evidence, method, 60)

    assert len(chosen) == len(set(chosen)) == 60
    assert chosen == sorted(chosen)
    assert chosen == select(made()[0], method, 60)
    assert select(evidence, method, 10_000) == list(range(340))


def test_the_settings_name_the_methods_that_there_are() -> None:
    assert tuple(selection.METHODS) == CHOICES


def test_uncertainty_takes_what_stands_on_the_line() -> None:
    evidence, kinds = made()

    assert len(kinds["torn"] & set(select(evidence, "uncertainty", 30))) >= 14


def test_forgetting_takes_what_is_never_learnt_first() -> None:
    evidence, kinds = made(torn=0)

    assert kinds["lying"] <= set(select(evidence, "forgetting", 30))


def test_trajectories_give_rare_kinds_as_much_as_common_ones() -> None:
    evidence, kinds = made()

    by_trajectory = set(select(evidence, "trajectories", 80))
    by_chance = set(select(evidence, "random", 80))

    rare = kinds["torn"] | kinds["lying"]
    assert len(rare & by_trajectory) > 2 * len(rare & by_chance)
    assert by_trajectory - rare, "the common kind is not left out"


def test_disagreement_does_not_know_the_rows_own_label_nor_its_familys() -> None:
    evidence, _ = made(families=[f"family {row // 4}" for row in range(340)])
    flipped = Evidence(evidence.vectors, evidence.labels.copy(), evidence.families)
    flipped.labels[4:8] = 1 - flipped.labels[4:8]

    assert np.array_equal(evidence.outside[4:8], flipped.outside[4:8])
    assert not np.array_equal(evidence.outside, flipped.outside)


def test_a_random_draw_keeps_the_share_of_the_labels() -> None:
    evidence, _ = made()
    evidence.labels[:] = np.arange(340) % 10 == 0

    assert evidence.labels[select(evidence, "random", 100)].sum() == 10


def test_a_training_learns_from_as_many_rows_as_it_may(
    encoder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Spelling:
        """Vectors that say which words a text has."""

        def embed(self, texts: Sequence[str], *_: Any) -> Any:
            return np.array([[hash_of(text, at) for at in range(16)] for text in texts], np.float32)

    def hash_of(text: str, at: int) -> float:
        return sum(len(word) % 16 == at for word in text.split()) / 9

    monkeypatch.setattr(selection, "Embedder", Spelling)
    run = training_run(tmp_path, encoder, most_rows=48, choose_by="trajectories", epochs=2)

    trained(run)

    assert figures(run)["train_rows"] == 48
    assert {row for step in steps(run) for row in step["rows"]} == set(range(48))


def test_a_method_that_there_is_not_is_named() -> None:
    with pytest.raises(ValueError, match="choose_by should be one of trajectories"):
        TrainSettings(choose_by="magic")
