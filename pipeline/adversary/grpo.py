from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from classifier.artifacts import is_whole, write_manifest
from classifier.runfolder import ProgramError
from pipeline import prompts
from pipeline.adversary import at_least, checkpoints, methods, training
from pipeline.adversary.best_of_n import BestOfN
from pipeline.adversary.hunt import Hunt
from pipeline.adversary.quiet import quiet
from pipeline.adversary.tuned import Tuned, with_adapter
from pipeline.generators import Prompt
from pipeline.generators.local import Local, first_line, newline_tokens
from pipeline.records import Example

NAMES = {
    "kl": "kl", "entropy": "entropy", "completions/mean_length": "tokens",
    "frac_reward_zero_std": "groups_without_spread",
}  # fmt: skip
ADAPTER = "adapter"  # where in the run folder the trained adapter lies
COLOCATED = "colocate"  # vLLM in the processes that train, on the same GPUs


@methods.register("grpo")
@dataclass(frozen=True)
class Grpo:
    """Train the generator against the guard by reinforcement (GRPO with LoRA), then search with it.

    Finds made while training count. Needs the generator 'local': weights behind an endpoint cannot be trained.
    """

    steps: int = 6  # up to 20 s each on two busy cores, so more of a start than a training; on a GPU some hundreds
    prompts_per_step: int = 2
    completions: int = 8  # a group: enough that one of them differs in reward, which is all that GRPO learns from
    micro_batch: int = 8  # completions in memory at once
    learning_rate: float = 1e-4  # LoRA bears ten times what full training does, and the steps are few
    beta: float = 0.03  # price of leaving the model that it begins with (KL); 0 lets the texts rot
    rank: int = 8  # small is enough: a reward carries little per step; a warm-started writer keeps its own
    loss: str = "dapo"  # weighs tokens over the whole batch, so that length is no advantage
    scale_rewards: str = "batch"  # scaled by group, a spread of 0.001 would count like one of 1
    save_steps: int = 2  # an adapter of a few MB with its optimizer
    candidates: int = 320  # written with the trained generator, at most
    copies: int = 8  # rewrites of a seed before the next one is taken, when searching
    batch: int = 64  # candidates between two reports, when searching
    max_new_tokens: int = 32  # longer than nine in ten of the demo seeds
    temperature: float = 0.7  # 0.3 copies, 1.0 loses the meaning
    devices: int = 1  # processes of `accelerate launch`, which share out each step's texts
    vllm: str = ""  # what writes during the training: address of `trl vllm-serve`, or colocate; empty: this process
    version: str = "adversary.v1"

    def __post_init__(self) -> None:
        at_least(self, devices=1)
        if self.vllm not in ("", COLOCATED) and not self.vllm.startswith(("http://", "https://")):
            raise ValueError(f"vllm of grpo should be an address, {COLOCATED} or nothing, found {self.vllm!r}")

    def attack(self, hunt: Hunt) -> None:
        """Train where that is not done yet, then search."""
        writer = training.trainable(hunt, "GRPO")
        self._share(hunt)
        if self.vllm and find_spec("vllm") is None:
            raise ProgramError(
                "The setting vllm lets vLLM write, but the package vllm is not installed here.",
                "Install it beside a GPU (pip install vllm), or leave the setting empty.",
            )
        adapter = hunt.folder / ADAPTER
        if not hunt.devices.decided(lambda: is_whole(adapter)):
            self._train(hunt, writer, adapter)
        if hunt.devices.first:
            BestOfN.of(self).search(hunt, with_adapter(writer, adapter))

    def asks(self) -> int:
        """Texts of the training and of the search."""
        return self.steps * self.prompts_per_step * self.completions + BestOfN.of(self).asks()

    def prompt(self, seed: Example) -> Prompt:
        """What the generator continues, in training and search alike."""
        return BestOfN.of(self).prompt(seed)

    def _share(self, hunt: Hunt) -> int:
        """How many texts of a step are one process's."""
        return training.share(
            self.prompts_per_step * self.completions, hunt.devices, "prompts_per_step and completions"
        )

    def _train(self, hunt: Hunt, writer: Local | Tuned, adapter: Path) -> None:
        quiet()
        work = hunt.folder / "training"
        trainer = self._trainer(hunt, writer, work)
        checkpoint = hunt.devices.decided(lambda: checkpoints.newest_whole(work) if work.is_dir() else None)
        hunt.rewind("training", checkpoints.step_of(checkpoint))
        trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
        if hunt.devices.first:
            training.save(trainer.model, adapter)
            write_manifest(adapter)

    def _trainer(self, hunt: Hunt, writer: Local | Tuned, work: Path) -> Any:
        from trl import GRPOTrainer

        beginning = training.beginning(writer, self.rank)
        return training.silence(
            GRPOTrainer(
                **beginning,
                args=self._arguments(hunt, work, beginning["processing_class"]),
                reward_funcs=reward_of(hunt),
                train_dataset=self._dataset(hunt.seeds),
                callbacks=[watch(hunt, work)],
            )
        )

    def _dataset(self, seeds: Sequence[Example]) -> Any:
        """Prompts in the order of promise; exactly as many as the steps will use, so that one pass is the training.

        No step goes to a hopeless seed, few seeds take turns, and a restart never falls on the seam of two passes.
        """
        from datasets import Dataset

        prompt = prompts.load(self.version)
        used = [seeds[at % len(seeds)] for at in range(self.steps * self.prompts_per_step)]
        return Dataset.from_list([{"prompt": prompt.render(seed.text), "seed_id": seed.id} for seed in used])

    def _arguments(self, hunt: Hunt, work: Path, tokenizer: Any) -> Any:
        from trl import GRPOConfig

        share = self._share(hunt)
        micro = math.gcd(share, self.micro_batch)
        return GRPOConfig(
            **training.arguments(work, hunt.seed, self.steps, self.learning_rate),
            per_device_train_batch_size=micro, gradient_accumulation_steps=share // micro, shuffle_dataset=False,
            num_generations=self.completions, max_completion_length=self.max_new_tokens, temperature=self.temperature,
            top_p=0.95, beta=self.beta, loss_type=self.loss, scale_rewards=self.scale_rewards,
            save_strategy="steps", save_steps=self.save_steps, save_total_limit=3, log_completions=False,
            **self._vllm(tokenizer),
        )  # fmt: skip

    def _vllm(self, tokenizer: Any) -> dict[str, Any]:
        """What tells the trainer to let vLLM write, which ends a text at the end of its line as we do."""
        if not self.vllm:
            return {}
        ends = [tokenizer.eos_token_id, *newline_tokens(tokenizer).tolist()]
        here = self.vllm == COLOCATED
        place = {"vllm_mode": COLOCATED} if here else {"vllm_mode": "server", "vllm_server_base_url": self.vllm}
        return {"use_vllm": True, **place, "generation_kwargs": {"stop_token_ids": ends}}


def reward_of(hunt: Hunt) -> Any:
    """The reward in the trainer's terms: texts in, one number each out, None where the judge abstains.

    A process has a part of a step's texts; all are graded in the first one, as a whole and in their order.
    """
    seeds = {seed.id: seed for seed in hunt.seeds}
    base = hunt.generator.digest()

    def grade(rows: list[tuple[str, str]], step: int) -> list[float | None]:
        return hunt.grade([text for text, _ in rows], [seeds[one] for _, one in rows], f"{base}+grpo{step}")

    def guard_error(
        prompts: Sequence[str], completions: Sequence[str], seed_id: Sequence[str], trainer_state: Any = None, **_: Any
    ) -> list[float | None]:
        step = trainer_state.global_step if trainer_state else 0
        rows = list(zip(map(first_line, completions), seed_id, strict=True))
        return hunt.devices.answered(lambda every: grade(every, step), rows)

    return guard_error


def watch(hunt: Hunt, work: Path) -> Any:
    """The trainer's callback: figures of a step into the archive, manifests on checkpoints, an end to divergence."""
    from transformers import TrainerCallback

    class Watch(TrainerCallback):
        def on_log(self, args: Any, state: Any, control: Any, logs: Mapping[str, Any] | None = None, **_: Any) -> None:
            if logs and "loss" in logs:
                hunt.step(
                    "training", state.global_step, state.max_steps, training.figures(logs, state.global_step, NAMES)
                )

        def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            hunt.devices.wait()  # each process keeps its random state in the checkpoint
            if hunt.devices.first:
                checkpoints.seal(work, state.global_step)

    return Watch()
