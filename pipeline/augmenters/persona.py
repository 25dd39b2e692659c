from __future__ import annotations

import random
from dataclasses import dataclass
from typing import ClassVar

from pipeline import prompts
from pipeline.augmenters import Written, augmenters
from pipeline.cleaning import clean
from pipeline.generators import Prompt
from pipeline.records import Example


@augmenters.register("persona")
@dataclass(frozen=True)
class Persona:
    """Set the message in somebody's situation, label kept.

    The generator writes the situation only and the message itself stays as it is, so that even a small model cannot
    lose what is asked.
    """

    temperature: float = 0.8  # situations should differ; nothing can be lost by it
    tries: int = 1
    rounds: int = 2
    band: ClassVar = (0.5, 0.95)
    version: str = "persona.v1"

    def applies(self, example: Example) -> bool:
        return len(example.text) <= 300

    def prompt(self, example: Example, chance: random.Random) -> Prompt:
        return Prompt(prompts.load(self.version).render(example.text), max_new_tokens=28, temperature=self.temperature)

    def draft(self, example: Example, answer: str, chance: random.Random) -> Written | None:
        situation = clean(answer)
        if situation is None or situation[-1] not in ".!?" or len(situation) > 160:
            return None  # cut off in mid-sentence
        first = chance.random() < 0.7  # the situation comes first more often than last, as with people
        message = example.text.strip()
        closed = message if message[-1] in ".!?" else message + "."
        return Written(
            f"{situation} {message}" if first else f"{closed} {situation}", example.label, example.categories
        )

    def prompt_reference(self) -> str:
        return prompts.load(self.version).reference
