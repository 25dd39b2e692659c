from __future__ import annotations

import random
from dataclasses import dataclass
from typing import ClassVar

from pipeline import prompts
from pipeline.augmenters import Written, augmenters
from pipeline.cleaning import clean
from pipeline.generators import Prompt
from pipeline.records import SAFE, UNSAFE, Example


@augmenters.register("unsafe-twin")
@dataclass(frozen=True)
class UnsafeTwin:
    """Keep the surface of a safe message and let it ask for a mild harm; the result is proposed as unsafe."""

    category: str = ""  # key that is proposed for it; a forbidden one is refused
    temperature: float = 0.6
    tries: int = 3
    rounds: int = 2
    band: ClassVar = (0.35, 0.9)
    version: str = "unsafe-twin.v1"

    def applies(self, example: Example) -> bool:
        return example.label == SAFE and len(example.text) <= 300

    def prompt(self, example: Example, chance: random.Random) -> Prompt:
        return Prompt(prompts.load(self.version).render(example.text), temperature=self.temperature)

    def draft(self, example: Example, answer: str, chance: random.Random) -> Written | None:
        text = clean(answer)
        return Written(text, UNSAFE, (self.category,) if self.category else ()) if text else None

    def prompt_reference(self) -> str:
        return prompts.load(self.version).reference
