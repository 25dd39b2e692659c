from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np

from classifier.probe import MOST, caution, sample, start_heads


def heads(width: int, categories: int) -> Any:
    import torch

    torch.manual_seed(0)
    return SimpleNamespace(verdict=torch.nn.Linear(width, 1), category=torch.nn.Linear(width, categories))


def planted(count: int = 200, length: float = 30.0) -> tuple[Any, Any, Any]:
    """Long vectors in whose first place stands the verdict and in whose second, of unsafe ones, the category."""
    import torch

    chance = np.random.default_rng(0)
    label = np.arange(count) % 2
    kind = label * (np.arange(count) // 2 % 2)
    vectors = chance.normal(0, 0.1, (count, 8))
    vectors[:, 0] += np.where(label, 1, -1)
    vectors[:, 1] += np.where(kind, 1, -1)
    return torch.tensor(vectors * length, dtype=torch.float32), label, kind


def test_the_heads_begin_where_they_already_tell_verdict_and_category_apart() -> None:
    vectors, label, kind = planted()
    guard = heads(8, 1)

    start_heads(guard, vectors, label, kind[:, None])

    assert (guard.verdict(vectors).squeeze(1).detach().numpy() > 0).astype(int).tolist() == label.tolist()
    right = (guard.category(vectors).squeeze(1).detach().numpy() > 0) == kind.astype(bool)
    assert right.all()


def test_a_category_that_nobody_names_is_unlikely_for_any_text_and_unknown_rows_teach_nothing() -> None:
    vectors, label, kind = planted()
    guard = heads(8, 2)
    unknown = np.where(np.arange(len(kind)) < 100, kind, np.nan)

    start_heads(guard, vectors, label, np.stack([np.zeros(len(kind)), unknown], 1))

    assert (guard.category(vectors)[:, 0].sigmoid() < 0.01).all()
    assert ((guard.category(vectors)[:, 1].detach().numpy() > 0) == kind.astype(bool)).all()


def test_the_sample_is_the_same_for_a_seed_and_all_of_a_small_set() -> None:
    assert sample(20, 1).tolist() == list(range(20))
    assert sample(9000, 1).tolist() == sample(9000, 1).tolist() != sample(9000, 2).tolist()
    assert len(sample(9000, 1)) == MOST


def told_and_tricked(label: Any, trick: float, seed: int) -> Any:
    """A loud hint that is often wrong, and a faint one that always points where `trick` says: rare words, say."""
    import torch

    side = np.where(label, 1.0, -1.0)
    loud = side + np.random.default_rng(seed).normal(0, 1, len(label))
    return torch.tensor(np.stack([loud, trick * side], 1), dtype=torch.float32)


def test_held_out_rows_choose_how_strongly_the_verdict_is_held_back() -> None:
    import torch

    label = np.arange(60) % 2

    def weights(held: Any) -> Any:
        guard = heads(2, 1)
        start_heads(guard, told_and_tricked(label, 0.2, 1), label, label[:, None], held)
        return guard.verdict.weight[0].detach()

    free = weights(None)
    misled = weights((told_and_tricked(label, -0.2, 2), label))
    one_kind = weights((told_and_tricked(label, -0.2, 2)[label == 1], label[label == 1]))

    assert 0 < misled[1] < free[1] / 2
    assert torch.equal(one_kind, free)


def of_sources(disagreement: float, count: int = 800) -> tuple[Any, Any, list[str]]:
    """Eight sources that share a faint sign of harm, and each has a loud one of its own that may mean the contrary."""
    import torch

    chance = np.random.default_rng(0)
    label, source = np.arange(count) % 2, np.arange(count) // 2 % 8
    vectors = chance.normal(0, 1, (count, 4))
    vectors[:, 0] += np.where(label, 1, -1)
    vectors[:, 1] += disagreement * np.where(label, 1, -1) * np.where(source % 2, 1, -1) * (source < 3)
    return torch.tensor(vectors, dtype=torch.float32), label.astype(np.float32), [f"source {one}" for one in source]


def test_where_sources_contradict_each_other_one_is_less_sure_of_another() -> None:
    alike, contrary = (caution(*of_sources(disagreement)) for disagreement in (0.0, 4.0))

    assert 1 <= alike < 1.11
    assert contrary > alike


def test_few_sources_or_none_or_one_that_alone_knows_of_harm_say_nothing_of_others() -> None:
    vectors, label, sources = of_sources(4.0)

    assert caution(vectors, label, [""] * len(label)) == 1
    assert caution(vectors, label, ["ab"[at % 2] for at in range(len(label))]) == 1
    assert caution(vectors, np.zeros_like(label), sources) == 1
