from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from classifier.normalize import words
from pipeline.cleaning import FRAME, PREAMBLE, REFUSAL
from pipeline.context import Context
from pipeline.filters import filters
from pipeline.records import Example, Finding


@filters.register("shape")
@dataclass(frozen=True)
class Shape:
    """Drop an example that is not one message: a refusal, a leftover of the prompt, a loop, or odd characters."""

    printable: float = 0.95  # share of characters that show
    repeats: int = 2  # times the same three words may come

    def __call__(self, examples: Iterable[Example], context: Context) -> Iterator[Finding]:
        for example in examples:
            reason = self.fault(example.text)
            yield Finding(example.id, "shape", keep=not reason, reason=reason)

    def fault(self, text: str) -> str:
        """What is wrong with the shape of a text; empty where nothing is."""
        if REFUSAL.search(text):
            return "reads as a refusal"
        if FRAME.search(text) or PREAMBLE.search(text):
            return "begins with words of the prompt"
        if "[" in text and "]" in text and any(part.split("]")[0].isupper() for part in text.split("[")[1:]):
            return "holds a placeholder"
        if _share_printable(text) < self.printable:
            return "holds characters that do not show"
        return self._loop(text)

    def _loop(self, text: str) -> str:
        found = words(text)
        triples = Counter(zip(found, found[1:], found[2:], strict=False))
        most = max(triples.values(), default=0)
        return f"says the same three words {most} times" if most > self.repeats else ""


def _share_printable(text: str) -> float:
    shown = sum(c.isspace() or unicodedata.category(c)[0] in "LNPSMZ" for c in text)
    return shown / max(1, len(text))
