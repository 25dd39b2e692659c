"""A local generator with a trained adapter."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from classifier.artifacts import digest_file, verify
from classifier.devices import has_bfloat16
from classifier.runfolder import Report
from pipeline.generators import Prompt
from pipeline.generators.local import Local, newline_tokens, write
from pipeline.generators.weights import generator_folder

WEIGHTS = "adapter_model.safetensors"


@dataclass(frozen=True)
class Tuned:
    """Writes as the base generator does, with the adapter on."""

    base: Local
    adapter: Path

    def digest(self) -> str:
        """Digests of the base weights and of the adapter's.

        Not of its folder: the adapter's configuration lists layers in an order that differs from process to process.
        """
        verify(self.adapter)
        return f"{self.base.digest()}+{digest_file(self.adapter / WEIGHTS)[:16]}"

    def generate(self, prompts: Sequence[Prompt], seed: int, report: Report, /) -> list[str | None]:
        """Complete each prompt up to the end of its line."""
        pair = load_tuned(generator_folder(self.base.model), self.adapter)
        return write(*pair, prompts, self.base.batch_size, self.base.top_p, seed, report)


def with_adapter(writer: Local | Tuned, adapter: Path) -> Tuned:
    """The weights of a writer with this adapter on, instead of the one that it may have."""
    return Tuned(writer if isinstance(writer, Local) else writer.base, adapter)


@lru_cache(maxsize=1)
def load_tuned(folder: Path, adapter: Path) -> tuple[Any, Any]:
    """Tokenizer and base model with the adapter on, once per process."""
    import torch
    from peft import PeftModel

    tokenizer, base = load_for_training(folder)
    # Not merged: bfloat16 would round most of a small adapter away.
    model = PeftModel.from_pretrained(base, adapter)
    return tokenizer, model.to("cuda" if torch.cuda.is_available() else "cpu").eval()


def load_for_training(folder: Path) -> tuple[Any, Any]:
    """Tokenizer and model. The end of a line counts as the end of a text, as it does when searching."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder, padding_side="left", trust_remote_code=False)
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    model = AutoModelForCausalLM.from_pretrained(
        folder, dtype=torch.bfloat16 if has_bfloat16() else torch.float32, use_safetensors=True, trust_remote_code=False
    )
    model.generation_config.eos_token_id = [tokenizer.eos_token_id, *newline_tokens(tokenizer).tolist()]
    return tokenizer, model
