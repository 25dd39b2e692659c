from __future__ import annotations

import numpy as np
import pytest

from pipeline.diversity import distinct, measured, nearest, vendi


@pytest.mark.parametrize(("different", "each"), [(1, 6), (3, 2), (6, 1)])
def test_the_vendi_score_counts_what_is_really_different(different: int, each: int) -> None:
    vectors = np.repeat(np.eye(8)[:different], each, axis=0)
    assert vendi(vectors) == pytest.approx(different)


def test_likeness_in_part_counts_in_part() -> None:
    assert 1 < vendi(np.array([[1, 0], [0.8, 0.6]])) < 2


def test_distinct_words_and_pairs() -> None:
    assert distinct(["a cake", "a cake"], 1) == 0.5
    assert distinct(["a big cake", "a big tree"], 2) == pytest.approx(3 / 4)
    assert distinct(["word"], 2) == 0.0


def test_the_nearest_other_text_is_never_the_text_itself() -> None:
    assert nearest(np.array([[1.0, 0], [0, 1.0], [0, 1.0]]), block=2) == pytest.approx(2 / 3)


def test_of_less_than_two_texts_there_is_nothing_to_say() -> None:
    assert measured(["alone"], np.eye(1)) == {}
