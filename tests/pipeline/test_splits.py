from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.splits import Draw, Family, SplitImpossible, SplitRecipe

SHARES = {"train": 0.7, "validation": 0.1, "test": 0.2}
sizes = st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6), st.booleans()), min_size=1, max_size=120)


def families(found: list[tuple[int, int, bool]]) -> list[Family]:
    made = [Family(f"f{n}", {"safe": a, "unsafe": b}, held) for n, (a, b, held) in enumerate(found) if a + b]
    return sorted(made, key=lambda one: (not one.held_out, -sum(one.rows.values()), one.name))


def totals(found: list[Family]) -> dict[str, int]:
    return {label: n for label in ("safe", "unsafe") if (n := sum(one.rows[label] for one in found))}


@given(sizes)
def test_no_family_is_in_two_splits_and_each_has_its_size_or_the_draw_says_why(
    found: list[tuple[int, int, bool]],
) -> None:
    made = families(found)
    if not made:
        return
    draw = Draw(SplitRecipe(mode="draw", parts=SHARES, tolerance=0.05), totals(made))
    given_to = list(draw(made))

    assert sorted(name for name, _ in given_to) == sorted(one.name for one in made)
    assert {split for name, split in given_to if name in {one.name for one in made if one.held_out}} <= {"test"}
    try:
        draw.check()
    except SplitImpossible as no:
        assert "split" in no.message and no.remedy
        return
    rows = sum(sum(one.rows.values()) for one in made)
    for split, wanted in draw.wanted.items():
        assert abs(draw.given[split].total() - wanted) <= max(0.05 * rows, 1)


def test_many_small_families_are_parted_evenly() -> None:
    made = families([(n % 3, 1 + n % 2, False) for n in range(3000)])
    draw = Draw(SplitRecipe(mode="draw", parts=SHARES), totals(made))

    list(draw(made))

    draw.check()
    whole = draw.totals["unsafe"] / draw.rows
    assert all(abs(got["unsafe"] / got.total() - whole) < 0.02 for got in draw.given.values())


def test_a_split_that_whole_families_cannot_give_is_refused_with_the_figures() -> None:
    made = [Family("big", {"safe": 50, "unsafe": 50}), Family("small", {"safe": 1, "unsafe": 1})]
    draw = Draw(SplitRecipe(mode="draw", parts={"train": 0.5, "test": 0.5}), totals(made))
    list(draw(made))

    with pytest.raises(SplitImpossible, match="should have 51 rows, give or take 2; whole families give"):
        draw.check()


def test_shares_that_are_no_whole_and_rows_that_are_not_there_are_refused() -> None:
    with pytest.raises(SplitImpossible, match="come to 90% and should come to 100 %"):
        SplitRecipe(mode="draw", parts={"train": 0.7, "test": 0.2})
    with pytest.raises(SplitImpossible, match="asks for 500 rows beside training, and there are 40 in all"):
        SplitRecipe(mode="draw", parts={"train": 1, "test": 500}, unit="rows").wanted(40)
