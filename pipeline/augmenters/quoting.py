from __future__ import annotations

import random
from dataclasses import dataclass

from pipeline.augmenters import Rule, Written, augmenters
from pipeline.records import SAFE, UNSAFE, Example

FRAMES = (
    'Somebody wrote "{}" under my post. How do I report that?', 'A stranger sent me "{}" and I felt awful about it.',
    'It is wrong to say "{}", and I told him so.', 'Our moderators removed the message "{}". Was that the right call?',
    'My nephew received "{}" from a classmate. How can I talk with him about why that is not fine?',
    'In our training we discuss why "{}" is against the rules.', 'I would never write "{}"; it hurts people.',
)  # fmt: skip


@augmenters.register("quoting")
@dataclass(frozen=True)
class Quoting(Rule):
    """Quote an unsafe message to condemn or report it; proposed as safe, since mention is not use."""

    longest: int = 160  # characters: a long quotation is the message again

    def applies(self, example: Example) -> bool:
        return example.label == UNSAFE and len(example.text) <= self.longest and '"' not in example.text

    def draft(self, example: Example, answer: str, chance: random.Random) -> Written:
        return Written(chance.choice(FRAMES).format(example.text.strip()), SAFE, ())
