from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from classifier import calibrate

LABELLED = st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=2, max_size=60).filter(
    lambda rows: len({label for _, label in rows}) == 2
)


def arrays(rows: list[tuple[float, bool]]) -> tuple[calibrate.Array, calibrate.Array]:
    return np.array([p for p, _ in rows]), np.array([float(label) for _, label in rows])


def f1_at(probabilities: calibrate.Array, labels: calibrate.Array, cut: float) -> float:
    blocked = probabilities >= cut
    return float(2 * labels[blocked].sum() / (blocked.sum() + labels.sum()))


@pytest.mark.parametrize("factor", [0.5, 1.0, 3.0])
def test_the_temperature_undoes_planted_confidence(factor: float) -> None:
    chance = np.random.default_rng(0)
    logits = chance.normal(0, 2, 4000)
    labels = (chance.random(4000) < calibrate.sigmoid(logits)).astype(float)
    found = calibrate.temperature(factor * logits, labels)
    assert found == pytest.approx(factor, rel=0.1)
    before, after = (calibrate.sigmoid(factor * logits / t) for t in (1.0, found))
    assert calibrate.log_loss(after, labels) <= calibrate.log_loss(before, labels)


@pytest.mark.parametrize("label", [0.0, 1.0])
def test_with_one_class_nothing_is_chosen(label: float) -> None:
    scores, labels = np.array([0.2, 0.9]), np.array([label, label])
    assert calibrate.temperature(scores, labels) == 1.0
    assert calibrate.thresholds(scores, labels) == {"best_f1": None, "fpr_1": None, "fpr_5": None}


def test_thresholds_find_the_planted_cuts() -> None:
    safe, unsafe = np.arange(100) / 200, np.array([0.45, 0.6, 0.7, 0.8])
    scores, labels = np.append(safe, unsafe), np.append(np.zeros(100), np.ones(4))
    cuts = calibrate.thresholds(scores, labels)
    # From 0.6 on: 3 of 4 and no false alarm; the one at 0.45 would cost ten.
    assert cuts["best_f1"] == pytest.approx((0.6 + 0.495) / 2)
    assert calibrate.best_f1(scores, labels)[0] == pytest.approx(6 / 7)
    blocked = [sum(score >= cut for score in safe) for cut in (cuts["fpr_1"], cuts["fpr_5"]) if cut is not None]
    assert blocked == [1, 5]


@given(LABELLED)
def test_no_cut_has_a_better_f1_than_the_best(rows: list[tuple[float, bool]]) -> None:
    scores, labels = arrays(rows)
    best, cut = calibrate.best_f1(scores, labels)
    assert best is not None and cut is not None
    assert best == pytest.approx(max(f1_at(scores, labels, score) for score in scores))


@given(LABELLED, st.sampled_from([0.01, 0.05, 0.5]))
def test_a_cut_for_false_positives_keeps_its_promise(rows: list[tuple[float, bool]], rate: float) -> None:
    scores, labels = arrays(rows)
    cut = calibrate.at_false_positives(scores, labels, rate)
    assert cut is not None
    assert (scores[labels == 0] >= cut).mean() <= rate


def test_calibration_error_is_the_gap_between_confidence_and_frequency() -> None:
    assert calibrate.expected_calibration_error([0.9] * 10, [1] * 9 + [0]) == pytest.approx(0)
    assert calibrate.expected_calibration_error([0.9] * 10, [1] * 5 + [0] * 5) == pytest.approx(0.4)
    assert calibrate.expected_calibration_error([0.0, 1.0], [0, 0]) == pytest.approx(0.5)


def test_the_logistic_function_stands_large_values() -> None:
    assert calibrate.sigmoid(np.array([-1e9, 0, 1e9])).tolist() == pytest.approx([0, 0.5, 1])


@pytest.mark.parametrize("rows", [300, 4000])
def test_caution_makes_a_curve_less_sure_and_keeps_its_order(rows: int) -> None:
    chance = np.random.default_rng(0)
    logits = chance.normal(0, 2, rows)
    labels = (chance.random(rows) < calibrate.sigmoid(logits + np.sin(3 * logits))).astype(float)
    none, wary = np.zeros((rows, 0)), 1.5

    cards = [calibrate.fit(logits, labels, none, none, caution) for caution in (1.0, wary)]

    sure, less = (calibrate.calibrated(card, logits, none)[0] for card in cards)
    assert cards[1]["temperature"] == pytest.approx(wary * cards[0]["temperature"])
    assert (np.abs(less - 0.5) <= np.abs(sure - 0.5) + 1e-3).all()
    assert (np.diff(less[np.argsort(logits)]) >= -1e-9).all()
