"""Rows with a planted rule, and run folders of them: a text is unsafe exactly where it says "poison"."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from classifier.runfolder import RunFolder
from classifier.train import train
from tests.tiny_models import WORDS

ROOT = Path(__file__).resolve().parents[2]
CATEGORIES = ["illegal-drugs", "weapons"]
# No probe: the tiny encoder's weights are drawn at random, so that what a probe finds in them is chance.
SETTINGS = {"learning_rate": 3e-3, "epochs": 3, "batch_size": 8, "max_length": 24, "probe": False}
PLAIN = [word for word in WORDS.split() if word != "poison"]


def planted_rows(count: int, seed: int = 0, split: str = "train") -> list[dict[str, Any]]:
    """Sentences of four to nine words, every second one unsafe."""
    chance = random.Random(seed)
    rows = []
    for number in range(count):
        words = chance.choices(PLAIN, k=chance.randint(4, 9))
        unsafe = number % 2 == 1
        if unsafe:
            words[chance.randrange(len(words))] = "poison"
        rows.append({
            "id": f"{split}-{number}", "text": " ".join(words), "label": "unsafe" if unsafe else "safe",
            "categories": CATEGORIES[:1] if unsafe else [], "split": split,
        })  # fmt: skip
    return rows


def both_splits() -> list[dict[str, Any]]:
    """96 rows to learn from and 40 to validate on."""
    return planted_rows(96) + planted_rows(40, seed=1, split="validation")


def training_run(folder: Path, encoder: Path, rows: list[dict[str, Any]] | None = None, **settings: Any) -> RunFolder:
    """A run folder that is ready to train on the tiny encoder."""
    run = RunFolder(folder)
    run.write_request({"settings": {**SETTINGS, "backbone": str(encoder), **settings}, "categories": CATEGORIES})
    write_input(run, both_splits() if rows is None else rows)
    return run


def write_input(run: RunFolder, rows: list[dict[str, Any]]) -> None:
    """Write `input.parquet`; the type of `categories` is named, for rows that all have none."""
    import pyarrow as pa

    types = {"categories": pa.list_(pa.string()), "weight": pa.float64()}
    run.write_rows(rows, "input.parquet", pa.schema([(key, types.get(key, pa.string())) for key in rows[0]]))


class Reports(list[tuple[int, str, dict[str, Any]]]):
    """A `Report` that remembers, and that can break the work off at a step."""

    def __init__(self, break_at: int | None = None) -> None:
        super().__init__()
        self._break_at = break_at

    def __call__(self, done: int, total: int, message: str = "", metrics: Mapping[str, Any] | None = None, /) -> None:
        self.append((done, message, dict(metrics or {})))
        if done == self._break_at:
            raise InterruptedError

    @property
    def messages(self) -> list[str]:
        return [message for _, message, _ in self]


def trained(run: RunFolder) -> dict[str, Any]:
    """Train in this process; return the figures."""
    train(run, Reports())
    return figures(run)


def figures(run: RunFolder) -> dict[str, Any]:
    """What `metrics.json` says."""
    found: dict[str, Any] = json.loads((run / "metrics.json").read_text(encoding="utf-8"))
    return found


def steps(run: RunFolder) -> list[dict[str, Any]]:
    """The trace of samples."""
    return [json.loads(line) for line in (run / "steps.jsonl").read_text(encoding="utf-8").splitlines()]


def started(*arguments: str | Path, **options: Any) -> subprocess.Popen[str]:
    """A program of the guard as a real process."""
    return subprocess.Popen(
        [sys.executable, "-m", "classifier", *map(str, arguments)], cwd=ROOT, text=True, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, env={**os.environ, "OMP_NUM_THREADS": "1"}, **options,
    )  # fmt: skip


def flip_byte(file: Path) -> None:
    """Change one bit in the middle of a file."""
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
