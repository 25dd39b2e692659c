from __future__ import annotations

import random
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import takewhile

from pipeline.adversary import at_least, methods
from pipeline.adversary.archive import Find, Step
from pipeline.adversary.best_of_n import BestOfN, Parent, mix
from pipeline.adversary.hunt import Hunt
from pipeline.adversary.styles import LENGTHS, STYLES, length, style
from pipeline.generators import Prompt
from pipeline.records import Example


@methods.register("map-elites")
@dataclass(frozen=True)
class MapElites:
    """Search cell by cell (category, style, length) by rewriting each cell's best find; nothing is trained.

    A cell without a find is written from its seeds. What a text belongs to, which find is a cell's best and which cells
    are solved follows from the archive alone, so that a restart goes on as if nothing had happened.
    """

    candidates: int = 768  # at most, in all: 0.25 s each for the packaged model on two cores
    copies: int = 8  # rewrites of a parent before the next cell has its turn
    batch: int = 64  # candidates between two reports
    enough: int = 24  # honest texts in a cell that the guard gets right one after another; then the cell is solved
    patience: int = 4  # batches in a row without a find; then it stops
    short: int = 8  # most words of a short text
    long: int = 17  # fewest words of a long one
    max_new_tokens: int = 32  # longer than nine in ten of the demo seeds
    temperature: float = 0.7  # 0.3 copies, 1.0 loses the meaning
    version: str = "adversary.v1"

    def __post_init__(self) -> None:
        at_least(self, candidates=1, copies=1, batch=1, enough=1, patience=1, short=1, long=self.short + 1)

    def attack(self, hunt: Hunt) -> None:
        """Search until enough is found, nothing more comes, no cell is open, or the candidates are used up."""
        hunt.cell = self.cell
        BestOfN.of(self).write(hunt, hunt.generator, lambda number: self.parents(hunt, number))
        hunt.figures["coverage"] = self.coverage(hunt)

    def asks(self) -> int:
        """Candidates in whole batches."""
        return BestOfN.of(self).asks()

    def prompt(self, source: Example | Parent) -> Prompt:
        """What the generator continues."""
        return BestOfN.of(self).prompt(source)

    def cell(self, text: str, seed: Example) -> str:
        """Where a text belongs that claims the label of a seed."""
        return f"{subject(seed)}/{style(text)}/{length(text, self.short, self.long)}"

    def parents(self, hunt: Hunt, number: int) -> list[Parent] | str:
        """What a batch is written from, open cells taking turns; or why there is to be none."""
        if idle(hunt.archive.steps) >= self.patience:
            return f"{self.patience} batches in a row brought nothing"
        choice, solved = self._choice(hunt), self.solved(hunt)
        cells = sorted(choice.keys() - solved)
        if not cells:
            return "every cell is solved"
        chance = random.Random(mix(hunt.seed, number))
        chance.shuffle(cells)
        turns = (cells[at % len(cells)] for at in range(max(1, self.batch // self.copies)))
        return [parent for cell in turns for parent in [chance.choice(choice[cell])] * self.copies]

    def _choice(self, hunt: Hunt) -> dict[str, list[Parent]]:
        """What each cell can be written from: its elite, else its seeds."""
        choice: defaultdict[str, list[Parent]] = defaultdict(list)
        for seed in hunt.seeds:
            choice[self.cell(seed.text, seed)].append(Parent(seed))
        seeds = {seed.id: seed for seed in hunt.seeds}
        return choice | {cell: [Parent(seeds[one.seed_id], one)] for cell, one in self.elites(hunt).items()}

    def elites(self, hunt: Hunt) -> dict[str, Find]:
        """The find of each cell with the highest reward; of equal ones the first."""
        best: dict[str, Find] = {}
        for cell, find in self._placed(hunt, hunt.archive.finds):
            if cell not in best or find.reward > best[cell].reward:
                best[cell] = find
        return best

    def solved(self, hunt: Hunt) -> set[str]:
        """Cells in which the guard was right often enough since the last find."""
        right: Counter[str] = Counter()
        for step in hunt.archive.steps:
            right.update(step.caught)
            for cell, _ in self._placed(hunt, step.finds):
                right[cell] = 0
        return {cell for cell, times in right.items() if times >= self.enough}

    def _placed(self, hunt: Hunt, finds: Sequence[Find]) -> list[tuple[str, Find]]:
        seeds = {seed.id: seed for seed in hunt.seeds}
        return [(self.cell(find.text, seeds[find.seed_id]), find) for find in finds]

    def coverage(self, hunt: Hunt) -> dict[str, int]:
        """How many cells there are, how many hold a find, and how many are solved."""
        cells = len({subject(seed) for seed in hunt.seeds}) * len(STYLES) * len(LENGTHS)
        return {"cells": cells, "filled": len(self.elites(hunt)), "solved": len(self.solved(hunt))}


def subject(seed: Example) -> str:
    """The first category of a seed, else its label: what is harmless has no category."""
    return seed.categories[0] if seed.categories else seed.label


def idle(steps: Sequence[Step]) -> int:
    """How many steps at the end brought no find."""
    return sum(1 for _ in takewhile(lambda step: not step.finds, reversed(steps)))
