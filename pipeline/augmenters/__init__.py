"""Stages that write a new example from one that is there. Paraphrasers are of the same make.

A stage is a frozen dataclass with three methods, so that the program can ask the generator for many at once:
`applies(example)`, `prompt(example, chance)` (a `Prompt`, or None for a stage that needs no model) and
`draft(example, answer, chance)`, which returns a `Written` or None where the answer is unusable.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import ClassVar, Protocol, runtime_checkable

from pipeline.generators import Prompt
from pipeline.records import Example, Label
from pipeline.registry import Registry

augmenters = Registry("pipeline.augmenters")


@dataclass(frozen=True)
class Written:
    """What a stage made: the text and what it is labelled."""

    text: str
    label: Label
    categories: tuple[str, ...]


class Stage(Protocol):
    tries: int  # answers asked for per example; the likest to it is taken
    rounds: int  # times that these are asked for at most: again only where none was inside the band
    band: tuple[float, float]  # of that likeness (cosine): what is nearer is a copy, what is farther is another subject

    def applies(self, example: Example, /) -> bool: ...

    def prompt(self, example: Example, chance: random.Random, /) -> Prompt | None: ...

    def draft(self, example: Example, answer: str, chance: random.Random, /) -> Written | None: ...

    def prompt_reference(self) -> str: ...


@runtime_checkable
class TwoTurns(Protocol):
    """A stage that asks once more, about an answer; `draft` then gets the second one."""

    def again(self, answer: str, /) -> Prompt | None: ...


@runtime_checkable
class Persists(Protocol):
    """A stage that asks otherwise where nothing fitted that it was told the first time."""

    def after_failure(self) -> Stage: ...


class Rule:
    """A stage that needs no model: a subclass says in `rewrite` what becomes of a text. Label and categories stay."""

    tries: ClassVar = 1
    rounds: ClassVar = 1
    band: ClassVar = (0.0, 1.0)

    def applies(self, example: Example) -> bool:
        return len(example.text.split()) >= 3

    def prompt(self, example: Example, chance: random.Random) -> None:
        return None

    def draft(self, example: Example, answer: str, chance: random.Random) -> Written | None:
        text = self.rewrite(example.text.strip(), chance)
        return Written(text, example.label, example.categories) if text else None

    def rewrite(self, text: str, chance: random.Random) -> str | None:
        """The new text, or None where the rule has nothing to do."""
        raise NotImplementedError

    def prompt_reference(self) -> str:
        return ""


def closed(text: str) -> str:
    """A text that ends like a sentence, so that another one can follow it."""
    return text if text[-1] in ".!?" else f"{text}."


def listed(names: str) -> list[str]:
    """The names in a setting such as `question, remark`."""
    return [name.strip() for name in names.split(",") if name.strip()]
