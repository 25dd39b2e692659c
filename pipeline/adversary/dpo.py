from __future__ import annotations

import json
import random
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import takewhile
from pathlib import Path
from typing import Any

from classifier.artifacts import is_whole, write_manifest
from classifier.runfolder import write_json
from pipeline.adversary import at_least, methods, training
from pipeline.adversary.best_of_n import BestOfN, mix
from pipeline.adversary.checkpoints import put_aside
from pipeline.adversary.hunt import Hunt
from pipeline.adversary.quiet import quiet
from pipeline.adversary.tuned import WEIGHTS, Tuned, with_adapter
from pipeline.context import silent
from pipeline.generators import Generator, Prompt
from pipeline.generators.local import Local
from pipeline.records import Example

NAMES = {"rewards/accuracies": "accuracy", "rewards/margins": "margin"}  # the trainer's, ours
FIGURES = "figures.json"


@dataclass(frozen=True, slots=True)
class Pair:
    """Two rewrites of one seed, the better and the worse."""

    seed: Example
    chosen: str
    rejected: str


@methods.register("dpo")
@dataclass(frozen=True)
class Dpo:
    """Train the generator on pairs of its own texts, the best against the worst (iterated DPO with LoRA), then search.

    Steadier than reinforcement and cheaper, since texts are written once an iteration. Finds among them count. Needs
    the generator 'local': weights behind an endpoint cannot be trained. Each finished iteration is a folder with a
    manifest; a restart does the unfinished one again, from its first text.
    """

    iterations: int = 3  # each writes with what the one before it has learnt
    seeds_per_iteration: int = 8  # a pair each, where the rewards of its texts differ
    completions: int = 8  # of a seed: the more, the further best and worst are apart
    steps: int = 6  # of training in an iteration; up to 10 s each on two busy cores
    pairs_per_step: int = 4  # in memory at once
    learning_rate: float = 1e-4  # LoRA bears ten times what full training does, and the steps are few
    beta: float = 0.1  # price of leaving the model that it begins with; lower lets the texts rot
    rank: int = 8  # small is enough: a pair carries one bit; a warm-started writer keeps its own
    candidates: int = 320  # written with the trained generator, at most
    copies: int = 8  # rewrites of a seed before the next one is taken, when searching
    batch: int = 64  # candidates between two reports, when searching
    max_new_tokens: int = 32  # longer than nine in ten of the demo seeds
    temperature: float = 0.7  # 0.3 copies, 1.0 loses the meaning
    devices: int = 1  # processes of `accelerate launch`, which share out each step's pairs
    version: str = "adversary.v1"

    def __post_init__(self) -> None:
        least = {
            "iterations": 1,
            "seeds_per_iteration": 1,
            "completions": 2,
            "steps": 1,
            "pairs_per_step": 1,
            "rank": 1,
            "devices": 1,
        }
        at_least(self, candidates=1, copies=1, batch=1, **least)

    def attack(self, hunt: Hunt) -> None:
        """Do the iterations that are not done yet, then search."""
        writer = training.trainable(hunt, "DPO")
        training.share(self.pairs_per_step, hunt.devices, "pairs_per_step")
        places = [hunt.folder / "dpo" / f"iteration-{number}" for number in range(1, self.iterations + 1)]
        done = hunt.devices.decided(lambda: sum(1 for _ in takewhile(is_whole, places)))
        if done < self.iterations:
            hunt.rewind("training", done)
        for number in range(done + 1, self.iterations + 1):
            if hunt.devices.decided(lambda: hunt.over):
                break
            self._iterate(hunt, number, newest(writer, places[: number - 1]), places[number - 1])
            done = number
        if not hunt.devices.first:
            return
        hunt.figures["iterations"] = [json.loads((place / FIGURES).read_text()) for place in places[:done]]
        BestOfN.of(self).search(hunt, newest(writer, places[:done]))

    def asks(self) -> int:
        """Texts of the iterations and of the search."""
        return self.iterations * len(self._sampling().turn([0], 0)) + BestOfN.of(self).asks()

    def prompt(self, seed: Example) -> Prompt:
        """What the generator continues, in training and search alike."""
        return BestOfN.of(self).prompt(seed)

    def _sampling(self) -> BestOfN:
        return replace(BestOfN.of(self), copies=self.completions, batch=self.completions * self.seeds_per_iteration)

    def _iterate(self, hunt: Hunt, number: int, writer: Local | Tuned, place: Path) -> None:
        """Write, grade, pair, train; the manifest comes last."""
        found = hunt.devices.decided(lambda: self._gather(hunt, number, writer, place))
        told: Mapping[str, float] = {}
        if found:
            told = self._train(hunt, number, found, writer, place)
        else:
            hunt.report(
                number, self.iterations, f"Iteration {number}: no pairs, since no seed's texts differ in reward"
            )
        if hunt.devices.first:
            write_json(place / FIGURES, {"pairs": len(found), **told})
            write_manifest(place)
        hunt.devices.wait()

    def _gather(self, hunt: Hunt, number: int, writer: Generator, place: Path) -> list[Pair]:
        """Begin the folder of an iteration with its pairs."""
        if place.exists():
            put_aside(place)
        place.mkdir(parents=True)
        found = self._sample(hunt, number, writer)
        hunt.step("training", number, self.iterations, {"pairs": float(len(found))})
        return found

    def _sample(self, hunt: Hunt, number: int, writer: Generator) -> list[Pair]:
        seeds = self._sampling().turn(hunt.seeds, number - 1)
        # A negative number: other random numbers than those of the search.
        answers = writer.generate([self.prompt(seed) for seed in seeds], mix(hunt.seed, -number), silent)
        return pairs(seeds, answers, hunt.grade(answers, seeds, writer.digest()))

    def _train(
        self, hunt: Hunt, number: int, found: Sequence[Pair], writer: Local | Tuned, place: Path
    ) -> Mapping[str, float]:
        quiet()
        watched = watch(hunt, f"Iteration {number}: training on {len(found)} pairs")
        trainer = self._trainer(hunt, number, found, watched, place)
        if isinstance(writer, Tuned):
            take_up(trainer.model, writer.adapter)
        trainer.train()
        if hunt.devices.first:
            training.save(trainer.model, place)
        last: Mapping[str, float] = watched.last
        return last

    def _trainer(self, hunt: Hunt, number: int, found: Sequence[Pair], watched: Any, place: Path) -> Any:
        import datasets
        from trl import DPOConfig, DPOTrainer

        datasets.disable_progress_bars()
        settings = DPOConfig(
            **training.arguments(place.parent / "work", mix(hunt.seed, -number), self.steps, self.learning_rate),
            beta=self.beta, save_strategy="no", train_sampling_strategy="sequential",
            per_device_train_batch_size=training.share(self.pairs_per_step, hunt.devices, "pairs_per_step"),
        )  # fmt: skip
        return training.silence(
            DPOTrainer(
                **training.beginning(training.trainable(hunt, "DPO"), self.rank),
                args=settings,
                train_dataset=self._dataset(found, mix(hunt.seed, -number)),
                callbacks=[watched],
            )
        )

    def _dataset(self, found: Sequence[Pair], seed: int) -> Any:
        """Text after text: a space stands before an answer, as it does when it is written.

        As many as the steps use, pass after pass, each in an order of its own: every step is full, so that processes
        can share it out evenly and see what one of them would.
        """
        from datasets import Dataset

        chance, wanted = random.Random(seed), self.steps * self.pairs_per_step
        rows: list[Pair] = []
        while len(rows) < wanted:
            rows += chance.sample(found, len(found))
        return Dataset.from_list([
            {"prompt": self.prompt(one.seed).text, "chosen": f" {one.chosen}", "rejected": f" {one.rejected}"}
            for one in rows[:wanted]
        ])  # fmt: skip


def newest(writer: Local | Tuned, places: Sequence[Path]) -> Local | Tuned:
    """The generator after some iterations: with the last adapter there is, if there is one."""
    trained = [place for place in places if (place / WEIGHTS).exists()]
    return with_adapter(writer, trained[-1]) if trained else writer


def take_up(model: Any, adapter: Path) -> None:
    """Go on with a trained adapter. Given to the trainer with it, the adapter would be its own reference."""
    from peft import set_peft_model_state_dict
    from safetensors.torch import load_file

    set_peft_model_state_dict(model, load_file(adapter / WEIGHTS))


def pairs(seeds: Sequence[Example], answers: Sequence[str | None], rewards: Sequence[float | None]) -> list[Pair]:
    """A pair for each seed: the text with the highest reward and the one with the lowest, if they differ.

    What the judge abstained from is neither, and neither is silence.
    """
    groups: defaultdict[str, list[tuple[float, str]]] = defaultdict(list)
    for seed, answer, reward in zip(seeds, answers, rewards, strict=True):
        if answer and reward is not None:
            groups[seed.id].append((reward, answer))
    by_id = {seed.id: seed for seed in seeds}
    ends = ((by_id[key], max(group, key=reward_of), min(group, key=reward_of)) for key, group in groups.items())
    return [Pair(seed, best[1], worst[1]) for seed, best, worst in ends if best[0] > worst[0]]


def reward_of(graded: tuple[float, str]) -> float:
    """The reward alone: of equal ones the first text is taken, not the first of the alphabet."""
    return graded[0]


def watch(hunt: Hunt, message: str) -> Any:
    """The trainer's callback: keeps the last figures, shows them, and ends a training that diverges."""
    from transformers import TrainerCallback

    class Watch(TrainerCallback):
        last: Mapping[str, float] = {}

        def on_log(self, args: Any, state: Any, control: Any, logs: Mapping[str, Any] | None = None, **_: Any) -> None:
            if logs and "loss" in logs:
                self.last = training.figures(logs, state.global_step, NAMES)
                hunt.report(state.global_step, state.max_steps, message, {"loss": self.last["loss"]})

    return Watch()
