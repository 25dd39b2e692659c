"""Make scores mean what they say, and choose where to cut. All on the validation split, never on an evaluation set."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def sigmoid(logits: Array) -> Array:
    """Logistic function, safe for large values."""
    return 1 / (1 + np.exp(-np.clip(logits, -60, 60)))


def temperature(logits: Array, labels: Array) -> float:
    """The divisor of logits that minimises log loss; 1.0 where one class is missing.

    Searched on a grid of ratios of 5 %: the loss is flat around its minimum, a finer answer would be noise.
    """
    if len(set(labels.tolist())) < 2:
        return 1.0
    grid = [math.exp(step / 20) for step in range(-40, 61)]
    return min(grid, key=lambda t: log_loss(sigmoid(logits / t), labels))


ENOUGH = 200  # rows of the rarer class: below that isotonic regression learns the noise
FEW = 10  # rows of the rarer class: below that even a temperature does
BLEND = 1e-3  # share of the logistic curve that keeps apart what isotonic regression ties


def fit(verdict: Array, labels: Array, category: Array, targets: Array, caution: float = 1.0) -> dict[str, Any]:
    """Calibrate the verdict [n] and each category [n, k] on a validation split; the part of a guard's card for it.

    Isotonic regression where the split is large and it predicts better than a temperature on the half it was not
    fitted to; a temperature where it is small; 1.0 where a class is missing. Unknown category targets are nan.
    `caution` divides the logits of the verdict's probabilities: the split has the sources of the training, life others.
    """
    curve = cautious(fit_curve(verdict, labels), caution)
    categories = []
    for at in range(category.shape[1]):
        known = ~np.isnan(targets[:, at])
        categories.append(fit_curve(category[known, at], targets[known, at]))
    return {"temperature": curve["temperature"], "calibration": {"verdict": curve, "categories": categories}}


def fit_curve(logits: Array, labels: Array) -> dict[str, Any]:
    """One calibration curve: `{"temperature", "points"?}`, the points being logits and their probabilities."""
    rarer = int(min(labels.sum(), len(labels) - labels.sum())) if len(labels) else 0
    curve: dict[str, Any] = {"temperature": temperature(logits, labels) if rarer >= FEW else 1.0}
    if rarer >= ENOUGH:
        halves = np.arange(len(labels)) % 2
        gain = 0.0
        for half in (0, 1):
            fitted, other = halves == half, halves != half
            plain = {"temperature": temperature(logits[fitted], labels[fitted])}
            bent = {**plain, "points": isotonic(logits[fitted], labels[fitted])}
            gain += log_loss(curved(plain, logits[other]), labels[other])
            gain -= log_loss(curved(bent, logits[other]), labels[other])
        if gain > 0:
            curve["points"] = isotonic(logits, labels)
    return curve


def cautious(curve: dict[str, Any], caution: float) -> dict[str, Any]:
    """The same curve, less sure."""
    made = {**curve, "temperature": curve["temperature"] * caution}
    if curve.get("points"):
        at, values = curve["points"]
        odds = [math.log(value / (1 - value)) / caution for value in values]
        made["points"] = [at, sigmoid(np.array(odds)).tolist()]
    return made


def isotonic(logits: Array, labels: Array) -> list[list[float]]:
    """Isotonic regression as [logits, probabilities]: the middle of each of its steps, ascending."""
    from sklearn.isotonic import IsotonicRegression

    order = np.argsort(logits, kind="stable")
    steps = IsotonicRegression(y_min=1e-3, y_max=1 - 1e-3).fit_transform(logits[order], labels[order])
    starts = np.flatnonzero(np.append(True, np.diff(steps) > 0))
    middles = [float(part.mean()) for part in np.split(logits[order], starts[1:])]
    return [middles, [float(steps[start]) for start in starts]]


def curved(curve: dict[str, Any], logits: Array) -> Array:
    """Probabilities by one curve."""
    smooth = sigmoid(logits / curve["temperature"])
    if not curve.get("points"):
        return smooth
    at, values = curve["points"]
    stepped = np.interp(logits, at, values)
    return np.asarray((1 - BLEND) * stepped + BLEND * smooth)


def calibrated(card: dict[str, Any], verdict: Array, category: Array) -> tuple[Array, Array]:
    """Probabilities of a guard's logits: unsafe [n] and categories [n, k], as its card says."""
    said = card.get("calibration")
    if not said:  # a guard of an earlier day
        return sigmoid(verdict / card["temperature"]), sigmoid(category)
    columns = [curved(curve, category[:, at]) for at, curve in enumerate(said["categories"])]
    return curved(said["verdict"], verdict), np.stack(columns, 1) if columns else np.zeros((len(verdict), 0))


def log_loss(probabilities: Array, labels: Array) -> float:
    """Mean negative log likelihood of 0/1 labels."""
    clipped = np.clip(probabilities, 1e-7, 1 - 1e-7)
    return float(-np.mean(labels * np.log(clipped) + (1 - labels) * np.log(1 - clipped)))


def thresholds(probabilities: Array, labels: Array) -> dict[str, float | None]:
    """Cuts on the probability of unsafe: best F1, and at most 1 % and 5 % false positives.

    A cut blocks what is at or above it. None where the split cannot say: one class missing.
    """
    return {
        "best_f1": best_f1(probabilities, labels)[1],
        "fpr_1": at_false_positives(probabilities, labels, 0.01),
        "fpr_5": at_false_positives(probabilities, labels, 0.05),
    }


def best_f1(probabilities: Array, labels: Array) -> tuple[float | None, float | None]:
    """The highest F1 over all cuts, and its cut; (None, None) where one class is missing."""
    if len(set(labels.tolist())) < 2:
        return None, None
    order = np.argsort(-probabilities, kind="stable")
    hits = np.cumsum(labels[order])
    f1 = 2 * hits / (np.arange(1, len(order) + 1) + labels.sum())
    last_of_ties = np.append(np.diff(probabilities[order]) != 0, True)
    best = int(np.argmax(np.where(last_of_ties, f1, -1)))
    return float(f1[best]), _midway(probabilities[order], best)


def at_false_positives(probabilities: Array, labels: Array, rate: float) -> float | None:
    """The lowest cut that blocks at most `rate` of the safe rows; None where one class is missing."""
    if len(set(labels.tolist())) < 2:
        return None
    safe = np.sort(probabilities[labels == 0])[::-1]
    allowed = math.floor(rate * len(safe))
    return float(np.nextafter(safe[allowed], 2)) if allowed < len(safe) else 0.0


def _midway(descending: Array, at: int) -> float:
    """A cut between the last blocked score and the next, so that tiny changes do not cross it."""
    below = float(descending[at + 1]) if at + 1 < len(descending) else 0.0
    return (float(descending[at]) + below) / 2


def expected_calibration_error(probabilities: Sequence[float] | Array, labels: Sequence[float] | Array) -> float:
    """Mean gap between confidence and frequency over 15 equal-width bins, weighted by rows (Guo et al. 2017)."""
    p, y = np.asarray(probabilities, float), np.asarray(labels, float)
    bins = np.minimum((p * 15).astype(int), 14)
    gaps: list[Any] = [
        (bins == b).mean() * abs(p[bins == b].mean() - y[bins == b].mean()) for b in range(15) if (bins == b).any()
    ]
    return float(sum(gaps))
