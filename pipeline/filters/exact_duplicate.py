from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from classifier.normalize import normalized_hash
from pipeline.context import Context
from pipeline.filters import filters
from pipeline.records import Example, Finding


@filters.register("exact-duplicate")
@dataclass(frozen=True)
class ExactDuplicate:
    """Drop an example that repeats another one but for case, spacing, punctuation and invisible characters."""

    def __call__(self, examples: Iterable[Example], context: Context) -> Iterator[Finding]:
        seen = {normalized_hash(example.text) for example in context.known}
        for example in examples:
            key = normalized_hash(example.text)
            repeats = key in seen
            seen.add(key)
            yield Finding(
                example.id, "exact-duplicate", keep=not repeats, reason="repeats another example" if repeats else ""
            )
