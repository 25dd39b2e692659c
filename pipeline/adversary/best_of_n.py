from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass

from pipeline import prompts
from pipeline.adversary import methods
from pipeline.adversary.hunt import Hunt
from pipeline.context import silent
from pipeline.generators import Generator, Prompt
from pipeline.records import Example


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

    def attack(self, hunt: Hunt) -> None:
        """Search until enough is found or the candidates are used up."""
        self.search(hunt, hunt.generator)

    def search(self, hunt: Hunt, generator: Generator) -> None:
        """Search with a generator, from the first batch that is not in the archive."""
        model, total = generator.digest(), max(1, math.ceil(self.candidates / self.batch))
        for number in range(hunt.archive.done("sampling") + 1, total + 1):
            if hunt.found >= hunt.wanted:
                return
            seeds = self.turn(hunt.seeds, number - 1)
            answers = generator.generate([self.prompt(seed) for seed in seeds], mix(hunt.seed, number), silent)
            hunt.grade(answers, seeds, model)
            hunt.step("sampling", number, total, {"kl": 0.0} if generator is hunt.generator else {})

    def turn(self, seeds: Sequence[Example], number: int) -> list[Example]:
        """The seeds of a batch, each `copies` times; after the last seed comes the first again."""
        each = max(1, self.batch // self.copies)
        return [seeds[(number * each + at) % len(seeds)] for at in range(each) for _ in range(self.copies)]

    def prompt(self, seed: Example) -> Prompt:
        """What the generator continues."""
        text = prompts.load(self.version).render(seed.text)
        return Prompt(text, max_new_tokens=self.max_new_tokens, temperature=self.temperature)


def mix(seed: int, number: int) -> int:
    """A seed for one batch: the same in every process, so that a restart repeats it."""
    return int.from_bytes(hashlib.sha256(f"{seed}:{number}".encode()).digest()[:4], "big")
