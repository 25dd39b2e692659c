"""A causal language model on this machine."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import takewhile
from pathlib import Path
from typing import Any

from classifier.artifacts import digest_folder
from classifier.batches import by_length
from classifier.runfolder import Report
from pipeline.generators import Prompt, generators
from pipeline.generators.weights import DEFAULT_GENERATOR, generator_folder


@generators.register("local")
@dataclass(frozen=True)
class Local:
    """Write with a model on this machine, in batches; the packaged SmolLM2 needs no network."""

    model: str = DEFAULT_GENERATOR  # packaged name or a folder of safetensors
    batch_size: int = 32
    top_p: float = 0.9

    def digest(self) -> str:
        """Digest of the weights that write."""
        return _digest(self.model)

    def generate(self, prompts: Sequence[Prompt], seed: int, report: Report, /) -> list[str | None]:
        """Complete each prompt up to the end of its line, prompts of like length together."""
        import torch

        tokenizer, model = load_model(generator_folder(self.model))
        answers: list[str | None] = [None] * len(prompts)
        lengths = [len(ids) for ids in tokenizer([prompt.text for prompt in prompts])["input_ids"]] if prompts else []
        done = 0
        for number, rows in enumerate(_alike(prompts, lengths, self.batch_size)):
            torch.manual_seed(hash((seed, number)) % 2**31)
            for row, text in zip(
                rows, complete(tokenizer, model, [prompts[row] for row in rows], self.top_p), strict=True
            ):
                answers[row] = text or None
            done += len(rows)
            report(done, len(prompts), "Writing")
        return answers


def _alike(prompts: Sequence[Prompt], lengths: Sequence[int], size: int) -> Iterator[list[int]]:
    """Batches of prompts that are sampled alike, of like length."""
    kinds: dict[tuple[float, int], list[int]] = {}
    for row, prompt in enumerate(prompts):
        kinds.setdefault((prompt.temperature, prompt.max_new_tokens), []).append(row)
    for rows in kinds.values():
        for batch in by_length([lengths[row] for row in rows], size):
            yield [rows[at] for at in batch]


@lru_cache(maxsize=2)
def _digest(name: str) -> str:
    return digest_folder(generator_folder(name))[:16]


@lru_cache(maxsize=1)
def load_model(folder: Path) -> tuple[Any, Any]:
    """Tokenizer (padding left) and model, in bfloat16 where the CPU computes with it, once per process."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder, padding_side="left", trust_remote_code=False)
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    model = AutoModelForCausalLM.from_pretrained(
        folder, dtype=torch.bfloat16 if has_bfloat16() else torch.float32, use_safetensors=True, trust_remote_code=False
    )
    return tokenizer, model.to("cuda" if torch.cuda.is_available() else "cpu").eval()


def has_bfloat16() -> bool:
    """Whether bfloat16 is quick here: on a GPU, or on a CPU with instructions for it. Elsewhere it is emulated."""
    import torch

    return bool(torch.cuda.is_available() or torch.ops.mkldnn._is_mkldnn_bf16_supported())


def complete(tokenizer: Any, model: Any, prompts: Sequence[Prompt], top_p: float) -> list[str]:
    """Sample one line after each prompt of a batch."""
    import torch

    with torch.inference_mode():
        batch = _encode(tokenizer, model, [prompt.text for prompt in prompts])
        output = model.generate(
            **batch, do_sample=True, temperature=prompts[0].temperature, top_p=top_p, top_k=0,
            max_new_tokens=max(prompt.max_new_tokens for prompt in prompts), pad_token_id=tokenizer.pad_token_id,
            stopping_criteria=[AfterLine(tokenizer, batch["input_ids"].shape[1])],
        )  # fmt: skip
    texts = tokenizer.batch_decode(output[:, batch["input_ids"].shape[1] :], skip_special_tokens=True)
    return [first_line(text) for text in texts]


def _encode(tokenizer: Any, model: Any, texts: Sequence[str]) -> dict[str, Any]:
    """What `generate` takes for a batch. Instructions and examples that all prompts begin with are read only once.

    Shapes: input_ids and attention_mask (batch, shared + longest rest); the padding stands between the two parts.
    """
    import torch
    from transformers import DynamicCache

    rows = [tokenizer(text)["input_ids"] for text in texts]
    shared = rows[0][: _shared(rows)]
    rests = {"input_ids": [row[len(shared) :] for row in rows]}
    rest = tokenizer.pad(rests, return_tensors="pt", padding_side="left").to(model.device)
    if not shared:
        return dict(rest)
    start, cache = torch.tensor([shared], device=model.device), DynamicCache(config=model.config)
    model(start, cache=cache, use_cache=True, logits_to_keep=1)
    cache.batch_repeat_interleave(len(rows))
    starts = start.expand(len(rows), -1)
    return {
        "input_ids": torch.cat([starts, rest["input_ids"]], dim=1),
        "attention_mask": torch.cat([torch.ones_like(starts), rest["attention_mask"]], dim=1),
        "cache": cache,
    }


def _shared(rows: Sequence[Sequence[int]]) -> int:
    """How many tokens all rows begin with; each keeps one of its own, from which its answer starts."""
    columns = zip(*(row[:-1] for row in rows), strict=False)
    return sum(1 for _ in takewhile(lambda column: len(set(column)) == 1, columns))


def first_line(text: str) -> str:
    """The first line that is not empty."""
    return next((line.strip() for line in text.splitlines() if line.strip()), "")


class AfterLine:
    """Stop each row at the end of its line: the rest of the budget would go into text that is thrown away."""

    def __init__(self, tokenizer: Any, start: int) -> None:
        self._newlines = newline_tokens(tokenizer)
        self._start = start

    def __call__(self, input_ids: Any, scores: Any, **_: Any) -> Any:
        import torch

        # The first token may be a line break of its own; one after it ends the answer.
        written = input_ids[:, self._start + 1 :]
        return torch.isin(written, self._newlines.to(written.device)).any(dim=1)


@lru_cache(maxsize=2)
def newline_tokens(tokenizer: Any) -> Any:
    """Ids of all tokens that hold a line break."""
    import torch

    return torch.tensor([i for i in range(len(tokenizer)) if "\n" in tokenizer.decode([i])])
