"""Where text comes from. A generator is a frozen dataclass with `generate(prompts, seed, report)` and `digest()`.

It answers each prompt with a text, or with None where it has nothing to say: a refusal, garbage, a time-out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from classifier.runfolder import ProgramError, Report
from pipeline.meter import Meter
from pipeline.registry import Registry, UnknownStage

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


@runtime_checkable
class Paid(Protocol):
    """A generator whose answers cost something: it is asked through a meter."""

    def meter(self, file: Path | None = None) -> Meter: ...

    def metered(self, meter: Meter) -> Generator: ...


def load(entry: Mapping[str, Any] | None) -> Generator:
    """The generator of a recipe's entry `{"key", "settings"}`.

    Raises:
        ProgramError: there is no such generator, or it cannot have such settings.
    """
    entry = entry or {"key": "local"}
    try:
        generator: Generator = generators.make(str(entry["key"]), entry.get("settings"))
    except (UnknownStage, KeyError, TypeError, ValueError) as error:
        raise ProgramError(f"The recipe's generator cannot be used: {error}", "Correct the recipe.") from None
    return generator


def opened(entry: Mapping[str, Any] | None, folder: Path) -> tuple[Generator, Meter]:
    """The generator of a recipe's entry, and the meter of the run in this folder, which counts on from before."""
    generator = load(entry)
    if not isinstance(generator, Paid):
        return generator, Meter()
    meter = generator.meter(folder / "spent.jsonl")
    return generator.metered(meter), meter
