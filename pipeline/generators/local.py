"""A causal language model on this machine."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import takewhile
from pathlib import Path
from typing import Any

from classifier.artifacts import digest_folder
from classifier.batches import by_length
from classifier.devices import has_bfloat16, is_out_of_memory
from classifier.runfolder import ProgramError, Report
from pipeline.generators import Prompt, generators
from pipeline.generators.weights import DEFAULT_GENERATOR, generator_folder

MOST = 64  # tokens that a nucleus may hold; a wider one is noise from a model this small


@generators.register("local")
@dataclass(frozen=True)
class Local:
    """Write with a model on this machine, in batches; the packaged SmolLM2 needs no network."""

    model: str = DEFAULT_GENERATOR  # packaged name or a folder of safetensors
    batch_size: int = 32
    top_p: float = 0.9
    warm_start: bool = False  # learn first from rewrites that were accepted, where there are enough

    def digest(self) -> str:
        """Digest of the weights that write."""
        return _digest(self.model)

    def generate(self, prompts: Sequence[Prompt], seed: int, report: Report, /) -> list[str | None]:
        """Complete each prompt up to the end of its line, prompts of like length together."""
        return write(*load_model(generator_folder(self.model)), prompts, self.batch_size, self.top_p, seed, report)


def write(
    tokenizer: Any, model: Any, prompts: Sequence[Prompt], batch_size: int, top_p: float, seed: int, report: Report
) -> list[str | None]:
    """Complete each prompt up to the end of its line; where memory runs out, in half batches from there on.

    Raises:
        ProgramError: half a batch does not fit either.
    """
    import torch

    answers: list[str | None] = [None] * len(prompts)
    lengths = [len(ids) for ids in tokenizer([prompt.text for prompt in prompts])["input_ids"]] if prompts else []
    done, pieces = 0, 1
    for number, rows in enumerate(_alike(prompts, lengths, batch_size)):
        torch.manual_seed(hash((seed, number)) % 2**31)
        batch = [prompts[row] for row in rows]
        try:
            texts = _in_pieces(tokenizer, model, batch, top_p, pieces)
        except (RuntimeError, MemoryError) as error:
            if pieces > 1 or not is_out_of_memory(error):
                raise
            pieces = 2
            report(done, len(prompts), f"Memory ran out: {batch_size // 2} prompts at a time from here")
            texts = _in_pieces(tokenizer, model, batch, top_p, pieces)
        for row, text in zip(rows, texts, strict=True):
            answers[row] = text or None
        done += len(rows)
        report(done, len(prompts), "Writing")
    return answers


def _in_pieces(tokenizer: Any, model: Any, batch: Sequence[Prompt], top_p: float, pieces: int) -> list[str]:
    size = math.ceil(len(batch) / pieces)
    try:
        parts = (complete(tokenizer, model, batch[at : at + size], top_p) for at in range(0, len(batch), size))
        return [text for part in parts for text in part]
    except (RuntimeError, MemoryError) as error:
        if pieces > 1 and is_out_of_memory(error):
            raise ProgramError(
                f"Memory ran out with {size} prompts at a time.", "Lower batch_size, or take a smaller generator."
            ) from None
        raise


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


def complete(tokenizer: Any, model: Any, prompts: Sequence[Prompt], top_p: float) -> list[str]:
    """Sample one line after each prompt of a batch.

    Neither reads the same thing twice nor waits for the longest line: what prompts share is read once, equal prompts
    are read once, and a row leaves the batch when its line ends.
    """
    import torch

    texts = [prompt.text for prompt in prompts]
    different = list(dict.fromkeys(texts))
    with torch.inference_mode():
        page = _read(tokenizer, model, different)
        page.keep(torch.tensor([different.index(text) for text in texts], device=model.device))
        limit = max(prompt.max_new_tokens for prompt in prompts)
        rows = _write(model, page, _ends(tokenizer, model), prompts[0].temperature, top_p, limit)
    return [first_line(text) for text in tokenizer.batch_decode(rows, skip_special_tokens=True)]


@dataclass
class _Page:
    """What a model has read, a row a prompt."""

    scores: Any  # (batch, vocabulary) of the next token
    mask: Any  # (batch, tokens read); padding stands between what all share and the rest
    cache: Any

    def keep(self, rows: Any) -> None:
        """Take these rows, as often as they are named."""
        self.scores, self.mask = self.scores[rows], self.mask[rows]
        self.cache.batch_select_indices(rows)

    def turn(self, model: Any, tokens: Any) -> None:
        """Read a token more in each row; shape (batch,)."""
        import torch

        places = self.mask.sum(dim=1, keepdim=True)
        self.mask = torch.cat([self.mask, torch.ones_like(places)], dim=1)
        self.read(model, tokens[:, None], places)

    def read(self, model: Any, ids: Any, places: Any) -> None:
        """Read tokens at their places; both of shape (batch, tokens), the mask is wide enough already."""
        output = model(
            ids, attention_mask=self.mask, position_ids=places, cache=self.cache, use_cache=True, logits_to_keep=1
        )
        self.scores = output.logits[:, -1]


def _read(tokenizer: Any, model: Any, texts: Sequence[str]) -> _Page:
    """Read a batch of prompts; instructions and examples that all of them begin with only once."""
    import torch
    from transformers import DynamicCache

    rows = [tokenizer(text)["input_ids"] for text in texts]
    shared = rows[0][: _shared(rows)]
    rests = {"input_ids": [row[len(shared) :] for row in rows]}
    rest = tokenizer.pad(rests, return_tensors="pt", padding_side="left").to(model.device)
    cache = DynamicCache(config=model.config)
    if shared:
        model(torch.tensor([shared], device=model.device), cache=cache, use_cache=True, logits_to_keep=1)
        cache.batch_repeat_interleave(len(rows))
    mask = torch.cat([rest["attention_mask"].new_ones(len(rows), len(shared)), rest["attention_mask"]], dim=1)
    places = (mask.cumsum(dim=1) - 1).clamp(min=0)[:, len(shared) :]
    page = _Page(None, mask, cache)
    page.read(model, rest["input_ids"], places)
    return page


def _write(model: Any, page: _Page, ends: Any, temperature: float, top_p: float, limit: int) -> list[list[int]]:
    """Sample each row up to the end of its line, `limit` tokens at most, and return the rows' token ids."""
    import torch

    written: list[list[int]] = [[] for _ in page.mask]
    rows = torch.arange(len(written), device=page.mask.device)
    live = torch.ones_like(rows, dtype=torch.bool)
    for step in range(limit):
        tokens = sample(page.scores, temperature, top_p)
        for row, token in zip(rows[live].tolist(), tokens[live].tolist(), strict=True):
            written[row].append(token)
        # The first token may be a line break of its own; one after it ends the answer.
        live &= ~torch.isin(tokens, ends if step else ends[:1])
        if not live.any():
            break
        if live.float().mean() <= 0.8:  # dropping a row copies all others
            page.keep(live.nonzero()[:, 0])
            rows, tokens, live = rows[live], tokens[live], live[live]
        if step + 1 < limit:
            page.turn(model, tokens)
    return written


def sample(scores: Any, temperature: float, top_p: float) -> Any:
    """Draw a token from the nucleus of each row of scores (batch, vocabulary), at most `MOST` tokens wide.

    Sorting and drawing among all 49,152 would take as long as a third of the model's own work.
    """
    import torch

    best, tokens = (scores.float() / temperature).topk(min(MOST, scores.shape[-1]), dim=-1)
    chances = best.softmax(dim=-1)
    nucleus = chances.cumsum(dim=-1) - chances < top_p  # the token that crosses the border belongs to it
    drawn = torch.multinomial(chances * nucleus, num_samples=1)
    return tokens.gather(1, drawn)[:, 0]


def _shared(rows: Sequence[Sequence[int]]) -> int:
    """How many tokens all rows begin with; each keeps one of its own, from which its answer starts."""
    columns = zip(*(row[:-1] for row in rows), strict=False)
    return sum(1 for _ in takewhile(lambda column: len(set(column)) == 1, columns))


def first_line(text: str) -> str:
    """The first line that is not empty."""
    return next((line.strip() for line in text.splitlines() if line.strip()), "")


def _ends(tokenizer: Any, model: Any) -> Any:
    """Ids that end an answer, shape (ids,): that of the end of text, then those of line breaks."""
    import torch

    return torch.cat([torch.tensor([tokenizer.eos_token_id]), newline_tokens(tokenizer)]).to(model.device)


@lru_cache(maxsize=2)
def newline_tokens(tokenizer: Any) -> Any:
    """Ids of all tokens that hold a line break."""
    import torch

    return torch.tensor([i for i in range(len(tokenizer)) if "\n" in tokenizer.decode([i])])
