"""What an attack has found so far, kept on disk after every step.

It lies outside the trainer: a find made while training is as good as one made after it. A restart goes on from the last
step that both the archive and the trainer know, and writes the same steps as if nothing had happened.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import takewhile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from classifier.runfolder import write_json

LIKENESS_COST = 0.5  # reward that a find loses for each unit of cosine to the nearest one chosen before it


@dataclass(frozen=True, slots=True)
class Find:
    """A text that the guard gets wrong and the judge does not."""

    text: str
    seed_id: str
    reward: float
    guard: float
    judge: float
    novelty: float
    model: str  # digest of the weights that wrote it
    parent: str = ""  # digest of the find that it was written from; empty where that was the seed


@dataclass(frozen=True, slots=True)
class Step:
    """One batch of attempts: its figures, how they ended, and the finds among them."""

    phase: str  # training | sampling
    number: int
    figures: Mapping[str, float]  # only finite ones
    outcomes: Mapping[str, int]
    finds: Sequence[Find] = field(default_factory=tuple)
    caught: Mapping[str, int] = field(default_factory=dict)  # honest attempts that the guard got right, by cell


class Archive:
    """The steps of one attack, one file each."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.steps = [_read(file) for file in sorted(folder.glob("*.json"))]

    @property
    def finds(self) -> list[Find]:
        """All finds, the oldest first."""
        return [find for step in self.steps for find in step.finds]

    def add(self, step: Step) -> None:
        """Keep a step: on disk when this returns."""
        write_json(self._file(len(self.steps)), asdict(step))
        self.steps.append(step)

    def keep(self, phase: str, number: int) -> list[Step]:
        """Keep the steps up to one of the first phase, take the later ones off the disk and return them.

        What goes on from an earlier state writes them again, and the same ones.
        """
        kept = list(takewhile(lambda step: step.phase == phase and step.number <= number, self.steps))
        dropped = self.steps[len(kept) :]
        for at in reversed(range(len(kept), len(self.steps))):  # the last first: killed here, the rest has no hole
            self._file(at).unlink()
        self.steps = kept
        return dropped

    def _file(self, at: int) -> Path:
        return self.folder / f"{at:06d}.json"

    def done(self, phase: str) -> int:
        """The number of the last step of a phase, 0 before the first."""
        return max((step.number for step in self.steps if step.phase == phase), default=0)

    def curve(self) -> list[dict[str, Any]]:
        """Figures by step."""
        return [
            {"phase": step.phase, "step": step.number, **step.figures, "finds": len(step.finds)} for step in self.steps
        ]


def _read(file: Path) -> Step:
    row = json.loads(file.read_text(encoding="utf-8"))
    return Step(**{**row, "finds": tuple(Find(**find) for find in row["finds"])})


def choose(finds: Sequence[Find], vectors: NDArray[np.float32], wanted: int) -> list[Find]:
    """Return up to `wanted` finds, the best and least alike first, from their unit vectors [n, width].

    One after the other, the highest reward less a price for likeness to those chosen before (maximal marginal
    relevance).
    """
    if not finds:
        return []
    worth = np.array([find.reward for find in finds])
    nearest = np.zeros(len(finds))
    chosen: list[int] = []
    for _ in range(min(wanted, len(finds))):
        score = worth - LIKENESS_COST * nearest
        score[chosen] = -np.inf
        best = int(score.argmax())
        chosen.append(best)
        nearest = np.maximum(nearest, vectors @ vectors[best])
    return [finds[row] for row in chosen]
