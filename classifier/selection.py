"""Which rows are worth learning from, where there are more than one can afford: a small proxy tells.

The proxy is a linear head on the sentence vectors of a frozen encoder, so it sees every row within seconds. What it
went through with each row decides, by one of `METHODS`:

* `trajectories`: rows whose losses ran alike from epoch to epoch are of one kind, whatever they are about; k-means
  finds the kinds, and each gives equally much, the small ones all they have. This is our reading of the abstract of
  S2L (Yang et al. 2024, "SmallToLarge"); nothing else of that paper was at hand, so what differs from it is ours.
* `uncertainty`: what the proxy is torn about at the end.
* `forgetting`: what it had right and lost again, most often first (Toneva et al. 2019, "forgetting events").
* `disagreement`: where proxies that learnt from different families, and not from this row, say different things.
* `random`: the baseline, in proportion to the labels.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from classifier.embed import Embedder

Array = NDArray[np.float64]

EPOCHS = 12  # points of a trajectory
BATCH = 64  # rows to a step of the proxy
RATE = 0.5  # of plain gradient descent on unit vectors, scaled by `SCALE`
SCALE = 8.0  # unit vectors are short: without it the head would need hundreds of epochs
DECAY = 1e-4
ROWS_A_KIND = 20  # k-means looks for one kind per so many wanted rows
THIRDS = 3


@dataclass(frozen=True)
class Evidence:
    """What proxies went through: sentence vectors [n, width], 0/1 labels [n], and a family per row [n]."""

    vectors: Array
    labels: Array
    families: Sequence[str]
    seed: int = 0

    @cached_property
    def chances(self) -> Array:
        """Probability of unsafe that one proxy gave each row after each epoch [n, epochs]."""
        return _chances(self.vectors, self.labels, np.arange(len(self.labels)), self.seed)

    @cached_property
    def losses(self) -> Array:
        """Cross-entropy of each row after each epoch [n, epochs]."""
        right = np.where(self.labels[:, None] == 1, self.chances, 1 - self.chances)
        losses: Array = -np.log(np.clip(right, 1e-7, 1.0))
        return losses

    @cached_property
    def outside(self) -> Array:
        """What two proxies that saw nothing of a row's third of the families say of it [n, 2]."""
        thirds = np.array([int(hashlib.sha256(name.encode()).hexdigest(), 16) % THIRDS for name in self.families])
        said = np.stack([
            _chances(self.vectors, self.labels, np.flatnonzero(thirds == third), self.seed)[:, -1]
            for third in range(THIRDS)
        ])  # fmt: skip
        others = np.stack([(thirds + 1) % THIRDS, (thirds + 2) % THIRDS])
        return np.take_along_axis(said, others, axis=0).T


def _chances(vectors: Array, labels: Array, train: NDArray[np.int64], seed: int) -> Array:
    """Train a linear head on the rows `train`; its probabilities for all rows after each epoch."""
    random = np.random.default_rng(seed)
    inputs = np.concatenate([vectors * SCALE, np.ones((len(vectors), 1))], axis=1)
    head, told = np.zeros(inputs.shape[1]), np.zeros((len(labels), EPOCHS))
    for epoch in range(EPOCHS):
        rate = RATE * (1 - epoch / EPOCHS)
        order = random.permutation(train)
        for rows in (order[at : at + BATCH] for at in range(0, len(order), BATCH)):
            error = _sigmoid(inputs[rows] @ head) - labels[rows]
            head -= rate * (inputs[rows].T @ error / len(rows) + DECAY * head)
        told[:, epoch] = _sigmoid(inputs @ head)
    return told


def _sigmoid(values: Array) -> Array:
    chances: Array = 1 / (1 + np.exp(-np.clip(values, -30, 30)))
    return chances


# Methods: evidence, how many are wanted, randomness → row numbers


def _random(evidence: Evidence, count: int, random: np.random.Generator) -> list[int]:
    chosen: list[int] = []
    sizes = [np.flatnonzero(evidence.labels == label) for label in (0, 1)]
    for rows in sizes:
        share = round(count * len(rows) / len(evidence.labels))
        chosen += random.permutation(rows)[:share].tolist()
    rest: list[int] = random.permutation(np.setdiff1d(np.arange(len(evidence.labels)), chosen)).tolist()
    return (chosen + rest)[:count]


def _trajectories(evidence: Evidence, count: int, random: np.random.Generator) -> list[int]:
    from sklearn.cluster import KMeans

    kinds = max(1, min(count // ROWS_A_KIND, 100))
    found = KMeans(kinds, n_init=1, random_state=evidence.seed).fit_predict(evidence.losses)
    groups = sorted((np.flatnonzero(found == kind) for kind in range(kinds)), key=len)
    chosen: list[int] = []
    for at, rows in enumerate(groups):  # what a small kind cannot give, the larger ones share
        fair = -(-(count - len(chosen)) // (kinds - at))
        chosen += random.permutation(rows)[:fair].tolist()
    return chosen[:count]


def _uncertainty(evidence: Evidence, count: int, random: np.random.Generator) -> list[int]:
    return _first(np.abs(evidence.chances[:, -1] - 0.5), count, random)


def _forgetting(evidence: Evidence, count: int, random: np.random.Generator) -> list[int]:
    right = (evidence.chances > 0.5) == (evidence.labels[:, None] == 1)
    lost = (right[:, :-1] & ~right[:, 1:]).sum(axis=1).astype(float)
    never = ~right.any(axis=1)
    return _first(-np.where(never, lost.max(initial=0.0) + 1, lost), count, random)  # never learnt: forgotten always


def _disagreement(evidence: Evidence, count: int, random: np.random.Generator) -> list[int]:
    return _first(-np.abs(evidence.outside[:, 0] - evidence.outside[:, 1]), count, random)


def _first(keys: Array, count: int, random: np.random.Generator) -> list[int]:
    """The rows with the lowest keys; among equals chance decides, not their place in the file."""
    return [int(row) for row in np.lexsort((random.random(len(keys)), keys))[:count]]


Method = Callable[[Evidence, int, np.random.Generator], list[int]]
METHODS: Mapping[str, Method] = {
    "trajectories": _trajectories, "uncertainty": _uncertainty, "forgetting": _forgetting,
    "disagreement": _disagreement, "random": _random,
}  # fmt: skip


def select(evidence: Evidence, method: str, count: int) -> list[int]:
    """Numbers of the `count` rows that a method chooses, in ascending order; all rows where there are no more."""
    if count >= len(evidence.labels):
        return list(range(len(evidence.labels)))
    return sorted(METHODS[method](evidence, count, np.random.default_rng(evidence.seed)))


def evidence_of(
    rows: Sequence[Mapping[str, Any]], seed: int = 0, progress: Callable[[int, int], None] | None = None
) -> Evidence:
    """Embed the rows (`text`, `label`, and `family` where they have one) with the packaged encoder."""
    vectors = Embedder().embed([row["text"] for row in rows], progress).astype(np.float64)
    labels = np.array([float(row["label"] == "unsafe") for row in rows])
    return Evidence(vectors, labels, [str(row.get("family") or row["text"]) for row in rows], seed)
