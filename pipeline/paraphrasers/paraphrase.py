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


@paraphrasers.register("paraphrase")
@dataclass(frozen=True)
class Paraphrase:
    """Say the same in other words, label kept."""

    temperature: float = 0.6  # 0.3 copies more, 0.9 loses the meaning of half of them
    tries: int = 2
    band: ClassVar = (0.5, 0.95)
    version: str = "paraphrase.v1"

    def applies(self, example: Example) -> bool:
        return len(example.text) <= 300

    def prompt(self, example: Example, chance: random.Random) -> Prompt:
        return Prompt(prompts.load(self.version).render(example.text), temperature=self.temperature)

    def draft(self, example: Example, answer: str, chance: random.Random) -> Written | None:
        text = clean(answer)
        return Written(text, example.label, example.categories) if text else None

    def prompt_reference(self) -> str:
        return prompts.load(self.version).reference
