from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from classifier.normalize import words
from pipeline.context import Context
from pipeline.filters import filters
from pipeline.records import Example, Finding

Shingles = frozenset[tuple[str, ...]]


@filters.register("near-duplicate")
@dataclass(frozen=True)
class NearDuplicate:
    """Drop an example whose wording almost repeats one kept before it.

    MinHash and LSH find who may be alike; the exact Jaccard likeness of word shingles decides.
    """

    threshold: float = 0.8  # Jaccard over word pairs; 0.8 keeps paraphrases and drops single edits of long texts
    shingle: int = 2  # words; messages are short, so three would make strangers of near twins
    permutations: int = 128

    def __call__(self, examples: Iterable[Example], context: Context) -> Iterator[Finding]:
        index = Index(self)
        for example in context.known:
            index.add(example)
        for example in examples:
            closest = index.closest(example)
            alike = closest >= self.threshold
            if not alike:
                index.add(example)
            reason = f"{closest:.0%} of the wording is that of another example" if alike else ""
            yield Finding(example.id, "near-duplicate", keep=not alike, score=round(closest, 4), reason=reason)

    def shingles(self, text: str) -> Shingles:
        """The overlapping word groups of a text; the whole text where it is shorter than one group."""
        found = words(text)
        count = max(1, len(found) - self.shingle + 1)
        return frozenset(tuple(found[at : at + self.shingle]) for at in range(count))


class Index:
    """Who may be like whom."""

    def __init__(self, settings: NearDuplicate) -> None:
        from rensa import RMinHashLSH

        self.settings = settings
        # Bands of four rows catch pairs at 0.8 for sure and at 0.5 mostly; what they catch is checked exactly.
        self._lsh = RMinHashLSH(settings.threshold, settings.permutations, settings.permutations // 4)
        self._shingles: list[Shingles] = []

    def _hash(self, shingles: Shingles) -> Any:
        from rensa import RMinHash

        signature = RMinHash(num_perm=self.settings.permutations, seed=1)
        signature.update([" ".join(shingle) for shingle in sorted(shingles)])
        return signature

    def add(self, example: Example) -> None:
        """Remember an example."""
        shingles = self.settings.shingles(example.text)
        self._lsh.insert(len(self._shingles), self._hash(shingles))
        self._shingles.append(shingles)

    def closest(self, example: Example) -> float:
        """The highest Jaccard likeness to anything remembered, 0.0 where nothing is near."""
        mine = self.settings.shingles(example.text)
        near = (self._shingles[at] for at in self._lsh.query(self._hash(mine)))
        return max((len(mine & other) / len(mine | other) for other in near), default=0.0)
