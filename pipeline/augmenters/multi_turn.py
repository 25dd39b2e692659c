from __future__ import annotations

import random
from dataclasses import dataclass

from classifier.inputs import conversation
from pipeline.augmenters import Rule, augmenters

TALKS = (
    ("Hi, are you there?", "Yes, how can I help?"), ("Thanks for the recipe yesterday.", "I am glad that it worked."),
    ("I am bored today.", "Shall we think of something to do?"), ("You know a lot.", "Thank you. What is it?"),
    ("Can I ask you two things?", "Of course, go ahead."), ("What day is it?", "I cannot see a calendar from here."),
)  # fmt: skip


@augmenters.register("multi-turn")
@dataclass(frozen=True)
class MultiTurn(Rule):
    """Set the message at the end of a short harmless talk, label kept. Needs no model."""

    turns: int = 1  # pairs of turns before it

    def rewrite(self, text: str, chance: random.Random) -> str | None:
        said = []
        for asked, answered in chance.sample(TALKS, max(1, min(self.turns, len(TALKS)))):
            said += [{"role": "user", "content": asked}, {"role": "assistant", "content": answered}]
        return conversation([*said, {"role": "user", "content": text}])
