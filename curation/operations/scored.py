"""A guard's scores on a frozen set, brought together with what its rows are and with the examples behind them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from classifier.bootstrap import DRAWS, interval, resample
from classifier.evaluate import recall_at
from curation.models import Evaluation, EvaluationSet, Example, FrozenRows, Guard, RowScores
from curation.operations import curves
from curation.operations.curves import Array

LISTED = 12  # examples of a kind that a page lists


@dataclass(frozen=True)
class Scored:
    """One guard on one set."""

    guard: Guard
    on: EvaluationSet
    metrics: dict[str, Any]
    rows: FrozenRows
    values: Sequence[float]

    @cached_property
    def scores(self) -> Array:
        return np.asarray(self.values, dtype=float)

    @cached_property
    def labels(self) -> Array:
        return np.asarray(self.rows.unsafe, dtype=float)

    @property
    def threshold(self) -> float:
        """Where the guard itself begins to block."""
        return float(self.metrics.get("threshold") or 0.5)

    @cached_property
    def own(self) -> curves.Effect:
        """What its own threshold does."""
        return curves.effect(self.scores, self.labels, self.threshold)

    @property
    def twins_blocked(self) -> curves.Share:
        """Of the harmless twins of harmful texts, those that it blocks."""
        twins = np.asarray(self.rows.twins, dtype=bool)
        return curves.Share(int((self.scores[twins] >= self.threshold).sum()), int(twins.sum()))

    @property
    def recall_at_1(self) -> float | None:
        return recall_at(self.scores, self.labels, 0.01)

    def languages(self) -> list[dict[str, Any]]:
        return curves.by(self.rows.languages, self.scores, self.labels, self.threshold)

    def lengths(self) -> list[dict[str, Any]]:
        names = curves.length_names(self.rows.words)
        found = curves.by(names, self.scores, self.labels, self.threshold)
        order = [name for _, _, name in curves.LENGTHS]
        return sorted(found, key=lambda row: order.index(row["name"]))

    def categories(self, order: Sequence[str]) -> list[dict[str, Any]]:
        return curves.by_category(self.rows.categories, self.scores, self.labels, self.threshold, order)


def of(guard: Guard, one: EvaluationSet | None) -> Scored | None:
    """The scores of a guard on a set; None where nobody measured them row by row."""
    if one is None:
        return None
    found = Evaluation.objects.filter(guard=guard, evaluation_set=one).select_related("scores").first()
    rows = FrozenRows.objects.filter(evaluation_set=one).first()
    if found is None or rows is None or not (scores := RowScores.objects.filter(evaluation=found).first()):
        return None
    return Scored(guard, one, found.metrics, rows, scores.values)


def at_threshold(scored: Scored, threshold: float) -> dict[str, Any]:
    """What another threshold does, and the examples for which it changes the answer, the nearest to it first."""
    before, after = scored.scores >= scored.threshold, scored.scores >= threshold
    return {
        "effect": curves.effect(scored.scores, scored.labels, threshold),
        "blocked_now": _changed(scored, ~before & after, threshold),
        "passed_now": _changed(scored, before & ~after, threshold),
        "nearest": _changed(scored, np.ones(len(before), dtype=bool), threshold),
    }


def _changed(scored: Scored, chosen: Any, threshold: float) -> dict[str, Any]:
    """How many rows, how many of them would be a mistake, and some of them."""
    places = np.flatnonzero(chosen)
    nearest = places[np.argsort(np.abs(scored.scores[places] - threshold), kind="stable")][:LISTED]
    unsafe = int(scored.labels[places].sum())
    lines = [(int(at), {"score": float(scored.scores[at])}) for at in nearest]
    return {"count": len(places), "unsafe": unsafe, "safe": len(places) - unsafe, "examples": shown(scored, lines)}


def shown(scored: Scored, lines: Sequence[tuple[int, dict[str, Any]]]) -> list[dict[str, Any]]:
    """The examples at some places of the set, each with what is to be said of it; those that are gone are left out."""
    ids = {at: scored.rows.ids[at] for at, _ in lines}
    found = scored.on.project.examples.defer("embedding", "stage_settings", "scores").in_bulk(list(ids.values()))
    rows = []
    for at, more in lines:
        example: Example | None = found.get(ids[at])
        if example is not None:
            rows.append({"example": example, "unsafe": bool(scored.rows.unsafe[at]), **more})
    return rows


AT_ONCE, FEWEST_DRAWS = 2_000_000, 200  # rows drawn while a person waits for a page: some 0.7 s


def spans(one: Scored, other: Scored) -> dict[str, list[float] | None]:
    """95 % intervals of what the first is ahead by, over rows resampled for both together, each at its threshold."""
    draws = max(FEWEST_DRAWS, min(DRAWS, AT_ONCE // max(1, len(one.scores))))
    first, second = (vars(resample(each.scores, each.labels, each.threshold, draws)) for each in (one, other))
    return {name: interval(first[name] - second[name]) for name in first}


KINDS = (
    ("caught", "Only the first blocks, and rightly", True, True),
    ("missed", "Only the second blocks, and rightly", False, True),
    ("alarm", "Only the first blocks, and wrongly", True, False),
    ("quiet", "Only the second blocks, and wrongly", False, False),
)


def differences(one: Scored, other: Scored) -> list[dict[str, Any]]:
    """Where two guards give another answer, each at its own threshold: by who is right, the clearest first."""
    first, second = one.scores >= one.threshold, other.scores >= other.threshold
    unsafe = one.labels == 1
    groups = []
    for key, words, by_first, is_unsafe in KINDS:
        places = np.flatnonzero((first != second) & (first == by_first) & (unsafe == is_unsafe))
        apart = np.abs(one.scores[places] - other.scores[places])
        clearest = places[np.argsort(-apart, kind="stable")][:LISTED]
        lines = [(int(at), {"first": float(one.scores[at]), "second": float(other.scores[at])}) for at in clearest]
        groups.append({"key": key, "words": words, "count": len(places), "examples": shown(one, lines)})
    return groups
