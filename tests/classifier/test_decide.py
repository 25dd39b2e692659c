from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from classifier import calibrate, decide

LABELLED = st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=2, max_size=60).filter(
    lambda rows: len({label for _, label in rows}) == 2
)


def arrays(rows: list[tuple[float, bool]]) -> tuple[calibrate.Array, calibrate.Array]:
    return np.array([p for p, _ in rows]), np.array([float(label) for _, label in rows])


@given(LABELLED, st.floats(0.1, 10), st.floats(0.1, 10))
def test_no_cut_costs_less_than_the_cheapest(rows: list[tuple[float, bool]], miss: float, alarm: float) -> None:
    scores, labels = arrays(rows)

    def cost(cut: float) -> float:
        blocked = scores >= cut
        return float(miss * ((labels == 1) & ~blocked).sum() + alarm * ((labels == 0) & blocked).sum())

    cut = decide.by_cost(scores, labels, miss=miss, alarm=alarm)
    assert cut is not None
    assert cost(cut) == pytest.approx(min(cost(other) for other in [*scores, 2.0]))


@given(LABELLED)
def test_what_a_review_band_says_of_itself_is_so(rows: list[tuple[float, bool]]) -> None:
    scores, labels = arrays(rows)
    band = decide.review_band(scores, labels)
    assert band is not None and band["from"] <= band["to"]
    if len(set(scores.tolist())) == len(scores) and min(np.diff(np.sort(scores))) > 1e-9:
        found = decide.three_ways(scores, labels, decide.Rules(review=(band["from"], band["to"])))
        assert found["review"] == pytest.approx(band["share"])
        assert found["right"] == pytest.approx(band["right"])
        assert band["share"] <= decide.MOST_REVIEW


def test_a_guard_that_is_sure_and_right_asks_for_no_review_and_an_unsure_one_for_a_little() -> None:
    chance = np.random.default_rng(0)
    labels = (np.arange(1000) % 2).astype(float)
    sure = decide.review_band(labels * 0.8 + 0.1 + chance.random(1000) * 0.05, labels)
    unsure = decide.review_band(calibrate.sigmoid(chance.normal(labels * 6 - 3, 1.5)), labels)
    assert sure is not None and sure["share"] == 0 and sure["right"] == 1
    assert unsure is not None and 0 < unsure["share"] <= decide.MOST_REVIEW
    assert unsure["right"] >= decide.RIGHT and unsure["from"] < unsure["to"]


def test_with_one_class_nothing_is_chosen() -> None:
    scores, labels = np.array([0.1, 0.9]), np.zeros(2)
    assert decide.review_band(scores, labels) is None
    assert decide.by_cost(scores, labels, miss=1, alarm=1) is None


def test_a_category_with_enough_rows_gets_a_cut_of_its_own_and_the_others_none() -> None:
    many = np.append(np.ones(30), np.zeros(100))
    few = np.append(np.ones(3), np.zeros(127))
    unknown = np.append(np.ones(30), np.full(100, np.nan))
    scores = np.stack([many * 0.5 + 0.2] * 3, 1)
    found = decide.choose(
        many * 0.9, many, scores, np.stack([many, few, unknown], 1), ["many", "few", "unknown"], target_fpr=0.01
    )
    assert set(found["category_thresholds"]) == {"many"}
    assert 0.2 < found["category_thresholds"]["many"] <= 0.7
    assert found["thresholds"]["default"] == found["thresholds"]["fpr_1"]


RULES = decide.Rules(block=0.6, review=(0.3, 0.8), categories={"weapons": 0.4})


@pytest.mark.parametrize(
    ("unsafe", "categories", "two", "three"),
    [
        (0.1, {}, "safe", "safe"),
        (0.5, {}, "safe", "review"),
        (0.7, {}, "unsafe", "review"),
        (0.9, {}, "unsafe", "unsafe"),
        (0.1, {"weapons": 0.4}, "unsafe", "review"),
        (0.1, {"drugs": 0.99}, "safe", "safe"),  # no cut of its own: the verdict decides
        (0.9, {"weapons": 0.0}, "unsafe", "unsafe"),  # a cut of one category switches nothing off
    ],
)
def test_verdicts(unsafe: float, categories: dict[str, float], two: str, three: str) -> None:
    assert RULES.decide(unsafe, categories).verdict == two
    assert RULES.triage(unsafe, categories).verdict == three


def test_severity_rises_with_the_score_and_a_safe_text_has_none() -> None:
    found = [decide.Rules(block=0.5).decide(score, {}).severity for score in (0.1, 0.5, 0.7, 0.9, 0.99)]
    assert found == ["none", "low", "medium", "high", "critical"]


def test_rules_come_from_a_guards_card_and_a_project_may_move_them() -> None:
    card = {"thresholds": {"best_f1": 0.4, "default": 0.7}, "review": {"from": 0.2, "to": 0.9}}
    assert decide.Rules.from_card(card) == decide.Rules(block=0.7, review=(0.2, 0.9))
    assert decide.Rules.from_card(card, block=0.3).block == 0.3
    assert decide.Rules.from_card({"thresholds": {"best_f1": 0.4}}).block == 0.4
    assert decide.Rules.from_card({}) == decide.Rules()
    assert decide.Rules.from_card({}).triage(0.6, {}).verdict == "unsafe"


@pytest.mark.parametrize(
    ("unsafe", "categories", "named"),
    [
        (0.9, {"weapons": 0.1, "drugs": 0.3}, ("drugs",)),  # nothing reaches a cut: the likeliest one gives the reason
        (0.9, {"weapons": 0.5, "drugs": 0.9}, ("weapons",)),  # what reaches its cut is surer than what has none
        (0.1, {"weapons": 0.1, "drugs": 0.3}, ()),
        (0.9, {}, ()),
    ],
)
def test_what_is_blocked_has_a_category_and_what_is_not_has_none(
    unsafe: float, categories: dict[str, float], named: tuple[str, ...]
) -> None:
    assert RULES.decide(unsafe, categories).categories == named
    assert RULES.triage(unsafe, categories).categories == named
    assert decide.Rules(block=0.6, categories={"weapons": 0.4}).triage(unsafe, categories).categories == named


def test_a_person_who_reviews_is_told_the_likeliest_category() -> None:
    assert RULES.triage(0.5, {"drugs": 0.2, "weapons": 0.1}).categories == ("drugs",)
