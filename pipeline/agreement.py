"""How far people agree: Krippendorff's alpha and Cohen's kappa with bootstrap intervals.

`python -m pipeline agreement RUN_FOLDER` reads verdicts from `input.parquet`, a row each: `example`, `family`,
`person`, `week` (as 2026-W07), `label` ("safe", "unsafe", or "reject" for a text that should not be there) and
`categories`. `request.json` names the policy's `categories` and may set `seed` and `resamples`. `metrics.json` holds
one entry for the label and one for each category.

Alpha follows Krippendorff, Computing Krippendorff's Alpha-Reliability (2011), for nominal data with any number of
people and missing values. Intervals come from resampling whole families: the rewrites of one seed are not independent,
and intervals that took them so would be too narrow.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from classifier.runfolder import Report, RunFolder, write_json

RESAMPLES = 2000
CONFIDENCE = 0.95
FEWEST = 10  # families: an interval from fewer says more about luck than about people
CELLS = 4_000_000  # numbers that one step of the bootstrap may hold at once
LABEL = ""  # the aspect that is the label itself; every other aspect is the key of a category

Columns = Sequence[NDArray[np.float64]]
Statistic = Callable[..., Any]


@dataclass(frozen=True, slots=True)
class Answer:
    """What one person said of one example, seen from one aspect."""

    example: str
    family: str
    person: int
    week: str
    value: str


Unit = list[Answer]  # what several people said of one example


@dataclass(frozen=True, slots=True)
class Figure:
    """A coefficient with its interval; None where there is too little to say."""

    value: float | None
    low: float | None
    high: float | None
    examples: int  # that two or more people judged
    agreed: float | None = None  # share of answers that are the same, for pairs


def measure(run: RunFolder, report: Report) -> None:
    """Measure the label and every category, and write what came of it."""
    request, rows = run.request(), run.rows()
    settings = request.get("settings") or {}
    dice = Dice(int(settings.get("seed", 0)), int(settings.get("resamples", RESAMPLES)))
    aspects = [LABEL, *request.get("categories", ())]
    measured = []
    for done, aspect in enumerate(aspects):
        report(done, len(aspects), f"Measuring {aspect or 'the label'}")
        measured.append({"aspect": aspect, **of_aspect(answers(rows, aspect), dice)})
    report(len(aspects), len(aspects), "Measured")
    people = {row["person"] for row in rows}
    counts = {"verdicts": len(rows), "people": len(people), "resamples": dice.resamples}
    write_json(run / "metrics.json", {**counts, "aspects": measured})


def answers(rows: Iterable[Mapping[str, Any]], aspect: str) -> list[Answer]:
    """The rows as seen from one aspect: the label, or whether a category is in, of which rejections say nothing."""
    found = []
    for row in rows:
        if aspect == LABEL:
            value = row["label"]
        elif row["label"] == "reject":
            continue
        else:
            value = "in" if aspect in row["categories"] else "out"
        found.append(Answer(str(row["example"]), row["family"], row["person"], row["week"], value))
    return found


@dataclass(frozen=True, slots=True)
class Dice:
    """Where the bootstrap takes its chance from: the same seed gives the same intervals."""

    seed: int = 0
    resamples: int = RESAMPLES

    def interval(self, columns: Columns, statistic: Statistic) -> tuple[float | None, float | None]:
        """Percentile interval of `statistic(*columns, axis)` over n families, columns of shape [n].

        Resamples in which everybody said the same have no coefficient; where these are more than one in twenty there
        is no interval.
        """
        from scipy.stats import bootstrap

        families = len(columns[0])
        if families < FEWEST:
            return None, None
        drawn = bootstrap(
            tuple(columns), statistic, paired=True, vectorized=True, n_resamples=self.resamples, method="percentile",
            batch=max(1, CELLS // families), rng=np.random.default_rng(self.seed),
        ).bootstrap_distribution  # fmt: skip
        known = drawn[~np.isnan(drawn)]
        if known.size < 0.95 * drawn.size:
            return None, None
        low, high = np.quantile(known, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
        return round(float(low), 4), round(float(high), 4)


def of_aspect(found: Sequence[Answer], dice: Dice) -> dict[str, Any]:
    """Alpha overall and by week, kappa of every person with the others and of every pair."""
    units = units_of(found)
    by_week: dict[str, list[Unit]] = defaultdict(list)
    for unit in units:
        by_week[max(answer.week for answer in unit)].append(unit)
    by_person: dict[int, dict[str, Answer]] = defaultdict(dict)
    for unit in units:
        for answer in unit:
            by_person[answer.person][answer.example] = answer
    people = sorted({answer.person for answer in found})
    return {
        "alpha": asdict(alpha(units, dice)),
        "weeks": [{"week": week, **asdict(alpha(by_week[week], dice))} for week in sorted(by_week)],
        "people": [{"person": one, **asdict(kappa(*against_others(units, one), dice))} for one in people],
        "pairs": [
            {"first": one, "second": other, **asdict(figure)}
            for one, other in combinations(people, 2)
            if (figure := kappa(*side_by_side(by_person[one], by_person[other]), dice)).examples
        ],
    }


def units_of(found: Iterable[Answer]) -> list[Unit]:
    """The answers to each example that two or more people judged."""
    by_example: dict[str, Unit] = defaultdict(list)
    for answer in found:
        by_example[answer.example].append(answer)
    return [unit for unit in by_example.values() if len(unit) > 1]


# Krippendorff's alpha


def alpha(units: Sequence[Unit], dice: Dice) -> Figure:
    """Krippendorff's alpha for nominal values: 1 is agreement, 0 is chance, below 0 is worse than chance."""
    values = sorted({answer.value for unit in units for answer in unit})
    if not units:
        return Figure(None, None, None, 0)
    counts = np.array([[sum(a.value == value for a in unit) for value in values] for unit in units], np.float64)
    columns = _by_family([unit[0].family for unit in units], np.column_stack([disagreement(counts), counts]))
    return _figure(columns, _alpha, dice, len(units))


def disagreement(counts: NDArray[np.float64]) -> NDArray[np.float64]:
    """Observed disagreement of each unit, from how often each value was given, [units, values] -> [units]."""
    people = counts.sum(axis=1)
    disagreeing: NDArray[np.float64] = (people**2 - (counts**2).sum(axis=1)) / (people - 1)
    return disagreeing


def _alpha(observed: Any, *counts: Any, axis: int = -1) -> Any:
    """Alpha from the units' disagreement and the counts of each value, summed along `axis`; NaN without variation."""
    totals = np.stack([column.sum(axis=axis) for column in counts])
    answers = totals.sum(axis=0)
    expected = answers**2 - (totals**2).sum(axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(expected > 0, 1 - (answers - 1) * observed.sum(axis=axis) / expected, np.nan)


# Cohen's kappa


def side_by_side(mine: Mapping[str, Answer], theirs: Mapping[str, Answer]) -> tuple[list[str], list[str], list[str]]:
    """Families, and the values that two people gave, of the examples which both judged."""
    both = [example for example in mine if example in theirs]
    return (
        [mine[example].family for example in both],
        [mine[example].value for example in both],
        [theirs[example].value for example in both],
    )


def against_others(units: Iterable[Unit], person: int) -> tuple[list[str], list[str], list[str]]:
    """Families, this person's values, and what most of the others said; examples where the others tie are left out."""
    families, mine, theirs = [], [], []
    for unit in units:
        own = [answer.value for answer in unit if answer.person == person]
        if not own:
            continue
        said = Counter(answer.value for answer in unit if answer.person != person).most_common(2)
        if not said or (len(said) == 2 and said[0][1] == said[1][1]):
            continue
        families.append(unit[0].family)
        mine.append(own[0])
        theirs.append(said[0][0])
    return families, mine, theirs


def kappa(families: Sequence[str], first: Sequence[str], second: Sequence[str], dice: Dice) -> Figure:
    """Cohen's kappa of two lists of values of the same examples."""
    if not first:
        return Figure(None, None, None, 0)
    values = sorted({*first, *second})
    one = np.array([[value == said for value in values] for said in first], np.float64)
    other = np.array([[value == said for value in values] for said in second], np.float64)
    same = (one * other).sum(axis=1)
    columns = _by_family(families, np.column_stack([same, one, other]))
    return _figure(columns, _kappa, dice, len(first), agreed=round(float(same.mean()), 4))


def _kappa(same: Any, *counts: Any, axis: int = -1) -> Any:
    """Kappa from agreements and both people's counts of each value, summed along `axis`; NaN without variation."""
    totals = np.stack([column.sum(axis=axis) for column in counts])
    one, other = np.split(totals, 2)
    answers = one.sum(axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        chance = (one * other).sum(axis=0) / answers**2
        return np.where(chance < 1, (same.sum(axis=axis) / answers - chance) / (1 - chance), np.nan)


def _by_family(families: Sequence[str], table: NDArray[np.float64]) -> list[NDArray[np.float64]]:
    """Sum a table of units [units, columns] by family: columns of shape [families] to resample."""
    _, place = np.unique(np.array(families), return_inverse=True)
    sums = np.zeros((int(place.max()) + 1, table.shape[1]))
    np.add.at(sums, place, table)
    return list(sums.T)


def _figure(columns: Columns, statistic: Statistic, dice: Dice, examples: int, agreed: float | None = None) -> Figure:
    value = float(statistic(*columns))
    if np.isnan(value):
        return Figure(None, None, None, examples, agreed)
    return Figure(round(value, 4), *dice.interval(columns, statistic), examples, agreed)
