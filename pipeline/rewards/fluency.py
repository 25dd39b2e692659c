"""How likely a text is to a language model: the finer test against gibberish."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

BEFORE = "Message:"  # what the text stands behind, as in the prompts; without it the first word weighs too much
LONGEST = 512  # tokens of a text that are read: the beginning tells
BUDGET = 1024  # tokens read at once, padding included: each needs a probability for every token there is, 400 KB in all
MOST_UNLIKELY = 0.02  # share of the seeds that may lie below the floor
MARGIN = 0.5  # nats per token below that quantile: rewrites of odd seeds are odd too


@dataclass(frozen=True)
class Fluency:
    """Mean log-probability per token (nats) under a causal language model."""

    folder: Path

    def __call__(self, texts: Sequence[str]) -> list[float]:
        from classifier.networks import by_budget
        from pipeline.generators.local import load_model

        if not texts:
            return []
        tokenizer, _ = load_model(self.folder)
        ids = tokenizer([f"{BEFORE} {text}" for text in texts], truncation=True, max_length=LONGEST)["input_ids"]
        order = sorted(range(len(ids)), key=lambda row: len(ids[row]))
        values = [0.0] * len(texts)
        for part in by_budget([ids[row] for row in order], BUDGET):
            rows = order[part]
            for row, value in zip(rows, self._batch([ids[row] for row in rows]), strict=True):
                values[row] = value
        return values

    def _batch(self, ids: Sequence[Sequence[int]]) -> list[float]:
        import torch

        from pipeline.generators.local import load_model

        tokenizer, model = load_model(self.folder)
        batch = tokenizer.pad({"input_ids": ids}, return_tensors="pt").to(model.device)
        with torch.inference_mode():
            logits = model(**batch).logits[:, :-1].float()
        tokens, mask = batch["input_ids"][:, 1:], batch["attention_mask"]
        # A token counts when it and the one before it are text: padding stands on the left.
        counted = mask[:, 1:] * mask[:, :-1]
        likely = torch.log_softmax(logits, -1).gather(-1, tokens[..., None])[..., 0]
        values: list[float] = ((likely * counted).sum(1) / counted.sum(1).clamp(min=1)).tolist()
        return values


def floor_of(values: Sequence[float], margin: float = MARGIN) -> float:
    """The least that is fluent, judged by the seeds; `margin` in nats per token."""
    if not values:
        return float("-inf")
    return sorted(values)[int(MOST_UNLIKELY * len(values))] - margin
