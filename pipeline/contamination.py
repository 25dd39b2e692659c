"""Keeps what is measured with out of what is learnt from. Not a filter of a recipe: nobody can switch it off.

A candidate is refused when most of its word groups stand in rows of the evaluation sets, or when its embedding is that
of one of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from classifier.normalize import words
from classifier.obfuscation import read
from pipeline.records import Example, Finding

KEY = "contamination"
GRAM = 5  # words: four in common are an everyday phrase
SHARE = 0.5  # of a candidate's groups
COSINE = 0.93  # paraphrases of one message lie below it mostly; above it hardly a word changed
BLOCK = 4096  # candidates compared at once, so that memory stays below 100 MB for 5,000 evaluation rows


def grams(text: str) -> set[str]:
    """Groups of words of a text with its disguises off; the whole text where it is shorter than one group."""
    found = words(read(text).text)
    return {" ".join(found[at : at + GRAM]) for at in range(max(1, len(found) - GRAM + 1))}


def contaminated(candidates: Sequence[Example], evaluation: Sequence[Example], vectors: Any) -> Iterator[Finding]:
    """One finding per candidate; `vectors` are unit vectors by id. Nothing is said where there is no evaluation row."""
    if not evaluation:
        return
    measured = set().union(*(grams(example.text) for example in evaluation))
    theirs = np.stack([vectors[example.id] for example in evaluation])
    for start in range(0, len(candidates), BLOCK):
        block = candidates[start : start + BLOCK]
        nearest = (np.stack([vectors[example.id] for example in block]) @ theirs.T).max(1)
        for example, cosine in zip(block, nearest.tolist(), strict=True):
            yield _finding(example, measured, cosine)


def _finding(example: Example, measured: set[str], cosine: float) -> Finding:
    own = grams(example.text)
    share = len(own & measured) / len(own)
    reason = ""
    if share >= SHARE:
        reason = f"{share:.0%} of its wording stands in an evaluation set"
    elif cosine >= COSINE:
        reason = f"{cosine:.2f} like a row of an evaluation set"
    return Finding(example.id, KEY, keep=not reason, score=round(max(share, cosine), 4), reason=reason)
