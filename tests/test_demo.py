"""The texts that come with the demo: whole pairs of the policy's categories, none of which is measured on."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pipeline.contamination import SHARE, grams

DEMO = Path(__file__).resolve().parents[1] / "curation" / "demo"
TRAINING = ("seeds", "more_seeds")


def rows_of(name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (DEMO / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()]


@pytest.mark.parametrize("name", TRAINING)
def test_seeds_are_pairs_of_categories_that_text_may_be_made_of(name: str) -> None:
    policy = json.loads((DEMO / "policy.json").read_text(encoding="utf-8"))
    allowed = {one["key"] for one in policy["categories"] if one["generation_allowed"]}
    pairs: dict[str, list[dict[str, Any]]] = {}
    for row in rows_of(name):
        pairs.setdefault(row["pair"], []).append(row)
    for unsafe, safe in pairs.values():
        assert (unsafe["label"], safe["label"], safe["categories"]) == ("unsafe", "safe", [])
        assert set(unsafe["categories"]) <= allowed and len(unsafe["categories"]) == 1


def test_no_text_comes_twice_and_none_is_measured_on() -> None:
    texts = [" ".join(row["text"].casefold().split()) for name in TRAINING for row in rows_of(name)]
    assert len(set(texts)) == len(texts)
    measured = {gram for row in rows_of("evaluation") for gram in grams(row["text"])}
    assert not [text for text in texts if len(grams(text) & measured) >= SHARE * len(grams(text))]
    pairs = [row["pair"] for name in TRAINING for row in rows_of(name)]
    assert len(set(pairs)) == len(pairs) / 2, "a second batch has pairs of its own"
