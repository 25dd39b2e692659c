"""Which words moved the verdict: leave each one out and see. For the desk, on demand.

Needs nothing but scores, so it explains any guard in any runtime; it costs one batch of at most MOST_SPANS short texts.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

MOST_SPANS = 48  # a long text is explained by groups of words, so that its cost stays that of one batch
MOST_CHARACTERS = 8_000  # of the text; what comes after is not explained


class Scores(Protocol):
    """Anything that answers for texts with (unsafe [n], categories [n, k])."""

    def scores(self, texts: Sequence[str], progress: Any = None, /) -> tuple[Any, Any]: ...


@dataclass(frozen=True)
class Span:
    """A part of the text and how far it pushes the verdict towards unsafe, in logits; negative towards safe."""

    start: int
    end: int
    push: float


def explain(scorer: Scores, text: str) -> list[Span]:
    """The spans of a text, in its order; an empty list where it has no words."""
    spans = _spans(text[:MOST_CHARACTERS])
    if not spans:
        return []
    without = [text[:start] + text[end:] for start, end in spans]
    unsafe = scorer.scores([text, *without])[0]
    whole = _logit(float(unsafe[0]))
    return [
        Span(start, end, whole - _logit(float(score))) for (start, end), score in zip(spans, unsafe[1:], strict=True)
    ]


def _spans(text: str) -> list[tuple[int, int]]:
    words = [match.span() for match in re.finditer(r"\S+", text)]
    group = math.ceil(len(words) / MOST_SPANS) or 1
    return [(words[at][0], words[min(at + group, len(words)) - 1][1]) for at in range(0, len(words), group)]


def _logit(probability: float) -> float:
    clipped = min(max(probability, 1e-6), 1 - 1e-6)
    return math.log(clipped / (1 - clipped))
