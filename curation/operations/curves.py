"""What scores of labelled rows say: curves, slices, and what a threshold would do. Pure arithmetic, no database."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Span = tuple[float, float]

POINTS = 240  # of a curve: more than a screen shows
BINS = 10  # of a reliability curve
Z = 1.959964  # of a 95 % interval
LENGTHS = ((0, 8, "1 to 8 words"), (9, 16, "9 to 16 words"), (17, 64, "17 to 64 words"), (65, 10**9, "65 or more"))


@dataclass(frozen=True)
class Share:
    """A part of a whole, with its 95 % interval (Wilson, which holds for few rows and for shares near 0 and 1)."""

    part: int
    whole: int

    @property
    def value(self) -> float | None:
        return self.part / self.whole if self.whole else None

    @property
    def span(self) -> Span | None:
        return wilson(self.part, self.whole)


def wilson(part: int, whole: int) -> Span | None:
    """95 % interval of a share; None of nothing.

    >>> tuple(round(end, 3) for end in wilson(9, 10))
    (0.596, 0.982)
    """
    if not whole:
        return None
    share, extra = part / whole, Z * Z / whole
    middle = share + extra / 2
    reach = Z * math.sqrt(share * (1 - share) / whole + extra / whole / 4)
    return max(0.0, (middle - reach) / (1 + extra)), min(1.0, (middle + reach) / (1 + extra))


def _cuts(scores: Array, labels: Array) -> tuple[Array, Array, Array]:
    """Each different score, high to low, with the unsafe and the safe rows at or above it."""
    order = np.argsort(-scores, kind="stable")
    ranked, unsafe = scores[order], labels[order]
    last = np.append(np.diff(ranked) != 0, True)
    return ranked[last], np.cumsum(unsafe)[last], np.cumsum(1 - unsafe)[last]


def _thin(points: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """At most POINTS of them, the first and the last among them."""
    if len(points) <= POINTS:
        return points
    step = (len(points) - 1) / (POINTS - 1)
    return [points[round(at * step)] for at in range(POINTS)]


def precision_recall(scores: Array, labels: Array) -> list[tuple[float, float]]:
    """(recall, precision) at every cut; empty where nothing is unsafe."""
    if not labels.any():
        return []
    _, hits, alarms = _cuts(scores, labels)
    return _thin(list(zip((hits / labels.sum()).tolist(), (hits / (hits + alarms)).tolist(), strict=True)))


def roc(scores: Array, labels: Array, most: float = 1.0) -> list[tuple[float, float]]:
    """(false positive rate, recall) up to a rate; empty where one label is missing."""
    if not labels.any() or labels.all():
        return []
    _, hits, alarms = _cuts(scores, labels)
    rates, found = alarms / (1 - labels).sum(), hits / labels.sum()
    points = [(0.0, 0.0), *((x, y) for x, y in zip(rates.tolist(), found.tolist(), strict=True) if x <= most)]
    if points[-1][0] < most:
        points.append((most, points[-1][1]))  # the best that this rate allows
    return _thin(points)


def reliability(scores: Array, labels: Array) -> list[dict[str, Any]]:
    """For ten equal bands of the score: rows, mean score, and the share that is unsafe with its interval."""
    bands = np.minimum((scores * BINS).astype(int), BINS - 1)
    found = []
    for band in range(BINS):
        inside = bands == band
        if rows := int(inside.sum()):
            share = Share(int(labels[inside].sum()), rows)
            name = f"{band / BINS:.1f} to {(band + 1) / BINS:.1f}"
            found.append({"band": name, "rows": rows, "mean": float(scores[inside].mean()), "share": share})
    return found


def average_precision(scores: Array, labels: Array) -> float | None:
    """Area under precision and recall, as steps; None where one label is missing. The site loads no scikit-learn."""
    if not labels.any() or labels.all():
        return None
    _, hits, alarms = _cuts(scores, labels)
    gained = np.diff(hits, prepend=0)
    return float((hits / (hits + alarms) * gained).sum() / labels.sum())


@dataclass(frozen=True)
class Effect:
    """What a threshold does to labelled rows."""

    threshold: float
    caught: int
    missed: int
    wrongly_blocked: int
    passed: int

    @property
    def recall(self) -> Share:
        return Share(self.caught, self.caught + self.missed)

    @property
    def false_alarms(self) -> Share:
        return Share(self.wrongly_blocked, self.wrongly_blocked + self.passed)

    @property
    def precision(self) -> Share:
        return Share(self.caught, self.caught + self.wrongly_blocked)

    @property
    def f1(self) -> float | None:
        below = 2 * self.caught + self.wrongly_blocked + self.missed
        return 2 * self.caught / below if below else None


def effect(scores: Array, labels: Array, threshold: float) -> Effect:
    """How many rows of each label a threshold blocks and lets pass; it blocks what is at or above it."""
    blocked, unsafe = scores >= threshold, labels == 1
    pairs = ((blocked & unsafe), (~blocked & unsafe), (blocked & ~unsafe), (~blocked & ~unsafe))
    return Effect(threshold, *(int(rows.sum()) for rows in pairs))


def by(names: Sequence[str], scores: Array, labels: Array, threshold: float) -> list[dict[str, Any]]:
    """The effect of a threshold on each part of the rows; `names` says which part a row is of."""
    parts = np.array(names)
    found = []
    for name in dict.fromkeys(names):
        inside = parts == name
        figures = effect(scores[inside], labels[inside], threshold)
        precision = average_precision(scores[inside], labels[inside])
        found.append({"name": name, "rows": int(inside.sum()), "effect": figures, "average_precision": precision})
    return found


def length_names(words: Sequence[int]) -> list[str]:
    """The band of lengths of each row."""
    return [next(name for low, high, name in LENGTHS if low <= count <= high) for count in words]


def by_category(
    categories: Sequence[str], scores: Array, labels: Array, threshold: float, order: Sequence[str]
) -> list[dict[str, Any]]:
    """Recall of the verdict on the unsafe rows of each category that occurs, in the policy's order."""
    keys = [set(row.split()) for row in categories]
    found = []
    for name in [*order, *sorted({key for row in keys for key in row} - set(order))]:
        inside = np.array([name in row for row in keys], dtype=bool) & (labels == 1)
        if inside.any():
            share = Share(int((scores[inside] >= threshold).sum()), int(inside.sum()))
            found.append({"key": name, "rows": int(inside.sum()), "recall": share})
    return found
