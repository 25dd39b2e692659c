"""Fluency: what a language model thinks of a text, in memory that long texts do not blow up."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from pipeline.rewards.fluency import BUDGET, LONGEST, Fluency
from tests.pipeline.adversary_fakes import TEXT, tiny_generator

SHORT = ["river stone garden", "copper velvet meadow lantern orchard", "pepper"]
LONG = f"{TEXT} " * 60


@pytest.fixture
def fluency(tmp_path: Path) -> Fluency:
    return Fluency(tiny_generator(tmp_path / "generator"))


def test_what_it_thinks_of_a_text_does_not_depend_on_the_others(fluency: Fluency) -> None:
    together = fluency([*SHORT, LONG])

    # Where the weights are bfloat16, another batch moves the third digit; padding that counted would move the first.
    assert together[:3] == pytest.approx([fluency([text])[0] for text in SHORT], abs=0.02)
    assert fluency([]) == []


def test_many_long_texts_are_read_a_few_tokens_at_a_time(fluency: Fluency, monkeypatch: pytest.MonkeyPatch) -> None:
    read = Fluency._batch
    sizes: list[int] = []

    def seen(self: Fluency, ids: Sequence[Sequence[int]]) -> list[float]:
        sizes.append(len(ids) * max(map(len, ids)))
        return read(self, ids)

    monkeypatch.setattr(Fluency, "_batch", seen)

    values = fluency([LONG] * 12 + SHORT * 12)

    assert len(values) == 48
    assert max(sizes) <= max(BUDGET, LONGEST)
    assert len(sizes) < 48, "what fits together is read together"
