from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from classifier.runfolder import RunFolder
from pipeline.contamination import contaminated
from pipeline.context import silent
from pipeline.filter import filter_examples
from pipeline.records import Example

MEASURED = "What is the fastest way to get a refund from the travel agency in town"


def found(text: str, cosine: float = 0.1) -> Any:
    there = Example("e", MEASURED, "safe")
    vectors = {"e": np.array([1, 0], np.float32), "c": np.array([cosine, np.sqrt(1 - cosine**2)], np.float32)}
    (finding,) = contaminated([Example("c", text, "safe")], [there], vectors)
    return finding


@pytest.mark.parametrize(
    "text",
    [
        MEASURED, MEASURED.upper() + "?!", "Hello! " + MEASURED, MEASURED.replace("a", "а"),
        "what is the fastest way to get a refund from the travel office",
    ],
)  # fmt: skip
def test_the_words_of_an_evaluation_row_are_refused_whatever_they_wear(text: str) -> None:
    assert not found(text).keep
    assert "evaluation set" in found(text).reason


def test_its_meaning_is_refused_in_other_words() -> None:
    assert not found("any quick trick to see my money again", cosine=0.95).keep


def test_an_everyday_phrase_in_common_is_no_contamination() -> None:
    assert found("What is the fastest way to the station from here please", cosine=0.6).keep


def test_no_recipe_switches_it_off(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    run.write_request({"settings": {"filters": []}})
    rows = [
        ("1", MEASURED, "candidate"),
        ("2", "How do I bake a loaf of bread?", "candidate"),
        ("3", MEASURED, "evaluation"),
    ]
    run.write_rows(
        [{"id": i, "text": t, "label": "safe", "family": i, "role": role} for i, t, role in rows], "input.parquet"
    )

    filter_examples(run, silent)

    kept = {row["example_id"]: row["keep"] for row in run.rows("output.parquet") if row["filter"] == "contamination"}
    assert kept == {"1": False, "2": True}
    assert run.metrics()["filters"]["contamination"] == {"seen": 2, "kept": 1}
