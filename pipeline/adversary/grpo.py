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
from pipeline.adversary import checkpoints, methods, training
from pipeline.adversary.best_of_n import BestOfN
from pipeline.adversary.hunt import Hunt
from pipeline.adversary.quiet import quiet
from pipeline.adversary.tuned import Tuned, load_for_training
from pipeline.generators import Prompt
from pipeline.generators.local import first_line, newline_tokens
from pipeline.generators.weights import generator_folder
from pipeline.records import Example

NAMES = {
    "kl": "kl", "entropy": "entropy", "completions/mean_length": "tokens",
    "frac_reward_zero_std": "groups_without_spread",
}  # fmt: skip
ADAPTER = "adapter"  # where in the run folder the trained adapter lies


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
    beta: float = 0.03  # price of leaving the base model (KL); 0 lets the texts rot
    rank: int = 8  # small is enough: a reward carries little information per step
    loss: str = "dapo"  # weighs tokens over the whole batch, so that length is no advantage
    scale_rewards: str = "batch"  # scaled by group, a spread of 0.001 would count like one of 1
    save_steps: int = 2  # an adapter of a few MB with its optimizer
    candidates: int = 320  # written with the trained generator, at most
    copies: int = 8  # rewrites of a seed before the next one is taken, when searching
    batch: int = 64  # candidates between two reports, when searching
    max_new_tokens: int = 32  # longer than nine in ten of the demo seeds
    temperature: float = 0.7  # 0.3 copies, 1.0 loses the meaning
    vllm: str = ""  # address of `trl vllm-serve`, which writes during the training; empty writes in this process
    version: str = "adversary.v1"

    def attack(self, hunt: Hunt) -> None:
        """Train where that is not done yet, then search."""
        base = training.trainable(hunt, "GRPO")
        if self.vllm and find_spec("vllm") is None:
            raise ProgramError(
                "The setting vllm names a server, but the package vllm is not installed here.",
                "Install it beside a GPU (pip install vllm), or leave the setting empty.",
            )
        adapter = hunt.folder / ADAPTER
        if not is_whole(adapter):
            self._train(hunt, generator_folder(base.model), adapter)
        BestOfN.of(self).search(hunt, Tuned(base, adapter))

    def asks(self) -> int:
        """Texts of the training and of the search."""
        return self.steps * self.prompts_per_step * self.completions + BestOfN.of(self).asks()

    def prompt(self, seed: Example) -> Prompt:
        """What the generator continues, in training and search alike."""
        return BestOfN.of(self).prompt(seed)

    def _train(self, hunt: Hunt, folder: Path, adapter: Path) -> None:
        quiet()
        work = hunt.folder / "training"
        trainer = self._trainer(hunt, folder, work)
        checkpoint = checkpoints.newest_whole(work) if work.is_dir() else None
        hunt.rewind("training", checkpoints.step_of(checkpoint))
        trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
        trainer.model.save_pretrained(adapter)
        write_manifest(adapter)

    def _trainer(self, hunt: Hunt, folder: Path, work: Path) -> Any:
        from trl import GRPOTrainer

        tokenizer, model = load_for_training(folder)
        return training.silence(
            GRPOTrainer(
                model=model,
                processing_class=tokenizer,
                args=self._arguments(hunt, work, tokenizer),
                reward_funcs=reward_of(hunt),
                train_dataset=self._dataset(hunt.seeds),
                callbacks=[watch(hunt, work)],
                peft_config=training.lora(self.rank),
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

        per_step = self.prompts_per_step * self.completions
        micro = math.gcd(per_step, self.micro_batch)
        return GRPOConfig(
            **training.arguments(work, hunt.seed, self.steps, self.learning_rate),
            per_device_train_batch_size=micro, gradient_accumulation_steps=per_step // micro, shuffle_dataset=False,
            num_generations=self.completions, max_completion_length=self.max_new_tokens, temperature=self.temperature,
            top_p=0.95, beta=self.beta, loss_type=self.loss, scale_rewards=self.scale_rewards,
            save_strategy="steps", save_steps=self.save_steps, save_total_limit=3, log_completions=False,
            **self._server(tokenizer),
        )  # fmt: skip

    def _server(self, tokenizer: Any) -> dict[str, Any]:
        """What tells the trainer to let a vLLM server write, which ends a text at the end of its line as we do."""
        if not self.vllm:
            return {}
        ends = [tokenizer.eos_token_id, *newline_tokens(tokenizer).tolist()]
        return {
            "use_vllm": True, "vllm_mode": "server", "vllm_server_base_url": self.vllm,
            "generation_kwargs": {"stop_token_ids": ends},
        }  # fmt: skip


def reward_of(hunt: Hunt) -> Any:
    """The reward in the trainer's terms: texts in, one number each out, None where the judge abstains."""
    seeds = {seed.id: seed for seed in hunt.seeds}
    base = hunt.generator.digest()

    def guard_error(
        prompts: Sequence[str], completions: Sequence[str], seed_id: Sequence[str], trainer_state: Any = None, **_: Any
    ) -> list[float | None]:
        model = f"{base}+grpo{trainer_state.global_step if trainer_state else 0}"
        return hunt.grade([first_line(text) for text in completions], [seeds[i] for i in seed_id], model)

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
            checkpoints.seal(work, state.global_step)

    return Watch()
