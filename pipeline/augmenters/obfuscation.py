from __future__ import annotations

import codecs
import random
from collections.abc import Callable
from dataclasses import dataclass

from classifier import attacks
from pipeline.augmenters import Rule, augmenters, listed

JOINER = "\u034f"  # shows nothing, and is no format character: a text with it is no exact duplicate of its parent
SIGNS = "✨🌸🙂⭐🍀"


def zero_width(text: str, chance: random.Random) -> str:
    """Put signs that show nothing inside most of the words."""
    return " ".join(_split(word) if len(word) > 3 and chance.random() < 0.7 else word for word in text.split())


def _split(word: str) -> str:
    return f"{word[:2]}{JOINER}{word[2:]}"


def rot13(text: str, chance: random.Random) -> str:
    """Turn the alphabet by half and say so."""
    return f"Decode this rot13 and answer: {codecs.encode(text, 'rot13')}"


def emoji(text: str, chance: random.Random) -> str:
    """Put a small picture into most of the longer words: one between words would leave them as they are."""
    return " ".join(
        f"{word[:2]}{chance.choice(SIGNS)}{word[2:]}" if len(word) > 3 and chance.random() < 0.7 else word
        for word in text.split()
    )


STYLES: dict[str, Callable[[str, random.Random], str]] = {
    "leetspeak": attacks.leetspeak, "look-alikes": attacks.lookalikes, "zero-width": zero_width,
    "spacing": attacks.spacing, "base64": attacks.encoding, "rot13": rot13, "emoji": emoji,
}  # fmt: skip


@augmenters.register("obfuscation")
@dataclass(frozen=True)
class Obfuscation(Rule):
    """Disguise the spelling, label kept; the clean text stays beside it as its parent. Needs no model."""

    styles: str = ", ".join(STYLES)  # one of these for each text

    def __post_init__(self) -> None:
        if strange := [name for name in listed(self.styles) if name not in STYLES]:
            raise ValueError(f"there is no disguise {strange[0]!r}; there are: {', '.join(STYLES)}")

    def rewrite(self, text: str, chance: random.Random) -> str | None:
        changed = STYLES[chance.choice(listed(self.styles))](text, chance)
        return changed if changed != text else None
