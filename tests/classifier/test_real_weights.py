from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from classifier.config import DEFAULT_ENCODER
from tests.classifier.planted import ROOT, trained, training_run


def seeds(held_out: int) -> list[dict[str, Any]]:
    """Half of the demo's seeds; every `held_out`th pair is for validation, both of its texts together."""
    lines = (ROOT / "curation/demo/seeds.jsonl").read_text(encoding="utf-8").splitlines()
    rows = [json.loads(line) for line in lines]
    pairs = {pair: number for number, pair in enumerate(sorted({row["pair"] for row in rows})[::2])}
    return [
        {
            "id": str(number), "text": row["text"], "label": row["label"], "categories": row["categories"],
            "split": "train" if pairs[row["pair"]] % held_out else "validation",
        }
        for number, row in enumerate(rows) if row["pair"] in pairs
    ]  # fmt: skip


@pytest.mark.slow
def test_the_packaged_encoder_learns_what_is_unsafe_from_half_of_the_demo(tmp_path: Path) -> None:
    run = training_run(
        tmp_path, Path(DEFAULT_ENCODER), seeds(held_out=4), epochs=2, learning_rate=2e-4, batch_size=16, max_length=64
    )
    found = trained(run)
    assert found["validation"]["n"] >= 50
    assert found["validation"]["average_precision"] > 0.7
