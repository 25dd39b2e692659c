"""Where text comes from. A generator is a frozen dataclass with `generate(prompts, seed, report)` and `digest()`.

It answers each prompt with a text, or with None where it has nothing to say: a refusal, garbage, a time-out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from classifier.runfolder import Report
from pipeline.registry import Registry

generators = Registry("pipeline.generators")


@dataclass(frozen=True)
class Prompt:
    """What a generator is asked: a few-shot text that breaks off where the answer begins."""

    text: str
    max_new_tokens: int = 40  # messages are short; a rambling answer is cut, and then thrown away by its length
    temperature: float = 0.7


class Generator(Protocol):
    def generate(self, prompts: Sequence[Prompt], seed: int, report: Report, /) -> list[str | None]: ...

    def digest(self) -> str: ...


def load(entry: dict[str, object] | None) -> Generator:
    """The generator of a recipe's entry `{"key", "settings"}`."""
    entry = entry or {"key": "local"}
    settings = entry.get("settings") or {}
    assert isinstance(settings, dict)
    generator: Generator = generators.make(str(entry["key"]), settings)
    return generator
