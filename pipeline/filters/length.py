from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from pipeline.context import Context
from pipeline.filters import filters
from pipeline.records import Example, Finding


@filters.register("length")
@dataclass(frozen=True)
class Length:
    """Drop an example that is too short to mean anything, or too long to be one message and longer than its parent."""

    fewest_words: int = 3
    most_words: int = 120

    def __call__(self, examples: Iterable[Example], context: Context) -> Iterator[Finding]:
        for example in examples:
            count = len(example.text.split())
            most = max(self.most_words, len((example.parent_text or "").split()))
            fits = self.fewest_words <= count <= most
            reason = "" if fits else f"{count} words, expected {self.fewest_words} to {most}"
            yield Finding(example.id, "length", keep=fits, score=float(count), reason=reason)
