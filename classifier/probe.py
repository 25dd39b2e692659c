"""Heads that begin where a linear probe of the untouched encoder ends.

Logistic regression on frozen vectors first, all weights afterwards: heads that start from nothing bend the encoder
before they know where to, which costs most on text unlike the training's (Kumar et al. 2022), and in a few hundred
steps they never learn rare categories.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from classifier.calibrate import temperature

STRENGTHS = (4.0, 1.0, 0.25)  # inverse regularization, for vectors of mean length 1; held-out rows choose among them
MOST = 5000  # rows: the probe only has to know the direction
FEWEST = 2  # rows of each kind
CAUTIOUS = 1.0  # the strength at which sources are compared
GROUPS = 4  # of sources, each left out once
UNSEEN = 20  # rows that a category without any is thought not to be on: started at even odds it would be the likeliest

Held = tuple[Any, NDArray[np.float32]]


def sample(count: int, seed: int) -> NDArray[np.int64]:
    """The rows, of `count`, that the probe looks at."""
    return np.sort(np.random.default_rng(seed).permutation(count)[:MOST])


def start_heads(
    guard: Any, vectors: Any, label: NDArray[np.float32], category: NDArray[np.float32], held: Held | None = None
) -> None:
    """Set the heads of a guard from vectors [n, width], labels [n] and category targets [n, k], nan for unknown.

    Vectors and labels that were held out choose how strongly the verdict's probe is held back: from a few hundred rows
    a strong one learns by heart what an unseen source contradicts.
    """
    import torch

    found = _array(vectors)
    scale = float(np.linalg.norm(found, axis=1).mean()) or 1.0
    strength = _strength(found / scale, label, held and (_array(held[0]) / scale, held[1]))
    with torch.no_grad():
        _set(guard.verdict, 0, found / scale, label, scale, strength)
        for at in range(category.shape[1]):
            known = ~np.isnan(category[:, at])
            _set(guard.category, at, found[known] / scale, category[known, at], scale, STRENGTHS[0])


def caution(vectors: Any, label: NDArray[np.float32], sources: Sequence[str]) -> float:
    """By how much less sure one has to be where half of what comes is of sources that were never seen, at least 1.

    Probes are fitted without a quarter of the rows, and without the sources of a quarter of them. What they say of what
    they had not seen gives two temperatures: of the first alone, as a validation split gives it, and of both together.
    Without at least four sources there is nothing to tell it from.
    """
    found = _array(vectors)
    found /= float(np.linalg.norm(found, axis=1).mean()) or 1.0
    groups = _groups(label, sources)
    if groups is None:
        return 1.0
    shuffled = np.random.default_rng(0).permutation(groups)
    known, strange = (_unseen(found, label, parts) for parts in (shuffled, groups))
    both = temperature(np.append(known, strange), np.append(label, label))
    return max(1.0, both / temperature(known, np.asarray(label, float)))


def _groups(label: NDArray[np.float32], sources: Sequence[str]) -> NDArray[np.int64] | None:
    """The group of each row [n], like sources dealt out in turn; None where one could not do without any of them."""
    names = np.asarray(sources, str)
    harm = {name: float(label[names == name].mean()) for name in set(names.tolist())}
    order = {name: at % GROUPS for at, name in enumerate(sorted(harm, key=lambda name: (harm[name], name)))}
    groups = np.array([order[name] for name in names.tolist()])
    rest = [label[groups != group] for group in range(GROUPS)]
    return groups if len(harm) >= GROUPS and all(min(_kinds(part)) >= FEWEST for part in rest) else None


def _unseen(vectors: NDArray[np.float64], label: NDArray[np.float32], parts: NDArray[np.int64]) -> NDArray[np.float64]:
    """Logits [n] of each row by a probe of the other parts."""
    said = np.zeros(len(label))
    for part in range(GROUPS):
        out = parts == part
        said[out] = _fitted(vectors[~out], label[~out], CAUTIOUS).decision_function(vectors[out])
    return said


def _array(vectors: Any) -> NDArray[np.float64]:
    return np.asarray(vectors.cpu().numpy(), np.float64)


def _strength(vectors: NDArray[np.float64], label: NDArray[np.float32], held: Any) -> float:
    """The strength whose probe ranks the held-out rows best; the first where they cannot tell."""
    from sklearn.metrics import average_precision_score

    if held is None or min(_kinds(held[1])) == 0 or min(_kinds(label)) < FEWEST:
        return STRENGTHS[0]
    found = [_fitted(vectors, label, strength).decision_function(held[0]) for strength in STRENGTHS]
    scores = [average_precision_score(held[1], each) for each in found]
    return STRENGTHS[int(np.argmax(scores))]


def _kinds(labels: NDArray[np.float32]) -> tuple[int, int]:
    return int((labels == 1).sum()), int((labels == 0).sum())


def _fitted(vectors: NDArray[np.float64], labels: NDArray[np.float32], strength: float) -> Any:
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression(C=strength, max_iter=1000).fit(vectors, labels)


def _set(
    head: Any, at: int, vectors: NDArray[np.float64], labels: NDArray[np.float32], scale: float, strength: float
) -> None:
    """One row of a head's weights. Where there is nothing to tell apart it says how rare that is, whatever the text."""
    import torch

    named, others = _kinds(labels)
    if min(named, others) < FEWEST:
        head.weight[at] = 0.0
        head.bias[at] = math.log((named + 0.5) / (others + UNSEEN))
        return
    fitted = _fitted(vectors, labels, strength)
    head.weight[at] = torch.from_numpy(fitted.coef_[0] / scale).to(head.weight)
    head.bias[at] = float(fitted.intercept_[0])
