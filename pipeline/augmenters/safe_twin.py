from __future__ import annotations

import random
from dataclasses import dataclass
from typing import ClassVar

from pipeline import prompts
from pipeline.augmenters import Written, augmenters
from pipeline.cleaning import clean
from pipeline.generators import Prompt
from pipeline.records import SAFE, UNSAFE, Example


@augmenters.register("safe-twin")
@dataclass(frozen=True)
class SafeTwin:
    """Keep the surface of an unsafe message and remove the harm; the result is proposed as safe."""

    temperature: float = 0.5
    tries: int = 3
    rounds: int = 2
    band: ClassVar = (0.35, 0.85)
    version: str = "safe-twin.v1"

    def applies(self, example: Example) -> bool:
        return example.label == UNSAFE and len(example.text) <= 300

    def prompt(self, example: Example, chance: random.Random) -> Prompt:
        return Prompt(prompts.load(self.version).render(example.text), temperature=self.temperature)

    def draft(self, example: Example, answer: str, chance: random.Random) -> Written | None:
        text = clean(answer)
        return Written(text, SAFE, ()) if text else None

    def prompt_reference(self) -> str:
        return prompts.load(self.version).reference
