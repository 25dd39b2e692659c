from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from classifier import inputs
from classifier.explain import MOST_SPANS, explain
from classifier.runfolder import ProgramError


class ByWord:
    """A scorer that knows one word, and counts what it is asked."""

    names = ("poison",)
    threshold = 0.5
    card: dict[str, Any] = {}

    def __init__(self) -> None:
        self.asked: list[str] = []

    def scores(self, texts: Sequence[str], progress: Any = None, /) -> tuple[Any, Any]:
        self.asked += texts
        unsafe = np.array([0.9 if "poison" in text.lower() else 0.1 for text in texts])
        return unsafe, unsafe[:, None].copy()


def test_the_worse_reading_counts_and_both_are_told() -> None:
    scorer = ByWord()
    found = inputs.worst(scorer, ["bake a cake", "bake a p\u200boison cake", "poison"])
    assert found.raw.tolist() == [0.1, 0.1, 0.9]
    assert found.undisguised.tolist() == [0.1, 0.9, 0.9]
    assert found.unsafe.tolist() == [0.1, 0.9, 0.9]
    assert found.categories[:, 0].tolist() == [0.1, 0.9, 0.9]
    assert found.found == [(), ("invisible",), ()]
    assert len(scorer.asked) == 4, "only what wears a disguise is asked twice"


def test_a_text_that_is_unsafe_only_as_it_came_stays_unsafe() -> None:
    class Reversed(ByWord):
        def scores(self, texts: Sequence[str], progress: Any = None, /) -> tuple[Any, Any]:
            unsafe, categories = super().scores(texts)
            return 1 - unsafe, 1 - categories

    assert inputs.worst(Reversed(), ["p\u200boison"]).unsafe.tolist() == pytest.approx([0.9])


@given(
    st.integers(2, 400), st.integers(8, 64), st.floats(0, 0.9), st.sampled_from([(1, 1), (0, 0), (1, 0)])
)  # fmt: skip
def test_windows_cover_the_text_and_keep_its_edges(
    length: int, size: int, overlap: float, edges: tuple[int, int]
) -> None:
    ids = list(range(length))
    found = inputs.windows(ids, size, overlap, edges)
    assert all(len(window) <= size for window in found)
    assert len(found) <= inputs.MOST_WINDOWS
    assert all(window[: edges[0]] == ids[: edges[0]] for window in found)
    assert all(window[len(window) - edges[1] :] == ids[length - edges[1] :] for window in found)
    assert found[0][: size - edges[1]] == ids[: size - edges[1]][: len(found[0])]
    assert found[-1][-1] == ids[-1]
    if len(found) < inputs.MOST_WINDOWS:
        assert set().union(*found) == set(ids)


def test_of_very_many_windows_those_kept_are_spread_over_the_text() -> None:
    found = inputs.windows(list(range(100_000)), 128, 0.25)
    starts = [window[1] for window in found]
    assert len(found) == inputs.MOST_WINDOWS
    assert max(np.diff(starts)) < 2 * min(np.diff(starts))


def test_a_pooled_score_lies_between_the_mean_and_the_worst_window() -> None:
    values, owner = np.array([1.0, 5.0, 2.0, -3.0]), [0, 0, 0, 1]
    pooled = inputs.pool(values, owner, 2)
    assert 8 / 3 < pooled[0] < 5 and pooled[1] == -3
    both = inputs.pool(np.stack([values, values], 1), owner, 2)
    assert both.tolist() == np.stack([pooled, pooled], 1).tolist()
    assert inputs.pool(np.zeros((0, 3)), [], 0).shape == (0, 3)


def test_turns_become_one_text_with_their_roles_and_only_the_last_are_kept() -> None:
    turns = [{"role": "user", "content": "one"}, {"role": "assistant", "content": "two"}]
    assert inputs.conversation(turns) == "User: one\n\nAssistant: two"
    assert inputs.conversation(turns, last=1) == "Assistant: two"


@pytest.mark.parametrize(
    "turn", [{}, {"role": "pirate", "content": "x"}, {"role": "user", "content": 3}, {"role": "user"}]
)
def test_a_turn_that_is_none_is_named(turn: dict[str, Any]) -> None:
    with pytest.raises(ProgramError, match="Turn 1"):
        inputs.conversation([turn])


def test_modes_choose_what_is_read() -> None:
    assert inputs.compose("prompt", "p", "r") == "p"
    assert inputs.compose("response", "p", "r") == "r"
    assert inputs.compose("pair", "p", "r") == "User: p\n\nAssistant: r"
    with pytest.raises(ProgramError, match="no mode 'poem'"):
        inputs.compose("poem", "p")


def test_the_words_that_moved_the_verdict_are_found() -> None:
    text = "please bake a poison cake for me"
    spans = explain(ByWord(), text)
    strongest = max(spans, key=lambda span: span.push)
    assert text[strongest.start : strongest.end] == "poison"
    assert [span.push for span in spans if span is not strongest] == [0] * 6


def test_a_long_text_is_explained_in_one_batch_and_an_empty_one_in_none() -> None:
    scorer = ByWord()
    spans = explain(scorer, "cake " * 5000)
    assert len(spans) <= MOST_SPANS and len(scorer.asked) == len(spans) + 1
    assert explain(scorer, " \n") == []
