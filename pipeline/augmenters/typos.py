from __future__ import annotations

import random
from dataclasses import dataclass

from classifier import attacks
from pipeline.augmenters import Rule, augmenters


@augmenters.register("typos")
@dataclass(frozen=True)
class Typos(Rule):
    """Type carelessly: letters swapped, dropped or doubled, label kept. Needs no model."""

    passes: int = 1  # each hits about one word in seven

    def rewrite(self, text: str, chance: random.Random) -> str | None:
        changed = text
        for _ in range(max(1, self.passes)):
            changed = attacks.typos(changed, chance)
        return changed if changed != text else None
