from __future__ import annotations

import random
from dataclasses import dataclass
from typing import ClassVar

from pipeline import prompts
from pipeline.augmenters import Written
from pipeline.cleaning import clean
from pipeline.generators import Prompt
from pipeline.paraphrasers import paraphrasers
from pipeline.records import Example

LONGEST = 120  # tokens: a translation is as long as its text, and other languages need more tokens than English


@paraphrasers.register("round-trip")
@dataclass(frozen=True)
class RoundTrip:
    """Translate an English text into another language and back, label kept; needs a generator that can translate."""

    temperature: float = 0.3  # a translation leaves less to chance than a rewording
    tries: int = 1
    rounds: int = 1  # what is lost on the way there is lost again
    band: ClassVar = (0.5, 0.95)
    version: str = "english-german.v1"  # or english-french.v1

    def applies(self, example: Example) -> bool:
        return example.language == "en" and len(example.text) <= 300

    def prompt(self, example: Example, chance: random.Random) -> Prompt:
        return Prompt(prompts.load(self.version).render(example.text), LONGEST, self.temperature)

    def again(self, answer: str) -> Prompt | None:
        """The way back; nothing where the way there ended in a refusal or at the edge of what a message is."""
        text = clean(answer)
        return Prompt(prompts.load(self.version).reversed().render(text), LONGEST, self.temperature) if text else None

    def draft(self, example: Example, answer: str, chance: random.Random) -> Written | None:
        text = clean(answer)
        return Written(text, example.label, example.categories) if text else None

    def prompt_reference(self) -> str:
        return prompts.load(self.version).reference
