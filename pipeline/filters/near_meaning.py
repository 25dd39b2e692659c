from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.context import Context
from pipeline.filters import filters
from pipeline.records import Example, Finding

BATCH = 1024  # vectors looked up at once
EFFORT = 128  # neighbours that the index keeps in view; with 64 it missed one copy in 200


@filters.register("near-meaning")
@dataclass(frozen=True)
class NearMeaning:
    """Drop an example that says what one kept before it says, however it is worded.

    An approximate index (HNSW) of embeddings names the nearest texts. A million of them take 1 GB.
    """

    threshold: float = 0.95  # cosine: above it hardly more than a word changed; good paraphrases lie at 0.5 to 0.9

    def __call__(self, examples: Iterable[Example], context: Context) -> Iterator[Finding]:
        index = Index()
        index.add([vector for one in context.known if (vector := context.embeddings.get(one.id)) is not None])
        waiting = iter(examples)
        while batch := list(islice(waiting, BATCH)):
            yield from self._batch(batch, context, index)

    def _batch(self, batch: Sequence[Example], context: Context, index: Index) -> Iterator[Finding]:
        there = [example for example in batch if example.id in context.embeddings]
        vectors = np.stack([context.embeddings[example.id] for example in there]) if there else np.zeros((0, 1))
        before = dict(zip((example.id for example in there), index.nearest(vectors), strict=True))
        rows = {example.id: row for row, example in enumerate(there)}
        kept: list[int] = []
        for example in batch:
            row = rows.get(example.id)
            if row is None:
                yield Finding(example.id, "near-meaning", keep=True, reason="has no embedding to compare")
                continue
            beside = float((vectors[kept] @ vectors[row]).max()) if kept else 0.0  # of the same batch: not indexed yet
            nearest = max(before[example.id], beside)
            alike = nearest >= self.threshold
            if not alike:
                kept.append(row)
            reason = f"{nearest:.2f} like another example: it says the same" if alike else ""
            yield Finding(example.id, "near-meaning", keep=not alike, score=round(nearest, 4), reason=reason)
        index.add(vectors[kept])


class Index:
    """Unit vectors of what is kept, and how near new ones come to them."""

    def __init__(self) -> None:
        self._index: Any = None

    def add(self, vectors: Sequence[NDArray[Any]] | NDArray[Any]) -> None:
        """Remember unit vectors [n, width]."""
        from usearch.index import Index as Graph

        if not len(vectors):
            return
        rows = np.asarray(vectors, np.float32)
        if self._index is None:
            self._index = Graph(ndim=rows.shape[1], metric="cos", dtype="f16", expansion_search=EFFORT)
        self._index.add(np.arange(len(self._index), len(self._index) + len(rows)), rows)

    def nearest(self, vectors: NDArray[Any]) -> list[float]:
        """The cosine of each of these [n, width] to the nearest one remembered, 0.0 where there is none."""
        if self._index is None or not len(vectors):
            return [0.0] * len(vectors)
        found = self._index.search(np.asarray(vectors, np.float32), 1)
        distances = np.asarray(found.distances, np.float64).reshape(len(vectors), -1)[:, 0]
        return [float(1 - distance) for distance in distances]
