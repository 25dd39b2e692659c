from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from classifier.obfuscation import read
from pipeline.context import Context
from pipeline.filters import filters
from pipeline.records import Example, Finding


@filters.register("language")
@dataclass(frozen=True)
class Language:
    """Drop an example that is surely in another language than the project's.

    Short texts, chat spelling and names fool every identifier, so only a clear answer on a long enough text counts.
    """

    certainty: float = 0.95
    shortest: int = 25  # characters

    def __call__(self, examples: Iterable[Example], context: Context) -> Iterator[Finding]:
        for example in examples:
            language, certainty = identifier().classify(read(example.text).text)
            other = language not in context.languages and certainty >= self.certainty
            drop = other and len(example.text) >= self.shortest
            reason = f"reads as {language!r}, expected {' or '.join(context.languages)}" if drop else ""
            yield Finding(example.id, "language", keep=not drop, score=round(float(certainty), 4), reason=reason)


@lru_cache(maxsize=1)
def identifier() -> Any:
    """The identifier, with probabilities, loaded once."""
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
