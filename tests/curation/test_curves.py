"""Curves and slices, against figures that one can work out by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curation.operations import curves
from curation.views import plots

SCORES = np.array([0.9, 0.8, 0.7, 0.6, 0.2])
LABELS = np.array([1.0, 0.0, 1.0, 0.0, 0.0])


def test_precision_and_recall_at_every_cut() -> None:
    assert curves.precision_recall(SCORES, LABELS)[:3] == [(0.5, 1.0), (0.5, 0.5), (1.0, pytest.approx(2 / 3))]


def test_a_curve_at_low_rates_ends_at_the_rate() -> None:
    assert curves.roc(SCORES, LABELS, most=0.1) == [(0.0, 0.0), (0.0, 0.5), (0.1, 0.5)]


def test_one_label_alone_has_no_curve() -> None:
    ones = np.ones(3)
    assert curves.roc(ones, ones) == []
    assert curves.precision_recall(ones, np.zeros(3)) == []
    assert curves.average_precision(ones, ones) is None


def test_a_threshold_blocks_what_is_at_or_above_it() -> None:
    effect = curves.effect(SCORES, LABELS, 0.7)

    assert (effect.caught, effect.missed, effect.wrongly_blocked, effect.passed) == (2, 0, 1, 2)


def test_bands_of_the_score_say_how_much_is_unsafe() -> None:
    bands = curves.reliability(SCORES, LABELS)

    assert [band["rows"] for band in bands] == [1, 1, 1, 1, 1]
    assert bands[-1]["share"].value == 1.0


@settings(deadline=None)
@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=2, max_size=60))
def test_average_precision_is_that_of_scikit_learn(rows: list[tuple[float, bool]]) -> None:
    from sklearn.metrics import average_precision_score

    scores, labels = np.array([row[0] for row in rows]), np.array([float(row[1]) for row in rows])
    if len(set(labels)) == 2:
        assert curves.average_precision(scores, labels) == pytest.approx(average_precision_score(labels, scores))


@given(st.integers(0, 50), st.integers(1, 50))
def test_an_interval_holds_its_share(part: int, more: int) -> None:
    low, high = curves.wilson(part, part + more)  # type: ignore[misc]

    assert 0 <= low <= part / (part + more) <= high + 1e-12 <= 1 + 1e-12


def test_steps_of_a_job_only_go_up() -> None:
    """Phases count from one again; steps that an attempt did again are drawn once."""
    two_phases = [(1.0, 0.0), (2.0, 3.0), (3.0, 5.0), (1.0, 6.0), (2.0, 9.0)]
    resumed = [(10.0, 0.9), (20.0, 0.8), (30.0, 0.7), (20.0, 0.6), (30.0, 0.5)]

    assert plots.onward(two_phases) == [(1, 0), (2, 3), (3, 5), (4, 6), (5, 9)]
    assert plots.onward(resumed) == [(10, 0.9), (20, 0.6), (30, 0.5)]
    assert plots.onward([]) == []
