from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.context import Context
from pipeline.filters import filters
from pipeline.records import Example, Finding


@filters.register("quota")
@dataclass(frozen=True)
class Quota:
    """Keep at most so many examples of each category and label, the most different ones; name it last.

    What a filter before it dropped takes nobody's place. Examples without a category share one place for each label.
    """

    most: int = 200  # of a category in a round: some hours of one person's review

    def __post_init__(self) -> None:
        if self.most < 1:
            raise ValueError(f"a quota is 1 or more, found {self.most}")

    def __call__(self, examples: Iterable[Example], context: Context) -> Iterator[Finding]:
        candidates = list(examples)
        groups: dict[tuple[str, str], list[Example]] = defaultdict(list)
        for example in candidates:
            if example.id not in context.dropped:
                groups[(example.label, min(example.categories, default=""))].append(example)
        over = {example.id: key for key, group in groups.items() for example in self._over(group, context)}
        for example in candidates:
            label, category = over.get(example.id, ("", ""))
            reason = f"{self.most} of {category or label} are enough, and others differ more" if label else ""
            yield Finding(example.id, "quota", keep=not label, reason=reason)

    def _over(self, group: Sequence[Example], context: Context) -> list[Example]:
        if len(group) <= self.most:
            return []
        vectors = [vector for one in group if (vector := context.embeddings.get(one.id)) is not None]
        if len(vectors) < len(group):  # nothing to tell them apart by: the first ones stay
            return list(group[self.most :])
        taken = set(farthest_first(np.stack(vectors), self.most))
        return [example for row, example in enumerate(group) if row not in taken]


def farthest_first(vectors: np.ndarray, wanted: int) -> list[int]:
    """Rows of unit vectors [n, width], one after the other the one farthest from those before it (Gonzalez 1985)."""
    nearest = vectors @ vectors.mean(0)  # the first is the least usual one
    chosen: list[int] = []
    for _ in range(min(wanted, len(vectors))):
        row = int(nearest.argmin())
        chosen.append(row)
        nearest = np.maximum(nearest, vectors @ vectors[row]) if len(chosen) > 1 else vectors @ vectors[row]
        nearest[chosen] = np.inf
    return chosen
