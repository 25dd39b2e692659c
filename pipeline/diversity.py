"""How many really different texts there are among many."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from classifier.normalize import words


def measured(texts: Sequence[str], vectors: NDArray[Any]) -> dict[str, float]:
    """Figures of n texts and their unit vectors [n, width]; empty for fewer than two."""
    if len(texts) < 2:
        return {}
    return {
        "texts": len(texts),
        "vendi": round(vendi(vectors), 1),
        "distinct_words": round(distinct(texts, 1), 4),
        "distinct_pairs": round(distinct(texts, 2), 4),
        "nearest": round(nearest(vectors), 4),
    }


def vendi(vectors: NDArray[Any]) -> float:
    """Effective number of different texts, 1 to n: the exponential of the entropy of the likenesses' eigenvalues.

    Vendi score with the cosine as likeness (Friedman and Dieng 2022). The eigenvalues of V V'/n are those of V'V/n,
    which is only as wide as an embedding: n may be large, and the score is never above that width.
    """
    rows = np.asarray(vectors, np.float64)
    values = np.linalg.eigvalsh(rows.T @ rows / len(rows))
    values = values[values > 1e-12]
    return float(np.exp(-(values * np.log(values)).sum()))


def distinct(texts: Sequence[str], size: int) -> float:
    """Share of different word groups of this size among all, 0 to 1 (distinct-n); the more texts, the lower."""
    groups = [group for text in texts for group in _groups(words(text), size)]
    return len(set(groups)) / len(groups) if groups else 0.0


def _groups(found: Sequence[str], size: int) -> list[tuple[str, ...]]:
    return [(word,) for word in found] if size == 1 else list(pairwise(found))


def nearest(vectors: NDArray[Any], block: int = 2048) -> float:
    """Mean cosine of each text to the likest other one."""
    rows, total = np.asarray(vectors, np.float32), 0.0
    for start in range(0, len(rows), block):
        cosines = rows[start : start + block] @ rows.T
        cosines[np.arange(len(cosines)), np.arange(start, start + len(cosines))] = -1
        total += float(cosines.max(1).sum())
    return total / len(rows)
