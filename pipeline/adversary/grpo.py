from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from classifier.artifacts import is_whole, write_manifest
from classifier.runfolder import ProgramError
from pipeline import prompts
from pipeline.adversary import checkpoints, methods
from pipeline.adversary.best_of_n import BestOfN
from pipeline.adversary.hunt import Hunt
from pipeline.adversary.quiet import quiet
from pipeline.adversary.tuned import Tuned, load_for_training
from pipeline.generators.local import Local, first_line
from pipeline.generators.weights import generator_folder
from pipeline.records import Example

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
    version: str = "adversary.v1"

    def attack(self, hunt: Hunt) -> None:
        """Train where that is not done yet, then search."""
        if not isinstance(hunt.generator, Local):
            raise ProgramError(
                "GRPO should train a generator on this machine, found another kind.",
                "Use the generator 'local', or the method 'best-of-n'.",
            )
        adapter = hunt.folder / ADAPTER
        if not is_whole(adapter):
            self._train(hunt, generator_folder(hunt.generator.model), adapter)
        self.searching().search(hunt, Tuned(hunt.generator, adapter))

    def searching(self) -> BestOfN:
        """The search that follows the training."""
        return BestOfN(self.candidates, self.copies, self.batch, self.max_new_tokens, self.temperature, self.version)

    def _train(self, hunt: Hunt, folder: Path, adapter: Path) -> None:
        quiet()
        work = hunt.folder / "training"
        trainer = self._trainer(hunt, folder, work)
        checkpoint = checkpoints.newest_whole(work) if work.is_dir() else None
        trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
        trainer.model.save_pretrained(adapter)
        write_manifest(adapter)

    def _trainer(self, hunt: Hunt, folder: Path, work: Path) -> Any:
        from peft import LoraConfig
        from transformers import PrinterCallback, ProgressCallback
        from trl import GRPOTrainer

        tokenizer, model = load_for_training(folder)
        trainer = GRPOTrainer(
            model=model, processing_class=tokenizer, args=self._arguments(hunt, work), reward_funcs=reward_of(hunt),
            train_dataset=self._dataset(hunt.seeds), callbacks=[watch(hunt, work)],
            # The base model with the adapter switched off is the reference of the KL: no second copy in memory.
            peft_config=LoraConfig(
                r=self.rank, lora_alpha=2 * self.rank, target_modules="all-linear", task_type="CAUSAL_LM"
            ),
        )  # fmt: skip
        for noisy in (PrinterCallback, ProgressCallback):
            trainer.remove_callback(noisy)
        return trainer

    def _dataset(self, seeds: Sequence[Example]) -> Any:
        """Prompts in the order of promise; as many as the steps will use, so that no step goes to a hopeless seed."""
        from datasets import Dataset

        prompt = prompts.load(self.version)
        used = seeds[: self.steps * self.prompts_per_step]
        return Dataset.from_list([{"prompt": prompt.render(seed.text), "seed_id": seed.id} for seed in used])

    def _arguments(self, hunt: Hunt, work: Path) -> Any:
        import torch
        from trl import GRPOConfig

        per_step = self.prompts_per_step * self.completions
        micro = math.gcd(per_step, self.micro_batch)
        return GRPOConfig(
            output_dir=str(work), max_steps=self.steps, seed=hunt.seed, learning_rate=self.learning_rate,
            lr_scheduler_type="constant_with_warmup", warmup_steps=min(2, self.steps - 1), max_grad_norm=1.0,
            per_device_train_batch_size=micro, gradient_accumulation_steps=per_step // micro, shuffle_dataset=False,
            num_generations=self.completions, max_completion_length=self.max_new_tokens, temperature=self.temperature,
            top_p=0.95, beta=self.beta, loss_type=self.loss, scale_rewards=self.scale_rewards,
            # Weights are loaded in the type that is quick here; automatic mixed precision would need a GPU.
            use_cpu=not torch.cuda.is_available(), bf16=False, fp16=False, gradient_checkpointing=False,
            save_strategy="steps", save_steps=self.save_steps, save_total_limit=3, logging_steps=1,
            logging_nan_inf_filter=False, disable_tqdm=True, report_to=[], log_completions=False,
            dataloader_pin_memory=False,
        )  # fmt: skip


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
                hunt.step("training", state.global_step, state.max_steps, figures(logs, state.global_step))

        def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            checkpoints.seal(work, state.global_step)

    return Watch()


def figures(logs: Mapping[str, Any], step: int) -> dict[str, float]:
    """What is worth a curve among the trainer's logs.

    Raises:
        ProgramError: the loss or its gradient is no number any more.
    """
    names = {"loss": "loss", "grad_norm": "grad_norm", "kl": "kl", "entropy": "entropy",
             "completions/mean_length": "tokens", "frac_reward_zero_std": "groups_without_spread"}  # fmt: skip
    values = {ours: float(logs[theirs]) for theirs, ours in names.items() if logs.get(theirs) is not None}
    if not all(math.isfinite(values.get(name, 0.0)) for name in ("loss", "grad_norm")):
        raise ProgramError(f"Training diverged at step {step}.", "Lower learning_rate and start a new run.")
    return values
