"""What is there already, and how near a new text comes to it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

GRAM = 4  # characters: long enough to see borrowed words, short enough to survive a changed letter
LOOKED_AT = 20  # nearest texts by embedding whose letters are compared; a copy is among them


def grams(text: str) -> frozenset[str]:
    """Character n-grams of a text without case and extra space."""
    line = " ".join(text.casefold().split())
    return frozenset(line[at : at + GRAM] for at in range(max(1, len(line) - GRAM + 1)))


def overlap(one: frozenset[str], other: frozenset[str]) -> float:
    """Share of n-grams in common (Jaccard), 0 to 1."""
    return len(one & other) / max(1, len(one | other))


class Known:
    """Texts that earn nothing when they come again: seeds, past finds, decided examples."""

    def __init__(self, texts: Sequence[str], vectors: NDArray[np.float32]) -> None:
        self._grams = [grams(text) for text in texts]
        self._vectors = np.asarray(vectors, np.float32)
        self._given = len(texts)  # what stands behind them was found

    def __len__(self) -> int:
        return len(self._grams)

    def add(self, text: str, vector: NDArray[np.float32]) -> None:
        """Remember one more text with its unit vector [width]."""
        self._grams.append(grams(text))
        self._vectors = np.concatenate([self._vectors.reshape(-1, len(vector)), vector[None].astype(np.float32)])

    def forget(self, last: int) -> None:
        """Take back the texts that were added last."""
        left = len(self) - last
        self._grams, self._vectors = self._grams[:left], self._vectors[:left]

    def crowd(self, vector: NDArray[np.float32], cosine: float) -> int:
        """How many texts that were added since the start are at least so near."""
        return int((self._vectors[self._given :] @ vector >= cosine).sum()) if len(self) > self._given else 0

    def nearness(self, text: str, vector: NDArray[np.float32]) -> tuple[float, float]:
        """Return the largest cosine to anything known, and the largest overlap in letters with the nearest of it."""
        if not self._grams:
            return 0.0, 0.0
        cosines = self._vectors @ vector
        nearest = np.argsort(-cosines, kind="stable")[:LOOKED_AT]
        own = grams(text)
        return float(cosines[nearest[0]]), max(overlap(own, self._grams[row]) for row in nearest)

    def novelty(self, vector: NDArray[np.float32], nearest: int) -> float:
        """Return 1 - mean cosine to the `nearest` known texts, 0 to 1.

        Only the nearest ones: a mean over all would fade as the archive grows.
        """
        if not self._grams:
            return 1.0
        cosines = np.sort(self._vectors @ vector)[-nearest:]
        return float(np.clip(1 - cosines.mean(), 0, 1))
