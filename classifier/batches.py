"""Batches of texts of like length: a short text should not pay for a long neighbour's padding."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

POOL = 16  # batches sorted together: enough to even lengths out, few enough to keep the order random


def encode(tokenizer: Any, texts: Sequence[str], max_length: int | None) -> list[list[int]]:
    """Token ids of each text, cut to `max_length`. Lone surrogates, which no tokenizer takes, become question marks."""
    if not texts:  # which a tokenizer would stumble over
        return []
    clean = [text.encode("utf-8", "replace").decode("utf-8") for text in texts]
    cut = {"truncation": True, "max_length": max_length} if max_length else {"verbose": False}
    ids: list[list[int]] = tokenizer(clean, **cut)["input_ids"]
    return ids


def edges(tokenizer: Any) -> tuple[int, int]:
    """How many special tokens a tokenizer puts before and after a text."""
    with_special, plain = tokenizer("a")["input_ids"], tokenizer("a", add_special_tokens=False)["input_ids"]
    before = next((at for at, token in enumerate(with_special) if token in plain), len(with_special))
    return before, len(with_special) - before - len(plain)


def pad(ids: Sequence[Sequence[int]], padding: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Token ids and attention mask, both [batch, longest]."""
    import torch

    longest = max(map(len, ids))
    tokens = torch.full((len(ids), longest), padding, dtype=torch.long)
    mask = torch.zeros_like(tokens)
    for row, sequence in enumerate(ids):
        tokens[row, : len(sequence)] = torch.tensor(sequence)
        mask[row, : len(sequence)] = 1
    return tokens, mask


def by_length(lengths: Sequence[int], size: int) -> Iterator[list[int]]:
    """Indices in batches from short to long, for scoring."""
    order = sorted(range(len(lengths)), key=lengths.__getitem__)
    for start in range(0, len(order), size):
        yield order[start : start + size]


def shuffled(lengths: Sequence[int], size: int, seed: int, epoch: int) -> list[list[int]]:
    """One epoch's batches in an order that (seed, epoch) alone decide, so that a resumed run repeats it exactly."""
    chance = random.Random(f"{seed}:{epoch}")
    order = list(range(len(lengths)))
    chance.shuffle(order)
    batches: list[list[int]] = []
    for start in range(0, len(order), size * POOL):
        pool = sorted(order[start : start + size * POOL], key=lengths.__getitem__)
        batches += [pool[at : at + size] for at in range(0, len(pool), size)]
    chance.shuffle(batches)
    return batches
