"""Rows made ready to learn from: token ids, targets, weights, twins. Numbers only, no text."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from classifier import batches
from classifier.attacks import disguise
from classifier.config import TrainSettings

Floats = NDArray[np.float32]


@dataclass
class Rows:
    """Encoded rows and their targets. A category target of nan is unknown, and counts for nothing."""

    ids: list[list[int]]
    disguised: list[list[int]]  # the same texts as somebody would write them who hides; empty where nobody asks
    verdict: Floats  # [n] between 0 and 1: smoothed, taught
    label: Floats  # [n] 0 or 1
    category: Floats  # [n, k] 0, 1 or nan
    weight: Floats  # [n], mean 1 where any weighing is on
    source: list[str]  # [n] empty where nobody says
    twin: NDArray[np.int64]  # [n] index of the harmless twin, -1 where there is none

    @property
    def lengths(self) -> list[int]:
        return [len(sequence) for sequence in self.ids]


def make_rows(rows: Sequence[Mapping[str, Any]], names: Sequence[str], tokenizer: Any, settings: TrainSettings) -> Rows:
    """Encode rows `{"text", "label", "categories"?, "weight"?, "agreement"?, "source"?, "pair"? or "family"?}`."""
    label = np.array([float(row["label"] == "unsafe") for row in rows], np.float32)
    texts = [row["text"] for row in rows]
    return Rows(
        ids=batches.encode(tokenizer, texts, settings.max_length),
        disguised=batches.encode(tokenizer, _disguised(texts, settings.seed), settings.max_length)
        if settings.consistency
        else [],
        verdict=smoothed(label, rows, settings.label_smoothing),
        label=label,
        category=category_targets(rows, names),
        weight=weights(rows, label, settings),
        source=[str(row.get("source") or "") for row in rows],
        twin=twins(rows),
    )


def _disguised(texts: Sequence[str], seed: int) -> list[str]:
    return [disguise(text, f"{seed}:{number}") for number, text in enumerate(texts)]


def category_targets(rows: Sequence[Mapping[str, Any]], names: Sequence[str]) -> Floats:
    """Targets [n, k]: all 0 for safe rows, 1 where named; nan where an unsafe row names none, which is unknown."""
    targets = np.zeros((len(rows), len(names)), np.float32)
    for at, row in enumerate(rows):
        named = row.get("categories") or ()
        if row["label"] == "unsafe":
            targets[at] = [float(name in named) for name in names] if named else math.nan
    return targets


def smoothed(label: Floats, rows: Sequence[Mapping[str, Any]], most: float) -> Floats:
    """Labels pulled towards one half by as much as annotators disagreed.

    `agreement` is the share of annotators behind the label: 1 pulls by nothing, one half or less by `most`. A row
    that does not say counts as agreed.
    """
    said = [1.0 if row.get("agreement") is None else float(row["agreement"]) for row in rows]
    pull = most * np.clip((1 - np.array(said, np.float32)) * 2, 0, 1)
    return label + (0.5 - label) * 2 * pull if most else label


def weights(rows: Sequence[Mapping[str, Any]], label: Floats, settings: TrainSettings) -> Floats:
    """Weights [n]: each row's own, times its source's, times what balances sources and labels."""
    weight = np.array([1.0 if row.get("weight") is None else row["weight"] for row in rows], np.float32)
    sources = [str(row.get("source") or "") for row in rows]
    weight *= np.array([settings.source_weights.get(source, 1.0) for source in sources], np.float32)
    balance = _rarity(sources, settings.source_balance) * _rarity(label.tolist(), settings.class_balance)
    if settings.source_weights or settings.source_balance or settings.class_balance:
        weight *= balance
        weight /= max(float(weight.mean()), 1e-9)  # a step should be as long as without the weights
    return weight


def _rarity(groups: Sequence[Any], power: float) -> Floats:
    count = Counter(groups)
    return np.array([count[group] ** -power for group in groups], np.float32)


def family_of(row: Mapping[str, Any]) -> str:
    """What a row's harmless twin, and whatever was made of both, has in common with it; empty where nobody says."""
    return row.get("pair") or row.get("family") or ""


def twins(rows: Sequence[Mapping[str, Any]]) -> NDArray[np.int64]:
    """For each unsafe row the index of the first safe row of its family; -1 where there is none."""
    safe: dict[str, list[int]] = defaultdict(list)
    for number, row in enumerate(rows):
        if family_of(row) and row["label"] == "safe":
            safe[family_of(row)].append(number)
    return np.array(
        [safe[family_of(row)][0] if row["label"] == "unsafe" and safe.get(family_of(row)) else -1 for row in rows],
        np.int64,
    )
