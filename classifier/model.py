"""The guard: a small encoder, mean pooling, one head for the verdict and one for the categories."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from classifier.artifacts import refuse_executable, verify
from classifier.runfolder import ProgramError, write_json

if TYPE_CHECKING:
    import torch

GUARD = "guard.json"
HEADS = "heads.safetensors"


def make_guard_class() -> type[Any]:
    """Return the `Guard` class. Made in a function because its base class is torch's."""
    from torch import nn

    class Guard(nn.Module):
        """Encoder and heads. Logits: verdict [batch], categories [batch, len(categories)]."""

        def __init__(self, encoder: Any, categories: Sequence[str], dropout: float = 0.1) -> None:
            super().__init__()
            self.encoder = encoder
            self.categories = list(categories)
            self.dropout = nn.Dropout(dropout)
            width = encoder.config.hidden_size
            self.verdict = nn.Linear(width, 1)
            self.category = nn.Linear(width, len(self.categories)) if self.categories else None

        def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            return self.heads(self.vectors(input_ids, attention_mask))

        def vectors(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
            hidden = self.encoder(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
            return mean_pool(hidden.float(), attention_mask)

        def heads(self, vectors: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            pooled = self.dropout(vectors)
            verdict = self.verdict(pooled).squeeze(-1)
            if self.category is None:
                return verdict, verdict.new_zeros(len(verdict), 0)
            return verdict, self.category(pooled)

        def head_state(self) -> dict[str, torch.Tensor]:
            return {k: v.detach().contiguous() for k, v in self.state_dict().items() if not k.startswith("encoder.")}

    return Guard


def mean_pool(hidden: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Average token vectors [batch, tokens, width] over the tokens that are there, giving [batch, width]."""
    weights = mask.unsqueeze(-1).to(hidden.dtype)
    pooled: torch.Tensor = (hidden * weights).sum(1) / weights.sum(1).clamp(min=1)
    return pooled


def load_encoder(folder: Path) -> tuple[Any, Any]:
    """Load tokenizer and encoder from a folder of safetensors, never running code of its own."""
    from safetensors import SafetensorError
    from transformers import AutoModel, AutoTokenizer

    refuse_executable(folder)
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
        encoder = AutoModel.from_pretrained(folder, trust_remote_code=False, use_safetensors=True)
    except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
        raise ProgramError(
            f"{folder} does not load as a transformers encoder ({type(error).__name__}).", "Use another model folder."
        ) from None
    return tokenizer, encoder.float()


def build(folder: Path, categories: Sequence[str], dropout: float) -> tuple[Any, Any]:
    """A new guard on an encoder's weights: (tokenizer, guard)."""
    tokenizer, encoder = load_encoder(folder)
    return tokenizer, make_guard_class()(encoder, categories, dropout)


def save(guard: Any, tokenizer: Any, folder: Path, card: dict[str, Any]) -> None:
    """Write a guard: encoder and heads as safetensors, tokenizer, and `guard.json` with all it takes to decide."""
    from safetensors.torch import save_file

    folder.mkdir(parents=True, exist_ok=True)
    guard.encoder.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    save_file(guard.head_state(), folder / HEADS)
    write_json(folder / GUARD, {**card, "categories": guard.categories, "format": 1})


def load(folder: Path, *, trusted: bool = False) -> tuple[Any, Any, dict[str, Any]]:
    """Load (tokenizer, guard, card) after checking every digest.

    Raises:
        ProgramError: the folder is not a whole guard.
    """
    from safetensors.torch import load_file

    if not folder.is_dir():
        raise ProgramError(f"There is no guard at {folder}.", "Give the folder that training wrote.")
    if not trusted:
        verify(folder)
    card: dict[str, Any] = json.loads((folder / GUARD).read_text(encoding="utf-8"))
    tokenizer, encoder = load_encoder(folder)
    guard = make_guard_class()(encoder, card["categories"])
    missing, unexpected = guard.load_state_dict(load_file(folder / HEADS), strict=False)
    if unexpected or [name for name in missing if not name.startswith("encoder.")]:
        raise ProgramError(f"{HEADS} in {folder} does not fit its guard.json.", "Train again.")
    return tokenizer, guard.eval(), card
