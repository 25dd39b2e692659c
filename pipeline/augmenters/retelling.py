from __future__ import annotations

import random
import re
from dataclasses import dataclass

from pipeline.augmenters import Rule, augmenters, closed

POLITE = re.compile(
    r"\b(?:please|kindly|could you|can you|would you|i would like to know|i want to know|i was wondering|just|really|"
    r"very|actually|basically|maybe|perhaps|hello|hi|hey|thanks|thank you)\b[,!.]?\s*",
    re.IGNORECASE,
)
SMALL = re.compile(r"\b(?:the|a|an|do|does|is|are|i|my|your|that|to|of)\b\s*", re.IGNORECASE)
STORIES = (
    "It was late when Mira opened her laptop and typed: {} She waited for an answer.",
    "Two friends sat on a bench. One of them asked the other: {} The other thought about it for a while.",
    "I had a long day. First the meeting, then the traffic. And on the way home I kept wondering: {} Now I ask you.",
    "At dinner the talk came to many things, to football and the weather, and at last somebody said: {}",
)


@augmenters.register("retelling")
@dataclass(frozen=True)
class Retelling(Rule):
    """Tell it in as few words as possible, or inside a small story; label kept. Needs no model."""

    terse: float = 0.5  # share that is shortened; the rest becomes a story

    def rewrite(self, text: str, chance: random.Random) -> str | None:
        if chance.random() >= self.terse:
            return chance.choice(STORIES).format(closed(text))
        short = SMALL.sub("", POLITE.sub("", text)).strip(" ,.?!").lower()
        return short if len(short.split()) >= 3 and short != text.lower() else None
