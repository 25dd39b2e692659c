"""One attack in progress: what it may write from, who judges it, and what it has found."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from heapq import merge
from pathlib import Path
from typing import Any

from classifier.devices import Devices
from classifier.runfolder import Report
from pipeline.adversary.archive import Archive, Find, Step
from pipeline.cleaning import clean
from pipeline.context import silent
from pipeline.generators import Generator
from pipeline.meter import Meter
from pipeline.records import UNSAFE, Example
from pipeline.rewards import Arena, Attempt, Grade, Reward
from pipeline.rewards.guard_error import error


@dataclass
class Hunt:
    """Handed to a method. It brings texts to `grade`, and ends each batch with `step`."""

    seeds: Sequence[Example]  # the most promising first
    arena: Arena
    reward: Reward
    archive: Archive
    generator: Generator
    folder: Path  # the run's own: checkpoints go there
    wanted: int = 40
    seed: int = 0
    report: Report = silent
    meter: Meter = field(default_factory=Meter)
    devices: Devices = field(default_factory=Devices)  # the processes that train together
    cell: Callable[[str, Example], str] | None = None  # where a text belongs, for a method that keeps cells
    figures: dict[str, Any] = field(default_factory=dict)  # what a method has to say of the whole hunt
    _finds: list[Find] = field(default_factory=list)  # since the last step
    _outcomes: Counter[str] = field(default_factory=Counter)
    _rewards: list[float] = field(default_factory=list)
    _caught: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        # Embedded step by step as they were when they were found: in another batch the last bits differ, and with
        # them every reward after.
        for step in self.archive.steps:
            self._learn([find.text for find in step.finds])

    @property
    def found(self) -> int:
        """How many finds there are, those of the step in progress too."""
        return len(self.archive.finds) + len(self._finds)

    @property
    def over(self) -> str:
        """Why there is to be no more: enough is found, or the generator has nothing left to spend; empty before."""
        return "enough is found" if self.found >= self.wanted else self.meter.stop

    def grade(
        self, answers: Sequence[str | None], seeds: Sequence[Example], model: str, parents: Sequence[str] = ()
    ) -> list[float | None]:
        """Grade what `model` wrote for each seed and keep the finds, with the digests of what they were written from.

        Returns:
            The rewards in the same order, None where the judge abstains.
        """
        attempts = [Attempt(clean(answer or "") or "", seed) for answer, seed in zip(answers, seeds, strict=True)]
        grades = self.reward.grade(attempts, self.arena)
        for attempt, grade, parent in zip(attempts, grades, parents or [""] * len(attempts), strict=True):
            self._count(attempt, grade, model, parent)
        self._remember(attempts, grades)
        return [finite(grade.reward) for grade in grades]

    def _count(self, attempt: Attempt, grade: Grade, model: str, parent: str) -> None:
        reward = finite(grade.reward)
        if self.cell and grade.outcome == "caught":
            self._caught[self.cell(attempt.text, attempt.seed)] += 1
        self._outcomes[grade.outcome] += 1
        if reward is not None:
            self._rewards.append(reward)
        if reward is not None and grade.outcome == "find":
            self._finds.append(
                Find(attempt.text, attempt.seed.id, reward, grade.guard, grade.judge, grade.novelty, model, parent)
            )

    def _remember(self, attempts: Sequence[Attempt], grades: Sequence[Grade]) -> None:
        """Make finds known, so that the same words earn nothing a second time."""
        self._learn([a.text for a, grade in zip(attempts, grades, strict=True) if grade.outcome == "find"])

    def _learn(self, texts: Sequence[str]) -> None:
        for text, vector in zip(texts, self.arena.embed(texts) if texts else [], strict=True):
            self.arena.known.add(text, vector)

    def rewind(self, phase: str, number: int) -> None:
        """Go back to the end of a step of the first phase, as if no later one had been done."""
        dropped = self.archive.keep(phase, number)
        self.arena.known.forget(sum(len(step.finds) for step in dropped))

    def step(self, phase: str, number: int, total: int, figures: Mapping[str, float]) -> None:
        """End a batch: store it, and report its figures."""
        attempts = sum(self._outcomes.values())
        mean, deviation = spread(self._rewards)
        own = {
            "reward": mean, "reward_std": deviation, "attempts": float(attempts),
            "abstained": self._outcomes["abstained"] / max(1, attempts),
        }  # fmt: skip
        stored = own | {name: value for name, value in figures.items() if math.isfinite(value)}
        self.archive.add(Step(phase, number, stored, dict(self._outcomes), tuple(self._finds), dict(self._caught)))
        self._finds, self._outcomes, self._rewards, self._caught = [], Counter(), [], Counter()
        shown = {name: value for name, value in stored.items() if name in ("reward", "reward_std", "kl")}
        shown["finds"] = float(self.found)
        message = "Training the generator" if phase == "training" else "Searching"
        self.report(number, total, f"{message}: {self.found} finds", shown)


class Follower(Hunt):
    """A hunt as the other processes of `accelerate launch` have it: they learn along, and keep nothing.

    Neither archive nor arena is there: texts are graded in the first process, which alone knows what was found.
    """

    def __init__(
        self, seeds: Sequence[Example], generator: Generator, folder: Path, seed: int, devices: Devices
    ) -> None:
        self.seeds, self.generator, self.folder, self.seed, self.devices = seeds, generator, folder, seed, devices
        self.report: Report = silent

    def rewind(self, phase: str, number: int) -> None:
        """The first process does."""

    def step(self, phase: str, number: int, total: int, figures: Mapping[str, float]) -> None:
        """The first process does."""


def finite(reward: float | None) -> float | None:
    """The reward, or None where it is no number: a NaN would spoil its whole batch."""
    return reward if reward is not None and math.isfinite(reward) else None


def spread(values: Sequence[float]) -> tuple[float, float]:
    """Mean and standard deviation; 0, 0 of nothing."""
    if not values:
        return 0.0, 0.0
    mean = sum(values) / len(values)
    return mean, math.sqrt(sum((value - mean) ** 2 for value in values) / len(values))


def promising(
    seeds: Sequence[Example], unsafe: Sequence[float], threshold: float,
    has_room: Callable[[Example], bool] = lambda seed: True,
) -> list[Example]:  # fmt: skip
    """Order seeds by how near the guard is to being wrong about them, labels taking turns.

    Last come those for whose rewrite there is no room: cut short, it says something else.
    """
    wrong = {seed.id: error(seed.label, p, threshold) for seed, p in zip(seeds, unsafe, strict=True)}
    order = sorted(seeds, key=lambda seed: (not has_room(seed), abs(wrong[seed.id] - 0.5), seed.id))
    harmful = [seed for seed in order if seed.label == UNSAFE]
    harmless = [seed for seed in order if seed.label != UNSAFE]
    turns = merge(enumerate(harmful), enumerate(harmless), key=lambda turn: (not has_room(turn[1]), turn[0]))
    return [seed for _, seed in turns]
