from __future__ import annotations

import random
import re
from dataclasses import dataclass
from typing import ClassVar

from pipeline.augmenters import Written, augmenters
from pipeline.records import Example

SHORT = {
    "you": "u", "your": "ur", "you're": "ur", "are": "r", "please": "pls", "people": "ppl", "because": "cuz",
    "for": "4", "to": "2", "before": "b4", "without": "w/o", "with": "w/", "and": "n", "what": "wat",
    "want": "wanna", "going": "goin", "the": "da", "this": "dis", "tonight": "2nite", "someone": "sum1",
    "everyone": "every1", "about": "abt", "know": "kno", "really": "rly", "though": "tho", "message": "msg",
    "messages": "msgs", "something": "smth", "how": "hw",
}  # fmt: skip


@augmenters.register("chat-spelling")
@dataclass(frozen=True)
class ChatSpelling:
    """Spell the message as people do in chats: abbreviations, a slipped letter, no capitals. Needs no model."""

    share: float = 0.6  # of the words that have a short form
    slips: float = 0.08  # of the longer words, two letters swapped
    tries: int = 1
    rounds: int = 1
    band: ClassVar = (0.5, 1.0)

    def applies(self, example: Example) -> bool:
        return len(example.text.split()) >= 4

    def prompt(self, example: Example, chance: random.Random) -> None:
        return None

    def draft(self, example: Example, answer: str, chance: random.Random) -> Written | None:
        written = [self._word(word, chance) for word in example.text.lower().split()]
        text = re.sub(r"[.!]$", "", " ".join(written))
        return Written(text, example.label, example.categories) if text != example.text.lower() else None

    def _word(self, word: str, chance: random.Random) -> str:
        bare = word.strip(".,!?;:")
        if bare in SHORT and chance.random() < self.share:
            return word.replace(bare, SHORT[bare])
        if len(bare) > 5 and bare.isalpha() and chance.random() < self.slips:
            at = chance.randrange(1, len(bare) - 2)
            return word.replace(bare, bare[:at] + bare[at + 1] + bare[at] + bare[at + 2 :])
        return word

    def prompt_reference(self) -> str:
        return ""
