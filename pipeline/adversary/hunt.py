"""One attack in progress: what it may write from, who judges it, and what it has found."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import zip_longest
from pathlib import Path

from classifier.runfolder import Report
from pipeline.adversary.archive import Archive, Find, Step
from pipeline.cleaning import clean
from pipeline.context import silent
from pipeline.generators import Generator
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
    _finds: list[Find] = field(default_factory=list)  # since the last step
    _outcomes: Counter[str] = field(default_factory=Counter)
    _rewards: list[float] = field(default_factory=list)

    @property
    def found(self) -> int:
        """How many finds there are, those of the step in progress too."""
        return len(self.archive.finds) + len(self._finds)

    def grade(self, answers: Sequence[str | None], seeds: Sequence[Example], model: str) -> list[float | None]:
        """Grade what `model` wrote for each seed and keep the finds.

        Returns:
            The rewards in the same order, None where the judge abstains.
        """
        attempts = [Attempt(clean(answer or "") or "", seed) for answer, seed in zip(answers, seeds, strict=True)]
        grades = self.reward.grade(attempts, self.arena)
        for attempt, grade in zip(attempts, grades, strict=True):
            self._count(attempt, grade, model)
        self._remember(attempts, grades)
        return [finite(grade.reward) for grade in grades]

    def _count(self, attempt: Attempt, grade: Grade, model: str) -> None:
        reward = finite(grade.reward)
        self._outcomes[grade.outcome] += 1
        if reward is not None:
            self._rewards.append(reward)
        if reward is not None and grade.outcome == "find":
            self._finds.append(
                Find(attempt.text, attempt.seed.id, reward, grade.guard, grade.judge, grade.novelty, model)
            )

    def _remember(self, attempts: Sequence[Attempt], grades: Sequence[Grade]) -> None:
        """Make finds known, so that the same words earn nothing a second time."""
        texts = [a.text for a, grade in zip(attempts, grades, strict=True) if grade.outcome == "find"]
        for text, vector in zip(texts, self.arena.embed(texts) if texts else [], strict=True):
            self.arena.known.add(text, vector)

    def step(self, phase: str, number: int, total: int, figures: Mapping[str, float]) -> None:
        """End a batch: store it, and report its figures."""
        attempts = sum(self._outcomes.values())
        mean, deviation = spread(self._rewards)
        own = {
            "reward": mean, "reward_std": deviation, "attempts": float(attempts),
            "abstained": self._outcomes["abstained"] / max(1, attempts),
        }  # fmt: skip
        stored = own | {name: value for name, value in figures.items() if math.isfinite(value)}
        self.archive.add(Step(phase, number, stored, dict(self._outcomes), tuple(self._finds)))
        self._finds, self._outcomes, self._rewards = [], Counter(), []
        shown = {name: value for name, value in stored.items() if name in ("reward", "reward_std", "kl")}
        shown["finds"] = float(self.found)
        message = "Training the generator" if phase == "training" else "Searching"
        self.report(number, total, f"{message}: {self.found} finds", shown)


def finite(reward: float | None) -> float | None:
    """The reward, or None where it is no number: a NaN would spoil its whole batch."""
    return reward if reward is not None and math.isfinite(reward) else None


def spread(values: Sequence[float]) -> tuple[float, float]:
    """Mean and standard deviation; 0, 0 of nothing."""
    if not values:
        return 0.0, 0.0
    mean = sum(values) / len(values)
    return mean, math.sqrt(sum((value - mean) ** 2 for value in values) / len(values))


def promising(seeds: Sequence[Example], unsafe: Sequence[float], threshold: float) -> list[Example]:
    """Order seeds by how near the guard is to being wrong about them, labels taking turns."""
    wrong = {seed.id: error(seed.label, p, threshold) for seed, p in zip(seeds, unsafe, strict=True)}
    order = sorted(seeds, key=lambda seed: (abs(wrong[seed.id] - 0.5), seed.id))
    harmful = [seed for seed in order if seed.label == UNSAFE]
    harmless = [seed for seed in order if seed.label != UNSAFE]
    return [seed for pair in zip_longest(harmful, harmless) for seed in pair if seed is not None]
