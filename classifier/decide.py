"""From probabilities to a decision: where to cut, what a person should look at, how severe it is. Loads without torch.

`choose` looks at the validation split and writes cuts into a guard's card; `Rules` reads them and decides. A category
that has no cut of its own is left to the verdict: setting one never switches the others off.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from classifier import calibrate

Array = NDArray[np.float64]

MOST_REVIEW = 0.15  # share of rows that people may be asked about
RIGHT = 0.97  # share of the others that must be right
MARGIN = 0.01  # validation flatters: ask it for a little more than that
GRID = 80  # cuts tried on either side of the band
ENOUGH = 20  # rows of a category, and of anything else, for a cut of its own
CATEGORY_FPR = 0.01  # a category's own cut adds alarms to the verdict's: let it add few
SEVERITY = (("low", 0.0), ("medium", 0.6), ("high", 0.85), ("critical", 0.97))  # calibrated probability, from


def choose(
    unsafe: Array, labels: Array, categories: Array, targets: Array, names: Sequence[str], target_fpr: float = 0.0
) -> dict[str, Any]:
    """All cuts that a validation split can give: `{"thresholds", "review", "category_thresholds"}`.

    Calibrated probabilities `unsafe` [n] and `categories` [n, k]; 0/1 `labels` [n]; `targets` [n, k] with nan for
    unknown. The default cut keeps to `target_fpr`, or takes the best F1 where that is 0.
    """
    cuts = calibrate.thresholds(unsafe, labels)
    cuts["default"] = calibrate.at_false_positives(unsafe, labels, target_fpr) if target_fpr else cuts["best_f1"]
    own = {name: category_cut(categories[:, at], targets[:, at]) for at, name in enumerate(names)}
    return {
        "thresholds": cuts,
        "review": review_band(unsafe, labels),
        "category_thresholds": {name: cut for name, cut in own.items() if cut is not None},
    }


def category_cut(probabilities: Array, targets: Array) -> float | None:
    """The cut of a category at few false positives; None where too few rows name it."""
    known = ~np.isnan(targets)
    hits = int(np.nansum(targets))
    if hits < ENOUGH or int(known.sum()) - hits < ENOUGH:
        return None
    return calibrate.at_false_positives(probabilities[known], targets[known], CATEGORY_FPR)


def by_cost(probabilities: Array, labels: Array, *, miss: float, alarm: float) -> float | None:
    """The cut at which missed unsafe rows, at `miss` each, and blocked safe rows, at `alarm` each, cost least.

    None where one class is missing.
    """
    if len(set(labels.tolist())) < 2:
        return None
    cuts = np.append(np.unique(probabilities), np.nextafter(probabilities.max(), 2))
    safe, harmful = np.sort(probabilities[labels == 0]), np.sort(probabilities[labels == 1])
    alarms = len(safe) - np.searchsorted(safe, cuts)
    misses = np.searchsorted(harmful, cuts)
    return float(cuts[int(np.argmin(miss * misses + alarm * alarms))])


def review_band(probabilities: Array, labels: Array) -> dict[str, float] | None:
    """The band `{"from", "to", "share", "right"}` of probabilities that people should look at.

    The narrowest one outside which RIGHT of the rows (and a margin) are right; where none that holds at most
    MOST_REVIEW of the rows does, the one of that size that leaves the fewest errors. None where a class is missing.
    """
    if len(set(labels.tolist())) < 2:
        return None
    order = np.argsort(probabilities, kind="stable")
    scores, sorted_labels = probabilities[order], labels[order]
    ends = np.unique(np.linspace(0, len(scores), GRID + 1).round().astype(int))
    misses = np.append(0, np.cumsum(sorted_labels))[ends]  # unsafe rows below each end
    alarms = (len(scores) - ends) - (sorted_labels.sum() - misses)  # safe rows at or above it
    low, high = np.meshgrid(np.arange(len(ends)), np.arange(len(ends)), indexing="ij")
    share = (ends[high] - ends[low]) / len(scores)
    outside = np.maximum(len(scores) - (ends[high] - ends[low]), 1)
    right = 1 - (misses[low] + alarms[high]) / outside
    allowed = (low <= high) & (share <= MOST_REVIEW - MARGIN)
    good = allowed & (right >= RIGHT + MARGIN)
    rank = np.where(good, share - right * 1e-6, np.inf) if good.any() else np.where(allowed, -right, np.inf)
    at = np.unravel_index(int(np.argmin(rank)), rank.shape)
    return {
        "from": _between(scores, int(ends[low[at]])), "to": _between(scores, int(ends[high[at]])),
        "share": float(share[at]), "right": float(right[at]),
    }  # fmt: skip


def _between(ascending: Array, end: int) -> float:
    """A cut with `end` scores below it."""
    if end == 0:
        return 0.0
    if end == len(ascending):
        return float(np.nextafter(ascending[-1], 2))
    return float((ascending[end - 1] + ascending[end]) / 2)


@dataclass(frozen=True)
class Decision:
    """What to do with one text."""

    verdict: str  # safe, review or unsafe
    score: float  # calibrated probability of unsafe
    severity: str  # none, low, medium, high or critical
    categories: tuple[str, ...] = ()  # those at or above their cut; where the verdict alone blocks, the likeliest one


@dataclass(frozen=True)
class Rules:
    """A project's cuts: the guard's own, moved where the project says so."""

    block: float = 0.5  # unsafe from here on, in a two-way answer
    review: tuple[float, float] | None = None  # safe below, unsafe from the second on, a person's between
    categories: Mapping[str, float] = field(default_factory=dict)
    severity: Sequence[tuple[str, float]] = SEVERITY

    @classmethod
    def from_card(cls, card: Mapping[str, Any], **changes: Any) -> Self:
        """The rules that training wrote into `guard.json`."""
        cuts, band = card.get("thresholds", {}), card.get("review")
        block = cuts.get("default", cuts.get("best_f1"))
        own = {
            "block": 0.5 if block is None else float(block),
            "review": (band["from"], band["to"]) if band else None,
            "categories": card.get("category_thresholds", {}),
        }
        return cls(**{**own, **changes})

    def decide(self, unsafe: float, categories: Mapping[str, float]) -> Decision:
        """Two ways: safe or unsafe, by the verdict or by any category that has a cut of its own."""
        named = self._over(categories)
        blocked = unsafe >= self.block or bool(named)
        named = named or likeliest(categories) if blocked else ()
        return Decision("unsafe" if blocked else "safe", unsafe, self._severity(unsafe, blocked), named)

    def triage(self, unsafe: float, categories: Mapping[str, float]) -> Decision:
        """Three ways: safe and unsafe where the guard is sure, else review."""
        if self.review is None:
            return self.decide(unsafe, categories)
        low, high = self.review
        verdict = "safe" if unsafe < low else "unsafe" if unsafe >= high else "review"
        named = self._over(categories)
        if verdict == "safe" and named:
            verdict = "review"  # the verdict is sure, a category is not of its mind
        named = named or likeliest(categories) if verdict != "safe" else ()
        return Decision(verdict, unsafe, self._severity(unsafe, verdict != "safe"), named)

    def _over(self, categories: Mapping[str, float]) -> tuple[str, ...]:
        return tuple(name for name, cut in self.categories.items() if categories.get(name, 0.0) >= cut)

    def _severity(self, unsafe: float, counts: bool) -> str:
        return [name for name, start in self.severity if unsafe >= start][-1] if counts else "none"


def likeliest(categories: Mapping[str, float]) -> tuple[str, ...]:
    """The category with the highest probability, so that what is blocked has a name; none where there are none."""
    return (max(categories, key=lambda name: categories[name]),) if categories else ()


def three_ways(unsafe: Array, labels: Array, rules: Rules) -> dict[str, float | int | None]:
    """How the three-way answer fares on labelled rows: `{"review", "right", "n"}`, the shares of both."""
    found = [rules.triage(float(score), {}).verdict for score in unsafe]
    sure = [(said == "unsafe") == (label == 1) for said, label in zip(found, labels, strict=True) if said != "review"]
    return {
        "n": len(found),
        "review": found.count("review") / len(found) if found else None,
        "right": float(sum(sure) / len(sure)) if sure else None,
    }
