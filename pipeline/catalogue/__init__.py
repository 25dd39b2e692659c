"""Contrast pairs: short texts whose labels are known by the way they are built, written by us, by topic.

A pair is a harmful text and a harmless one with the same surface: the same question about another act, the same remark
with another meaning. What a guard says of both shows whether it reads what is meant or only the words (contrast sets,
Gardner et al. 2020). One file a topic: `acts` are asked for in one of the shared `frames`, `lines` stand alone,
`harmless` ones have no harmful twin; `{name}` is filled from the topic's `slots`. Nothing in it tells how harm is done,
and no topic touches what may never be generated.
"""

from __future__ import annotations

import hashlib
import random
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from importlib import resources
from typing import Any

FRAMES = "frames.toml"
SLOT = re.compile(r"\{(\w+)\}")
# How surely a policy's category is a topic's: by its own key, or by what others call both.
NAMES = ("openai", "llama_guard", "aegis", "key")
LANGUAGE = "en"


@dataclass(frozen=True, slots=True)
class Pair:
    """Texts of one template: a harmful one and its harmless twin, or a harmless one alone."""

    topic: str
    number: int  # of the template in its topic, from 0
    unsafe: str | None
    safe: str

    @property
    def family(self) -> str:
        """The same for all that one template gives: texts that are so alike stay in one split."""
        return f"{self.topic}:{self.number}"


@dataclass(frozen=True)
class Topic:
    """One file of the catalogue."""

    key: str
    name: str
    crosswalk: Mapping[str, str] = field(default_factory=dict)
    acts: Sequence[tuple[str, str]] = ()
    lines: Sequence[tuple[str, str]] = ()
    harmless: Sequence[str] = ()
    slots: Mapping[str, Sequence[str]] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.acts) + len(self.lines) + len(self.harmless)

    @property
    def harmful(self) -> bool:
        """Whether it has texts that a policy may call unsafe."""
        return bool(self.acts or self.lines)

    def pairs(self, frames: Sequence[str], seed: int) -> Iterator[Pair]:
        """One pair of each template, its frame and slots drawn by `seed`."""
        for number, (unsafe, safe) in enumerate([*self.acts, *self.lines, *(("", one) for one in self.harmless)]):
            chance = random.Random(f"{seed}:{self.key}:{number}")
            frame = chance.choice(frames) if number < len(self.acts) else "{act}"
            filled = {name: chance.choice(words) for name, words in self.slots.items()}
            one, other = (_fill(frame.replace("{act}", text), filled) for text in (unsafe, safe))
            yield Pair(self.key, number, one if unsafe else None, other)


def _fill(text: str, words: Mapping[str, str]) -> str:
    return SLOT.sub(lambda slot: words[slot[1]], text)


@lru_cache(maxsize=1)
def topics() -> tuple[Topic, ...]:
    """Every topic, by key."""
    files = sorted((one for one in _files() if one.name != FRAMES), key=lambda one: one.name)
    return tuple(Topic(one.name.removesuffix(".toml"), **tomllib.loads(one.read_text("utf-8"))) for one in files)


@lru_cache(maxsize=1)
def frames() -> tuple[str, ...]:
    """How an act is asked for."""
    return tuple(tomllib.loads(resources.files(__name__).joinpath(FRAMES).read_text("utf-8"))["frames"])


@lru_cache(maxsize=1)
def reference() -> str:
    """Name and digest of the catalogue, for the lineage of what comes of it."""
    digest = hashlib.sha256(b"".join(one.read_bytes() for one in sorted(_files(), key=lambda one: one.name)))
    return f"catalogue@{digest.hexdigest()[:12]}"


def _files() -> list[Any]:
    return [one for one in resources.files(__name__).iterdir() if one.name.endswith(".toml")]


def categories(policy: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Which of a policy's categories each topic is of, by the key of the topic; a topic of none is not in it.

    `policy` holds a mapping with `key` and `crosswalk` for each category. A category may carry a name that several
    topics share (all crime is "illicit" to some); then only those whose match is the best for it are of it.
    """
    best: dict[str, tuple[int, str]] = {}
    strongest: dict[str, int] = {}
    for topic in topics():
        for category in policy if topic.harmful else ():
            strength = _likeness(topic, category)
            key = str(category["key"])
            strongest[key] = max(strongest.get(key, 0), strength)
            if strength > best.get(topic.key, (0, ""))[0]:
                best[topic.key] = strength, key
    return {topic: key for topic, (strength, key) in best.items() if strength == strongest[key]}


def _likeness(topic: Topic, category: Mapping[str, Any]) -> int:
    """0 for nothing in common, else 1 + the place in `NAMES` of the surest name that both bear."""
    ours = {**topic.crosswalk, "key": topic.key}
    theirs = {**(category.get("crosswalk") or {}), "key": category["key"]}
    same = [at for at, name in enumerate(NAMES, 1) if ours.get(name) and ours[name] == theirs.get(name)]
    return max(same, default=0)


def pairs(seed: int, only: Mapping[str, str] | None = None) -> list[Pair]:
    """One pair of every template, drawn by `seed`.

    `only` are the topics that a policy calls harm, as `categories` gives them; without it all are.
    """
    wanted = [topic for topic in topics() if only is None or not topic.harmful or topic.key in only]
    return [pair for topic in wanted for pair in topic.pairs(frames(), seed)]
