from __future__ import annotations

import numpy as np
import pytest

from classifier import bootstrap, calibrate
from classifier.evaluate import metrics


def guard(n: int, skill: float, seed: int) -> tuple[calibrate.Array, calibrate.Array]:
    chance = np.random.default_rng(seed)
    labels = (np.arange(n) % 2).astype(float)
    return calibrate.sigmoid(chance.normal(labels * skill, 1).round(1)), labels  # rounded: ties must count right


@pytest.mark.parametrize("seed", range(4))
def test_figures_of_the_rows_themselves_are_those_of_the_evaluation(seed: int) -> None:
    scores, labels = guard(300, 1.5, seed)
    expected = metrics(scores, labels, 0.5)
    for name in ("average_precision", "recall_at_fpr_5", "f1", "recall", "fpr"):
        assert bootstrap._exact(scores, labels, name) == pytest.approx(expected[name]), name


def test_intervals_hold_the_figure_and_narrow_with_rows() -> None:
    widths = []
    for n in (100, 3000):
        scores, labels = guard(n, 1.5, 0)
        found = bootstrap.intervals(scores, labels, 0.5)
        figures = metrics(scores, labels, 0.5)
        for name, between in found.items():
            assert between is not None and between[0] <= figures[name] <= between[1], name
        assert found["average_precision"]
        widths.append(found["average_precision"][1] - found["average_precision"][0])
    assert widths[1] < widths[0] / 3


def test_with_one_class_an_interval_is_null_where_both_are_needed() -> None:
    found = bootstrap.intervals(np.array([0.2, 0.8, 0.4]), np.zeros(3), 0.5)
    assert found["average_precision"] is None and found["recall"] is None
    assert found["fpr"] is not None


def test_a_better_guard_is_ahead_and_a_guard_is_not_ahead_of_itself() -> None:
    sets = []
    for seed in range(3):
        weak, labels = guard(400, 0.8, seed)
        strong, _ = guard(400, 2.0, seed + 10)
        sets.append((strong, weak, labels))
    ahead = bootstrap.paired_difference(sets, "average_precision")
    same = bootstrap.paired_difference([(one, one, labels) for one, _, labels in sets], "average_precision")
    assert isinstance(ahead["interval"], list) and ahead["interval"][0] > 0
    assert same == {"difference": 0, "interval": [0, 0]}
