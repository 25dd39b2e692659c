from __future__ import annotations

import random
import re
from dataclasses import asdict, dataclass
from typing import ClassVar

from pipeline import prompts
from pipeline.augmenters import Written
from pipeline.cleaning import clean
from pipeline.generators import Prompt
from pipeline.paraphrasers import paraphrasers
from pipeline.records import Example

WHOLE = 300  # characters of a text that is rewritten as a whole, and of the longest passage
LONGEST = 2000  # of one whose passage is: in a longer one a passage changes too little to tell the two apart
SHORTEST = 0.15  # of a text: what changes less is a near-duplicate
MOST = 0.6  # of a shorter text: a passage that leaves something as it is
SHORT, SHORT_ROOM, LONG_ROOM = 160, 40, 90  # characters, tokens: two rooms alone, as only like prompts share a batch
SENTENCE = re.compile(r"\S.*?(?:[.!?][\"')\]]*(?=\s)|$)", re.MULTILINE)


@paraphrasers.register("paraphrase")
@dataclass(frozen=True)
class Paraphrase:
    """Say the same in other words, label kept; of a text longer than a paragraph only a passage.

    What the generator cannot say again as a whole it often can in part, so after the first time a text is asked for by
    passages, another one each time.
    """

    temperature: float = 0.6  # 0.3 copies more, 0.9 loses the meaning of half of them
    tries: int = 2
    rounds: int = 5  # only what none of the answers has fitted is asked again
    passages: bool = True  # whether texts of more than 300 characters are rewritten too, some sentences of each
    band: ClassVar = (0.5, 0.95)
    whole: ClassVar = WHOLE
    version: str = "paraphrase.v2"

    def applies(self, example: Example) -> bool:
        size = len(example.text)
        return size <= WHOLE or (self.passages and size <= LONGEST and bool(passages(example.text)))

    def after_failure(self) -> Paraphrase:
        return OfPassage(**asdict(self)) if self.passages else self

    def prompt(self, example: Example, chance: random.Random) -> Prompt:
        start, end = chosen(example.text, self.whole, chance)
        text = example.text[start:end]
        room = SHORT_ROOM if len(text) <= SHORT else LONG_ROOM
        return Prompt(prompts.load(self.version).render(text), room, self.temperature)

    def draft(self, example: Example, answer: str, chance: random.Random) -> Written | None:
        start, end = chosen(example.text, self.whole, chance)
        text = clean(answer)
        if not text:
            return None
        whole = f"{example.text[:start]}{text}{example.text[end:]}"
        return Written(whole, example.label, example.categories)

    def prompt_reference(self) -> str:
        return prompts.load(self.version).reference


@dataclass(frozen=True)
class OfPassage(Paraphrase):
    """The same of a passage of every text that has one."""

    whole: ClassVar = 0


def chosen(text: str, whole: int, chance: random.Random) -> tuple[int, int]:
    """Where the part begins and ends that is rewritten: all of a short text, a random passage of a long one."""
    runs = passages(text) if len(text) > whole else []
    return chance.choice(runs) if runs else (0, len(text))


def passages(text: str) -> list[tuple[int, int]]:
    """The runs of whole sentences that are as long as can be rewritten at once, one from each sentence on."""
    spans = [found.span() for found in SENTENCE.finditer(text)]
    shortest, longest = SHORTEST * len(text), WHOLE if len(text) > WHOLE else MOST * len(text)
    runs = []
    for at, (start, _) in enumerate(spans):
        ends = [end for _, end in spans[at:] if end - start <= longest]
        if ends and ends[-1] - start >= shortest:
            runs.append((start, ends[-1]))
    return runs
