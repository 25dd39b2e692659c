from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice, pairwise
from typing import Any

from classifier.normalize import encoded_words
from pipeline.context import Context
from pipeline.filters import filters
from pipeline.records import Example, Finding

CHUNK = 10_000  # texts hashed at once: enough for the library to be quick, a few MB of words
REMEMBERED = 50_000  # texts whose shingles are kept: some 60 MB
ROWS = 5  # of a band: with 4 ten times as many pairs are compared exactly, which is what a million rows wait for


@filters.register("near-duplicate")
@dataclass(frozen=True)
class NearDuplicate:
    """Drop an example whose wording almost repeats one kept before it.

    MinHash and LSH find who may be alike; the exact Jaccard likeness of word shingles decides.
    """

    threshold: float = 0.8  # Jaccard over word pairs; 0.8 keeps paraphrases and drops single edits of long texts
    shingle: int = 2  # words; messages are short, so three would make strangers of near twins
    permutations: int = 80  # 16 bands miss one pair of 600 that is just at the threshold, one of 3,000,000 at 0.9

    def __call__(self, examples: Iterable[Example], context: Context) -> Iterator[Finding]:
        index = Index(self)
        for _ in index.closest((example.text for example in context.known), keep_all=True):
            pass
        waiting = iter(examples)
        while chunk := list(islice(waiting, CHUNK)):
            for example, closest in zip(chunk, index.closest(example.text for example in chunk), strict=True):
                alike = closest >= self.threshold
                reason = f"{closest:.0%} of the wording is that of another example" if alike else ""
                yield Finding(example.id, "near-duplicate", keep=not alike, score=round(closest, 4), reason=reason)

    def shingles(self, text: str) -> list[bytes]:
        """The overlapping word groups of a text; the whole text where it is shorter than one group."""
        found = encoded_words(text)
        if self.shingle == 2 and len(found) > 1:
            return [b"%b %b" % pair for pair in pairwise(found)]  # half the time of joining
        count = max(1, len(found) - self.shingle + 1)
        return [b" ".join(found[at : at + self.shingle]) for at in range(count)]


class Index:
    """Who may be like whom. Texts are kept, not their shingles: those of the few that are compared are made again."""

    def __init__(self, settings: NearDuplicate) -> None:
        from rensa import RMinHashLSH

        self.settings = settings
        self._lsh = RMinHashLSH(settings.threshold, settings.permutations, max(1, settings.permutations // ROWS))
        self._texts: list[str | None] = []  # None where it was dropped: what is like a dropped one may stay
        # Where many are alike they are compared with the same few again and again.
        self._shingles = lru_cache(REMEMBERED)(lambda text: frozenset(settings.shingles(text)))

    def closest(self, texts: Iterable[str], keep_all: bool = False) -> Iterator[float]:
        """The Jaccard likeness of each text to the likest one kept before it, 0.0 where nothing is near.

        Keeps the text where that is below the threshold, or in any case where `keep_all` says so.
        """
        waiting = iter(texts)
        while chunk := list(islice(waiting, CHUNK)):
            yield from self._chunk(chunk, keep_all)

    def _chunk(self, texts: Sequence[str], keep_all: bool) -> Iterator[float]:
        from rensa import RMinHash

        shingles = [self.settings.shingles(text) for text in texts]
        matrix = RMinHash.digest_matrix_from_token_sets(shingles, self.settings.permutations, 1)
        flags = self._lsh.insert_matrix_and_query_duplicate_flags(matrix, len(self._texts))
        for text, mine, flagged in zip(texts, shingles, flags, strict=True):
            nearest = self._nearest(mine) if flagged else 0.0
            self._texts.append(text if keep_all or nearest < self.settings.threshold else None)
            yield nearest

    def _nearest(self, mine: Sequence[bytes]) -> float:
        """The exact likeness to the likest text kept before, or to the first that is too like."""
        own, before, nearest = frozenset(mine), len(self._texts), 0.0
        for at in self._lsh.query(self._hash(mine)):
            text = self._texts[at] if at < before else None
            if text is not None:
                nearest = max(nearest, likeness(own, self._shingles(text)))
                if nearest >= self.settings.threshold:
                    break
        return nearest

    def _hash(self, shingles: Sequence[bytes]) -> Any:
        from rensa import RMinHash

        signature = RMinHash(num_perm=self.settings.permutations, seed=1)
        signature.update(shingles)
        return signature


def likeness(one: frozenset[bytes], other: frozenset[bytes]) -> float:
    """Share of shingles in common (Jaccard)."""
    common = len(one & other)
    return common / (len(one) + len(other) - common)
