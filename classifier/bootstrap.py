"""How far a figure could be luck: percentile intervals over resampled rows, and over paired differences.

Resampling draws counts, not rows: every figure is computed from one sorted list and a weight for each row, a thousand
times in a second.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

DRAWS = 1000
CHUNK = 100  # draws computed together: what 8,000 rows times this take stays in megabytes
LEVEL = 0.95


@dataclass(frozen=True)
class Figures:
    """Resampled figures, each [draws]; nan where a draw held one class only."""

    average_precision: Array
    recall_at_fpr_5: Array
    f1: Array
    recall: Array
    fpr: Array


def resample(scores: Array, labels: Array, threshold: float, draws: int = DRAWS, seed: int = 0) -> Figures:
    """Figures of a guard over `draws` samples of the rows, with replacement.

    The same seed and number of rows draw the same samples, so that two guards on the same rows can be compared.
    """
    chance = np.random.default_rng(seed)
    order = np.argsort(-scores, kind="stable")
    scores, labels = scores[order], labels[order]
    last = np.append(np.diff(scores) != 0, True)
    chunks = []
    for start in range(0, draws, CHUNK):
        many = min(CHUNK, draws - start)
        # Drawn for rows as they came, which pairs share; then put into sorted order.
        counts = chance.multinomial(len(scores), np.full(len(scores), 1 / len(scores)), size=many).astype(float)
        chunks.append(_figures(counts[:, order], labels, last, scores >= threshold))
    return Figures(*(np.concatenate(part) for part in zip(*chunks, strict=True)))


def _figures(counts: Array, labels: Array, last: Any, blocked: Any) -> tuple[Array, ...]:
    hits, alarms = np.cumsum(counts * labels, 1), np.cumsum(counts * (1 - labels), 1)
    unsafe, safe = hits[:, -1], alarms[:, -1]
    with np.errstate(invalid="ignore", divide="ignore"):
        precision = np.where(hits + alarms > 0, hits / (hits + alarms), 0)[:, last]
        gained = np.diff(hits[:, last], axis=1, prepend=0)
        average = (precision * gained).sum(1) / unsafe
        allowed = (alarms <= np.floor(0.05 * safe)[:, None]) & last
        at_five = np.where(allowed, hits, 0).max(1) / unsafe
        true, false = (counts * labels * blocked).sum(1), (counts * (1 - labels) * blocked).sum(1)
        f1 = 2 * true / (true + false + unsafe)
    one_class = (unsafe == 0) | (safe == 0)
    average[one_class], at_five[one_class] = np.nan, np.nan
    with np.errstate(invalid="ignore", divide="ignore"):
        return average, at_five, f1, true / unsafe, false / safe


def interval(values: Array) -> list[float] | None:
    """The middle LEVEL of resampled values; None where no draw could say."""
    known = values[np.isfinite(values)]
    if not len(known):
        return None
    low, high = np.quantile(known, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return [float(low), float(high)]


def intervals(scores: Array, labels: Array, threshold: float) -> dict[str, list[float] | None]:
    """95 % intervals of the figures that people compare."""
    figures = resample(scores, labels, threshold)
    return {name: interval(values) for name, values in vars(figures).items()}


def paired_difference(
    sets: Sequence[tuple[Array, Array, Array]], name: str, draws: int = DRAWS
) -> dict[str, float | list[float] | None]:
    """How far one guard is ahead of another, averaged over sets `(ours, theirs, labels)`, with its interval.

    Rows of each set are resampled together for both guards, and sets independently of each other.
    """
    point, total = paired_draws(sets, name, draws)
    return {"difference": point, "interval": interval(total)}


def paired_draws(sets: Sequence[tuple[Array, Array, Array]], name: str, draws: int = DRAWS) -> tuple[float, Array]:
    """The difference as it is, and resampled [draws].

    The same sets in the same order draw the same rows, so that draws of several pairs of guards can be averaged.
    """
    total, point = np.zeros(draws), 0.0
    for number, (ours, theirs, labels) in enumerate(sets):
        one, other = (resample(scores, labels, 0.5, draws, seed=number) for scores in (ours, theirs))
        total += getattr(one, name) - getattr(other, name)
        exact = [_exact(scores, labels, name) for scores in (ours, theirs)]
        point += exact[0] - exact[1]
    return point / len(sets), total / len(sets)


def _exact(scores: Array, labels: Array, name: str) -> float:
    order = np.argsort(-scores, kind="stable")
    last = np.append(np.diff(scores[order]) != 0, True)
    figures = _figures(np.ones((1, len(scores))), labels[order], last, scores[order] >= 0.5)
    named: Mapping[str, Array] = dict(zip(Figures.__dataclass_fields__, figures, strict=True))
    return float(named[name][0])
