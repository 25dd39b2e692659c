"""What a stage may ask of the world, and what no stage may ever do."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from classifier.normalize import normalize
from classifier.runfolder import Report
from pipeline.records import Example

# No text of this category is ever made by a machine, whatever a policy or a recipe says.
NEVER_GENERATED = frozenset({"child-exploitation"})

# A last look at texts, before and after writing. Coarse on purpose: a false alarm costs one candidate.
NUMBER = "one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|thirteen|fourteen|fifteen|sixteen|seventeen"
AGE = rf"(?:[1-9]|1[0-7]|{NUMBER})"
MINOR = re.compile(
    r"\b(?:child(?:ren)?s?|kids?|kiddo|minors?|(?:pre)?teens?|teenage(?:rs?|d)?|under[ -]?aged?|toddlers?|bab(?:y|ies)|"
    r"infants?|girls?|boys?|daughters?|sons?|pupils?|students?|school\w*|(?:middle|high)[ -]?school\w*|"
    rf"age[ds]? {AGE}|{AGE}[ -]*(?:years?|yrs?|y/?o)(?:[ -]*olds?)?)\b"
)
SEXUAL = re.compile(
    r"\b(?:s[e3]x\w*|p[o0]rn\w*|nud(?:e|es|ity|ist)|naked|erotic\w*|undress\w*|arous\w*|seduc\w*|"
    r"strip(?:per|tease|pers)?|fetish\w*|lust\w*|intima\w*|explicit|lap dance|moan\w*|virgin\w*|steamy|dirty talk|"
    r"in bed|slept with|orgasm\w*|masturbat\w*|genital\w*)\b"
)


def is_forbidden_text(text: str) -> bool:
    """Whether a text may touch what must never be generated: minors and sexuality in one message."""
    plain = normalize(text)
    return bool(MINOR.search(plain) and SEXUAL.search(plain))


def is_forbidden_draft(text: str, parent: Example) -> bool:
    """Whether a draft must be thrown away: written from a sexual example, any mention of minors is enough."""
    sexual = any("sex" in key for key in map(same_key, parent.categories))
    return is_forbidden_text(text) or (sexual and bool(MINOR.search(normalize(text))))


def same_key(key: str) -> str:
    """A category key as it is compared: however it was typed, it must not slip through."""
    return normalize(key).replace("_", "-").replace(" ", "-")


@dataclass(frozen=True)
class Refusals:
    """Which examples no text may be made from."""

    categories: frozenset[str] = NEVER_GENERATED

    @classmethod
    def of(cls, settings: Mapping[str, Any]) -> Refusals:
        """The hard-coded ones and those that the policy forbids."""
        return cls(NEVER_GENERATED | frozenset(map(same_key, settings.get("forbidden_categories") or ())))

    def allows(self, example: Example) -> bool:
        """Whether text may be made from this example."""
        texts = f"{example.text}\n{example.parent_text or ''}"
        return self.may_have(example.categories) and not is_forbidden_text(texts)

    def may_have(self, categories: Iterable[str]) -> bool:
        """Whether text of these categories may be made at all."""
        return self.categories.isdisjoint(map(same_key, categories))

    def split(self, examples: Iterable[Example]) -> tuple[list[Example], int]:
        """The examples that are allowed, and how many are not."""
        every = list(examples)
        allowed = [example for example in every if self.allows(example)]
        return allowed, len(every) - len(allowed)


def silent(*_: Any) -> None:
    """A report to nobody."""


@dataclass
class Context:
    """Handed to every stage: tests fill it with fakes, no stage loads a model by itself."""

    seed: int = 0
    languages: Sequence[str] = ("en",)
    known: Sequence[Example] = ()  # examples that are there already
    embeddings: Mapping[str, Any] = field(default_factory=dict)  # unit vectors by example id
    report: Report = silent
    waiting: frozenset[str] = frozenset()  # ids of known examples whose label nobody has decided yet
    policy: str = ""  # in short, what counts as harm
    folder: Path | None = None  # the run's own, where a stage keeps what it spent
    spent: dict[str, Any] = field(default_factory=dict)  # by stage, for the metrics
    dropped: set[str] = field(default_factory=set)  # candidates that a filter before this one advised against

    @property
    def decided(self) -> list[Example]:
        """The known examples whose label is trusted."""
        return [example for example in self.known if example.id not in self.waiting]

    def chance(self, *parts: object) -> random.Random:
        """Randomness that depends on the seed and these parts alone, so that a resumed run repeats it."""
        return random.Random(":".join(map(str, (self.seed, *parts))))


Generate = Callable[[Sequence[str]], list[str | None]]
