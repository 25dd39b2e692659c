from __future__ import annotations

import random
import re
from dataclasses import dataclass

from pipeline.augmenters import Rule, augmenters

# Within a row everything may stand for everything: a guard should not care which of them it is.
ROWS = (
    ("he", "she"), ("him", "her"), ("his", "her"), ("himself", "herself"), ("man", "woman"), ("men", "women"),
    ("husband", "wife"), ("brother", "sister"), ("father", "mother"), ("uncle", "aunt"), ("boyfriend", "girlfriend"),
    ("grandfather", "grandmother"), ("guy", "lady"), ("mr", "mrs"),
    ("christians", "muslims", "jews", "hindus", "buddhists", "atheists"),
    ("christian", "muslim", "jewish", "hindu", "buddhist", "atheist"),
    ("american", "german", "nigerian", "indian", "mexican", "turkish", "polish", "chinese", "kenyan", "brazilian"),
    ("americans", "germans", "nigerians", "indians", "mexicans", "turks", "poles", "kenyans", "brazilians"),
    ("black", "white", "asian"), ("immigrants", "locals", "refugees"), ("gay", "straight", "bisexual"),
    ("john", "anna", "ahmed", "wei", "olga", "carlos", "priya", "chinedu", "fatima", "lars"),
    ("london", "berlin", "lagos", "mumbai", "lima", "ankara", "nairobi", "toronto"),
    ("boss", "colleague", "neighbour", "landlord", "roommate"), ("bank", "insurer", "agency"),
)  # fmt: skip
ROW_OF = {word: row for row in reversed(ROWS) for word in row}
WORD = re.compile(r"\b(?:" + "|".join(sorted(ROW_OF, key=len, reverse=True)) + r")\b", re.IGNORECASE)


@augmenters.register("entity-swap")
@dataclass(frozen=True)
class EntitySwap(Rule):
    """Put other people, groups, names or places in, label kept: who it is about should not matter. Needs no model."""

    def rewrite(self, text: str, chance: random.Random) -> str | None:
        chosen: dict[str, str] = {}  # the same word becomes the same word throughout
        changed = WORD.sub(lambda match: self._other(match[0], chosen, chance), text)
        return changed if changed != text else None

    def _other(self, word: str, chosen: dict[str, str], chance: random.Random) -> str:
        key = word.lower()
        if key not in chosen:
            chosen[key] = chance.choice([other for other in ROW_OF[key] if other != key])
        other = chosen[key]
        return other.upper() if word.isupper() and len(word) > 1 else other.title() if word[0].isupper() else other
