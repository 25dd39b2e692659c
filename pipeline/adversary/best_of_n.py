from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from typing import Any, TypeVar

from pipeline import prompts
from pipeline.adversary import methods
from pipeline.adversary.archive import Find
from pipeline.adversary.hunt import Hunt
from pipeline.context import silent
from pipeline.generators import Generator, Prompt
from pipeline.records import Example

S = TypeVar("S")


@dataclass(frozen=True, slots=True)
class Parent:
    """What a batch is written from: a seed, or an earlier find that claims the seed's label."""

    seed: Example
    find: Find | None = None

    @property
    def text(self) -> str:
        return self.find.text if self.find else self.seed.text

    @property
    def digest(self) -> str:
        """The find's, as the archive records it; empty for a seed, which has an id."""
        return hashlib.sha256(self.find.text.encode()).hexdigest()[:16] if self.find else ""


@methods.register("best-of-n")
@dataclass(frozen=True)
class BestOfN:
    """Write many rewrites of the seeds nearest the guard's boundary and keep what it gets wrong; nothing is trained."""

    candidates: int = 768  # at most, in all: 0.25 s each for the packaged model on two cores
    copies: int = 8  # rewrites of a seed before the next one is taken
    batch: int = 64  # candidates between two reports
    max_new_tokens: int = 32  # longer than nine in ten of the demo seeds
    temperature: float = 0.7  # 0.3 copies, 1.0 loses the meaning
    version: str = "adversary.v1"

    @classmethod
    def of(cls, method: Any) -> BestOfN:
        """The search of a method that has the same settings among its own."""
        return cls(**{one.name: getattr(method, one.name) for one in fields(cls)})

    def attack(self, hunt: Hunt) -> None:
        """Search until enough is found, or candidates or budget are used up."""
        self.search(hunt, hunt.generator)

    def asks(self) -> int:
        """Candidates in whole batches."""
        return self.batches * len(self.turn([0], 0))

    @property
    def batches(self) -> int:
        return max(1, math.ceil(self.candidates / self.batch))

    def search(self, hunt: Hunt, generator: Generator) -> None:
        """Search with a generator, from the first batch that is not in the archive."""
        self.write(hunt, generator, lambda number: [Parent(seed) for seed in self.turn(hunt.seeds, number - 1)])

    def write(self, hunt: Hunt, generator: Generator, chosen: Callable[[int], Sequence[Parent] | str]) -> None:
        """Write one batch after another from what is chosen for it; a text instead of parents says why to stop."""
        hunt.figures["stopped"] = self._write(hunt, generator, chosen)

    def _write(self, hunt: Hunt, generator: Generator, chosen: Callable[[int], Sequence[Parent] | str]) -> str:
        model, total = generator.digest(), self.batches
        for number in range(hunt.archive.done("sampling") + 1, total + 1):
            parents = hunt.over or chosen(number)
            if isinstance(parents, str):
                return parents
            answers = generator.generate([self.prompt(one) for one in parents], mix(hunt.seed, number), silent)
            hunt.grade(answers, [one.seed for one in parents], model, [one.digest for one in parents])
            hunt.step("sampling", number, total, {"kl": 0.0} if generator is hunt.generator else {})
        return hunt.over or "the candidates are used up"

    def turn(self, seeds: Sequence[S], number: int) -> list[S]:
        """The seeds of a batch, each `copies` times; after the last seed comes the first again."""
        each = max(1, self.batch // self.copies)
        return [seeds[(number * each + at) % len(seeds)] for at in range(each) for _ in range(self.copies)]

    def prompt(self, source: Example | Parent) -> Prompt:
        """What the generator continues."""
        text = prompts.load(self.version).render(source.text)
        return Prompt(text, max_new_tokens=self.max_new_tokens, temperature=self.temperature)


def mix(seed: int, number: int) -> int:
    """A seed for one batch: the same in every process, so that a restart repeats it."""
    return int.from_bytes(hashlib.sha256(f"{seed}:{number}".encode()).digest()[:4], "big")
