"""How weights move: what is trained, at which rate, and the running mean of where it has been."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from classifier.config import TrainSettings

if TYPE_CHECKING:
    import torch


def choose_weights(guard: Any, settings: TrainSettings) -> None:
    """Say which weights of a new guard are trained: all, adapters of low rank, or the heads alone."""
    if settings.frozen:
        guard.encoder.requires_grad_(False)
    elif settings.lora_rank:
        from peft import LoraConfig, TaskType, get_peft_model

        adapters = LoraConfig(
            r=settings.lora_rank, lora_alpha=2 * settings.lora_rank, lora_dropout=settings.dropout,
            target_modules="all-linear", task_type=TaskType.FEATURE_EXTRACTION,
        )  # fmt: skip
        guard.encoder = get_peft_model(guard.encoder, adapters)


def merge_adapters(guard: Any) -> None:
    """Fold adapters into the encoder, so that what is saved is a plain encoder."""
    if hasattr(guard.encoder, "merge_and_unload"):
        guard.encoder = guard.encoder.merge_and_unload()


def make_optimizer(guard: Any, settings: TrainSettings) -> torch.optim.AdamW:
    """AdamW over what is trained, the heads at a rate of their own."""
    import torch

    trained = [(name, p) for name, p in guard.named_parameters() if p.requires_grad]
    groups = [
        {"params": [p for name, p in trained if name.startswith("encoder.")], "lr": settings.learning_rate},
        {"params": [p for name, p in trained if not name.startswith("encoder.")], "lr": settings.head_learning_rate},
    ]
    full = [group for group in groups if group["params"]]
    # One pass over the weights: on two cores the other way takes a fifth of a step of a small encoder.
    optimizer = torch.optim.AdamW(full, weight_decay=settings.weight_decay, fused=True)
    for group in optimizer.param_groups:
        group["full_rate"] = group["lr"]
    return optimizer


def set_rates(optimizer: torch.optim.AdamW, fraction: float, warm_up: float, least: float) -> None:
    """Linear warm-up, then linear decay to zero; `fraction` of the training is done, a step is `least` of it."""
    rate = min((fraction + least) / max(warm_up, least), (1 - fraction) / max(1 - warm_up, least))
    for group in optimizer.param_groups:
        group["lr"] = group["full_rate"] * max(0.0, rate)


class RunningMean:
    """Exponential mean of a guard's weights: a flatter place than any single step, for unseen text above all."""

    def __init__(self, guard: Any, decay: float) -> None:
        self.decay = decay
        self.weights = {name: value.detach().clone() for name, value in guard.state_dict().items()} if decay else {}

    def update(self, guard: Any, step: int) -> None:
        """Take in the weights after a step; early steps forget faster, so that the start does not linger."""
        decay = min(self.decay, (1 + step) / (10 + step))
        current = guard.state_dict()
        for name, mean in self.weights.items():
            if mean.is_floating_point():
                mean.lerp_(current[name].detach(), 1 - decay)

    @contextmanager
    def in_place(self, guard: Any) -> Iterator[None]:
        """Let the guard wear the mean for a while."""
        if not self.weights:
            yield
            return
        worn = {name: value.detach().clone() for name, value in guard.state_dict().items()}
        guard.load_state_dict(self.weights)
        try:
            yield
        finally:
            guard.load_state_dict(worn)
