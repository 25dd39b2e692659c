"""What the methods that train the generator share."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from classifier.devices import Devices
from classifier.runfolder import ProgramError
from pipeline.adversary.hunt import Hunt
from pipeline.adversary.tuned import Tuned, load_for_training
from pipeline.generators.local import Local
from pipeline.generators.weights import generator_folder


def trainable(hunt: Hunt, method: str) -> Local | Tuned:
    """Return the generator of a hunt, whose weights lie on this machine.

    Raises:
        ProgramError: they lie elsewhere.
    """
    if not isinstance(hunt.generator, Local | Tuned):
        raise ProgramError(
            f"{method} should train a generator on this machine, found another kind.",
            "Use the generator 'local', or the method 'best-of-n'.",
        )
    return hunt.generator


def beginning(writer: Local | Tuned, rank: int) -> dict[str, Any]:
    """What a trainer begins with: model, tokenizer and a new adapter; or a warm-started writer's own, to go on with.

    That adapter is trained further, at its own rank: merged into weights of bfloat16 it would be rounded away, and a
    second one on top of it would have to be carried along wherever the first goes. The trainer keeps a frozen copy of
    it as the reference, so that leaving what people accepted has the price, not staying with it.
    """
    from peft import PeftModel

    if isinstance(writer, Local):
        tokenizer, model = load_for_training(generator_folder(writer.model))
        return {"model": model, "processing_class": tokenizer, "peft_config": lora(rank)}
    tokenizer, base = load_for_training(generator_folder(writer.base.model))
    model = PeftModel.from_pretrained(base, writer.adapter, is_trainable=True)
    return {"model": model, "processing_class": tokenizer}


def save(model: Any, folder: Path) -> None:
    """Save the adapter that was trained; not the reference beside it, which a warm-started writer leaves."""
    model.save_pretrained(folder, selected_adapters=["default"])


def share(rows: int, devices: Devices, names: str) -> int:
    """How many rows of a step are one process's.

    Raises:
        ProgramError: they cannot be shared out evenly; the remedy names the settings that say how many there are.
    """
    if rows % devices.count:
        raise ProgramError(
            f"A step of {rows} rows should be shared evenly, found {devices.count} processes.",
            f"Choose {names} so that {devices.count} divides the rows, or start another number of processes.",
        )
    return rows // devices.count


def lora(rank: int) -> Any:
    """A small adapter on every linear layer. With it off the base is the reference: no second copy in memory."""
    from peft import LoraConfig

    return LoraConfig(r=rank, lora_alpha=2 * rank, target_modules="all-linear", task_type="CAUSAL_LM")


def arguments(work: Path, seed: int, steps: int, learning_rate: float) -> dict[str, Any]:
    """What any training here wants of the library: a log line a step, and nothing printed, sent or rounded."""
    import torch

    return {
        "output_dir": str(work), "seed": seed, "max_steps": steps, "learning_rate": learning_rate,
        "lr_scheduler_type": "constant_with_warmup", "warmup_steps": min(2, steps - 1), "max_grad_norm": 1.0,
        # Weights are loaded in the type that is quick here; automatic mixed precision would need a GPU.
        "use_cpu": not torch.cuda.is_available(), "bf16": False, "fp16": False, "gradient_checkpointing": False,
        "logging_steps": 1, "logging_nan_inf_filter": False, "disable_tqdm": True, "report_to": [],
        "dataloader_pin_memory": False,
    }  # fmt: skip


def silence(trainer: Any) -> Any:
    """Take the callbacks that print from a trainer."""
    from transformers import PrinterCallback, ProgressCallback

    for noisy in (PrinterCallback, ProgressCallback):
        trainer.remove_callback(noisy)
    return trainer


def figures(logs: Mapping[str, Any], step: int, names: Mapping[str, str]) -> dict[str, float]:
    """What is worth a curve among the trainer's logs, by our own names.

    Raises:
        ProgramError: the loss or its gradient is no number any more.
    """
    every = {"loss": "loss", "grad_norm": "grad_norm", **names}
    values = {ours: float(logs[theirs]) for theirs, ours in every.items() if logs.get(theirs) is not None}
    if not all(math.isfinite(values.get(name, 0.0)) for name in ("loss", "grad_norm")):
        raise ProgramError(f"Training diverged at step {step}.", "Lower learning_rate and start a new run.")
    return values
