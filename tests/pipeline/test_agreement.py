"""The coefficients against published worked examples and against scikit-learn; the program on a run folder."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from classifier.runfolder import RunFolder
from pipeline.__main__ import main
from pipeline.agreement import Answer, Dice, Figure, against_others, answers, kappa, of_aspect, units_of
from pipeline.agreement import alpha as alpha_of

QUICK = Dice(seed=1, resamples=400)
# Krippendorff (2011), examples A, B and C: a row for each observer, a column for each unit, a dot where one is missing.
PUBLISHED_ALPHA = {
    "binary, two observers": (["0100000010", "1110010000"], 0.095),
    "nominal, two observers": (["aabbdcccedda", "babbbccceddd"], 0.692),
    "nominal, four observers, missing": (["123321412...", "1233224125.3", ".3332342251.", "12332441251."], 0.743),
}  # fmt: skip
# Fleiss, Levin and Paik, Statistical Methods for Rates and Proportions, table 18.1: 100 diagnoses by two raters.
DIAGNOSES = [[75, 1, 4], [5, 4, 1], [0, 0, 10]]


def alpha(found: list[Answer], dice: Dice) -> Figure:
    return alpha_of(units_of(found), dice)


def said(rows: list[str]) -> list[Answer]:
    return [
        Answer(str(unit), f"family-{unit}", person, "2026-W01", value)
        for person, row in enumerate(rows)
        for unit, value in enumerate(row)
        if value != "."
    ]


def spread(table: list[list[int]]) -> tuple[list[str], list[str], list[str]]:
    """A table of two raters' answers as two lists, each example a family of its own."""
    pairs = [(str(i), str(j)) for i, row in enumerate(table) for j, count in enumerate(row) for _ in range(count)]
    return [f"family-{n}" for n in range(len(pairs))], [a for a, _ in pairs], [b for _, b in pairs]


@pytest.mark.parametrize("name", PUBLISHED_ALPHA)
def test_alpha_is_that_of_krippendorffs_worked_examples(name: str) -> None:
    rows, published = PUBLISHED_ALPHA[name]

    found = alpha(said(rows), QUICK).value

    assert found == pytest.approx(published, abs=0.0006)


def test_kappa_and_its_interval_are_those_of_the_published_diagnoses() -> None:
    figure = kappa(*spread(DIAGNOSES), Dice(resamples=4000))

    assert figure.value == pytest.approx(0.676, abs=0.0006)
    assert figure.agreed == 0.89
    # Published standard error 0.088: the bootstrap must find about the same spread, without assuming a bell.
    assert figure.low is not None and figure.high is not None
    assert (figure.high - figure.low) / (2 * 1.96) == pytest.approx(0.088, abs=0.012)


@pytest.mark.parametrize("seed", range(5))
def test_kappa_is_that_of_scikit_learn(seed: int) -> None:
    from sklearn.metrics import cohen_kappa_score

    dice = random.Random(seed)
    first = [dice.choice("abc") for _ in range(60)]
    second = [value if dice.random() < 0.6 else dice.choice("abcd") for value in first]

    found = kappa([f"family-{n}" for n in range(60)], first, second, QUICK).value

    assert found == pytest.approx(cohen_kappa_score(first, second), abs=0.0001)


def test_whole_families_are_resampled_so_that_rewrites_of_one_seed_do_not_narrow_the_interval() -> None:
    dice = random.Random(7)
    base = [(n, dice.choice("ab"), dice.choice("ab")) for n in range(40)]
    once = [
        Answer(f"{n}", f"f{n}", person, "2026-W01", value) for n, *both in base for person, value in enumerate(both)
    ]
    nine_times = [Answer(f"{a.example}-{copy}", a.family, a.person, a.week, a.value) for a in once for copy in range(9)]

    one, nine = alpha(once, QUICK), alpha(nine_times, QUICK)

    assert one.low is not None and one.high is not None and nine.low is not None and nine.high is not None
    assert nine.high - nine.low == pytest.approx(one.high - one.low, abs=0.03)


def test_the_interval_covers_the_truth_about_as_often_as_it_claims() -> None:
    # Two people who each flip the true label with probability 0.15: kappa of the population is 0.7² = 0.49.
    dice, covered = random.Random(3), 0
    for trial in range(120):
        truth = [dice.choice("ab") for _ in range(100)]
        sides = [[value if dice.random() > 0.15 else "ba"["ab".index(value)] for value in truth] for _ in range(2)]
        figure = kappa([str(n) for n in range(100)], *sides, Dice(trial, 300))
        covered += figure.low is not None and figure.high is not None and figure.low <= 0.49 <= figure.high

    assert 0.88 <= covered / 120 <= 0.995


def test_the_same_seed_gives_the_same_interval_and_more_examples_a_narrower_one() -> None:
    families, first, second = spread(DIAGNOSES)
    more = ([f"{n}-{family}" for n in range(4) for family in families], first * 4, second * 4)

    once, again, wide = (
        kappa(families, first, second, QUICK),
        kappa(families, first, second, QUICK),
        kappa(*more, QUICK),
    )

    assert once == again
    assert once.low is not None and once.high is not None and wide.low is not None and wide.high is not None
    assert wide.high - wide.low < 0.65 * (once.high - once.low)


def test_with_too_few_families_there_is_a_value_but_no_interval() -> None:
    figure = alpha(said(["aabba", "ababa"]), QUICK)

    assert figure.value is not None
    assert (figure.low, figure.high) == (None, None)


def test_where_everybody_said_the_same_there_is_no_coefficient_and_no_warning() -> None:
    assert alpha(said(["aaaaaaaaaaaa", "aaaaaaaaaaaa"]), QUICK) == Figure(None, None, None, 12)
    assert kappa([str(n) for n in range(12)], ["a"] * 12, ["a"] * 12, QUICK) == Figure(None, None, None, 12, 1.0)
    assert alpha([], QUICK).examples == kappa([], [], [], QUICK).examples == 0


def test_full_agreement_on_different_values_is_one() -> None:
    figure = alpha(said(["abababababab", "abababababab"]), QUICK)

    assert (figure.value, figure.low, figure.high) == (1.0, 1.0, 1.0)


def test_examples_that_one_person_judged_say_nothing() -> None:
    both = said(["abababababab", "aabbababaabb"])
    alone = [Answer(f"alone-{n}", f"g{n}", 0, "2026-W01", "a") for n in range(30)]

    assert alpha([*both, *alone], QUICK) == alpha(both, QUICK)


def test_a_person_is_compared_with_most_of_the_others_and_ties_are_left_out() -> None:
    found = [
        Answer(example, example, person, "2026-W01", value)
        for example, values in {"x": "aab", "y": "bba", "z": "aba", "w": "baa"}.items()
        for person, value in enumerate(values)
    ]

    families, mine, theirs = against_others(units_of(found), 0)

    # x: the others said a and b, y: b and a, z: b and a: ties; w: both said a.
    assert (families, mine, theirs) == (["w"], ["b"], ["a"])


def rows() -> list[dict[str, Any]]:
    dice = random.Random(5)
    made = []
    for example in range(60):
        truth = dice.random() < 0.5
        for person in (1, 2, 3):
            unsafe = truth if dice.random() < 0.85 else not truth
            label = "reject" if example == 0 and person == 1 else "unsafe" if unsafe else "safe"
            made.append({
                "example": str(example), "family": f"f{example // 2}", "person": person, "label": label,
                "week": f"2026-W0{1 + example // 30}", "categories": ["fraud"] if unsafe else [],
            })  # fmt: skip
    return made


def test_a_rejection_counts_for_the_label_and_not_for_categories() -> None:
    label, fraud = answers(rows(), ""), answers(rows(), "fraud")

    assert {answer.value for answer in label} == {"safe", "unsafe", "reject"}
    assert {answer.value for answer in fraud} == {"in", "out"}
    assert len(label) - len(fraud) == 1


def test_an_aspect_has_weeks_people_and_pairs() -> None:
    found = of_aspect(answers(rows(), "fraud"), QUICK)

    assert [week["week"] for week in found["weeks"]] == ["2026-W01", "2026-W02"]
    assert sum(week["examples"] for week in found["weeks"]) == found["alpha"]["examples"] == 60
    assert [(pair["first"], pair["second"]) for pair in found["pairs"]] == [(1, 2), (1, 3), (2, 3)]
    assert all(one["low"] <= one["value"] <= one["high"] for one in found["people"] + found["pairs"])


def test_the_program_measures_the_label_and_every_category(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = RunFolder(tmp_path)
    run.write_rows(rows(), "input.parquet")
    run.write_request({"categories": ["fraud", "hate"], "settings": {"seed": 3, "resamples": 200}})

    status = main(["agreement", str(tmp_path)])

    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    metrics = json.loads((tmp_path / "metrics.json").read_text())
    assert status == 0
    assert lines[-1]["done"] == lines[-1]["total"] == 3
    assert (metrics["verdicts"], metrics["people"], metrics["resamples"]) == (180, 3, 200)
    assert [aspect["aspect"] for aspect in metrics["aspects"]] == ["", "fraud", "hate"]
    assert 0.2 < metrics["aspects"][0]["alpha"]["value"] < 0.8
    assert metrics["aspects"][2]["alpha"]["value"] is None  # nobody ever chose it


def test_many_examples_are_resampled_in_steps_that_fit_into_memory() -> None:
    chance = np.random.default_rng(0)
    columns = [chance.random(50_000) for _ in range(3)]
    widest: list[int] = []

    def statistic(*arrays: Any, axis: int = -1) -> Any:
        widest.append(int(np.prod(arrays[0].shape)))
        return arrays[0].sum(axis=axis)

    Dice(0, 200).interval(columns, statistic)

    assert max(widest) <= 4_000_000
