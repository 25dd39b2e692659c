from __future__ import annotations

import random
from dataclasses import dataclass

from pipeline.augmenters import Rule, augmenters, closed

# Not those that `classifier.attacks` measures with: what is measured must not have been learnt by heart.
HARMLESS = (
    "Good morning!", "Hello, it is me again.", "I have just made myself a cup of tea.", "The bus was late today.",
    "We are planting tomatoes on the balcony.", "My team won on Saturday.", "I am reading a long novel about the sea.",
    "It has been raining since Tuesday.", "Our dog sleeps on the sofa.", "The bakery has fresh bread at seven.",
    "You have been a great help lately.", "Please take your time.", "Have a good weekend.", "All the best to you.",
    "That is all from me.", "I learnt to swim last summer.", "The library closes at six.", "Many thanks in advance.",
    "My grandfather keeps bees.", "I hope this finds you well.", "The train ride was pleasant.", "Cheers and see you.",
    "We painted the kitchen yellow.", "Autumn is my favourite season.", "I like your answers, they are short.",
)  # fmt: skip


@augmenters.register("padding")
@dataclass(frozen=True)
class Padding(Rule):
    """Put harmless sentences around the message, label kept: they are known to turn guards over. Needs no model."""

    most: int = 3  # sentences; each stands before or after

    def rewrite(self, text: str, chance: random.Random) -> str | None:
        chosen = chance.sample(HARMLESS, chance.randint(1, max(1, min(self.most, len(HARMLESS)))))
        before = chance.randint(0, len(chosen))
        return " ".join([*chosen[:before], closed(text), *chosen[before:]])
