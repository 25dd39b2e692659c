"""What a run uses of an endpoint: calls, tokens, money, and whether it may go on."""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

CHARACTERS = 4  # of a token, where nobody counted: English text under the usual vocabularies
COUNTED = ("calls", "retries", "refusals", "unanswered", "prompt_tokens", "completion_tokens", "estimated")


def estimated_tokens(text: str) -> int:
    """Tokens of a text whose tokenizer is not here."""
    return -(-len(text) // CHARACTERS)


@dataclass(frozen=True)
class Tariff:
    """What tokens cost, and how much of them a run may use; 0 is unknown, or no bound."""

    price_in: float = 0.0  # for a million tokens read
    price_out: float = 0.0  # for a million tokens written
    budget: float = 0.0
    most_tokens: int = 0

    def cost(self, prompt_tokens: float, completion_tokens: float) -> float:
        """In the currency of the prices."""
        return (prompt_tokens * self.price_in + completion_tokens * self.price_out) / 1e6


class Meter:
    """Counts what requests used, over all attempts at a run: each is a line of a file, written when it was answered.

    A run that was killed and goes on asks some prompts again; these requests are counted again, as they are paid again.
    """

    def __init__(self, tariff: Tariff | None = None, file: Path | None = None) -> None:
        self.tariff, self._file = tariff or Tariff(), file
        self.used: Counter[str] = Counter()
        self._turn = threading.Lock()
        for line in _lines(file):
            self.used.update(line)

    def add(self, used: Mapping[str, int]) -> None:
        """Count one request. May be called from several threads."""
        line = {name: number for name, number in used.items() if number}
        with self._turn:
            self.used.update(line)
            if self._file:
                with self._file.open("a", encoding="utf-8") as file:
                    file.write(f"\n{json.dumps(line)}")  # the break comes first: a torn line spoils no other

    @property
    def cost(self) -> float:
        return self.tariff.cost(self.used["prompt_tokens"], self.used["completion_tokens"])

    @property
    def stop(self) -> str:
        """Why no further request may be sent; empty while one may."""
        bounds, tokens = self.tariff, self.used["prompt_tokens"] + self.used["completion_tokens"]
        if bounds.budget and self.cost >= bounds.budget:
            return f"The budget of {bounds.budget:g} is used up"
        if bounds.most_tokens and tokens >= bounds.most_tokens:
            return f"The {bounds.most_tokens:,} tokens of this run are used up"
        return ""

    def figures(self) -> dict[str, Any]:
        """For `metrics.json`; nothing where nothing was asked. `estimated` requests came without a count of tokens."""
        if not self.used:
            return {}
        return {**{name: self.used[name] for name in COUNTED}, "cost": round(self.cost, 6), "stop": self.stop}


def _lines(file: Path | None) -> Iterator[dict[str, int]]:
    for line in file.read_text(encoding="utf-8").splitlines() if file and file.exists() else ():
        try:
            yield dict(json.loads(line))
        except ValueError:
            continue  # empty, or torn by a crash
