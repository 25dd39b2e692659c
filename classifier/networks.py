"""The forward pass behind a scorer: token ids in, logits out, whatever runs it.

A `Network` is all that scoring knows of torch, ONNX Runtime or OpenVINO. What cuts texts into windows or reads them
twice stands in front of it and stays the same for all of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

Ids = Sequence[Sequence[int]]
Logits = tuple[NDArray[np.float64], NDArray[np.float64]]

BUDGET = 1024  # tokens a pass, padding counted: of 128 tokens, 8 a pass cost 13.9 ms each, 16 cost 15.0, 32 cost 15.9


class Network(Protocol):
    """Something that answers for token ids."""

    categories: list[str]

    def logits(self, ids: Ids) -> Logits:
        """Raw logits in the order of the sequences: verdict [n], categories [n, k]."""


class Eager:
    """The guard as training left it, run by torch."""

    def __init__(self, guard: Any, padding: int) -> None:
        self._guard, self._padding = guard.eval(), padding
        self.categories: list[str] = list(guard.categories)

    def logits(self, ids: Ids) -> Logits:
        import torch

        tokens, mask = padded(ids, self._padding)
        device = next(self._guard.parameters()).device
        with torch.inference_mode():
            verdict, category = self._guard(torch.from_numpy(tokens).to(device), torch.from_numpy(mask).to(device))
        return verdict.double().cpu().numpy(), category.double().cpu().numpy()


def network(guard: Any, padding: int) -> Network:
    """The guard itself where it is a network already, else the guard run by torch."""
    return guard if hasattr(guard, "logits") else Eager(guard, padding)


def padded(ids: Ids, padding: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Token ids and attention mask, both [batch, longest]."""
    tokens = np.full((len(ids), max(map(len, ids))), padding, np.int64)
    mask = np.zeros_like(tokens)
    for row, sequence in enumerate(ids):
        tokens[row, : len(sequence)] = sequence
        mask[row, : len(sequence)] = 1
    return tokens, mask


def by_budget(ids: Ids, budget: int = BUDGET) -> Iterator[slice]:
    """Runs of neighbours that together, padded to their longest, stay within `budget` tokens; at least one each.

    Sequences should come sorted by length: a run is then as even as it can be.
    """
    start, longest = 0, 0
    for at, sequence in enumerate(ids):
        longest = max(longest, len(sequence))
        if at > start and longest * (at + 1 - start) > budget:
            yield slice(start, at)
            start, longest = at, len(sequence)
    if start < len(ids):
        yield slice(start, len(ids))
