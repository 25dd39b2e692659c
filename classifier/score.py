"""Scores of a trained guard: calibrated probability of unsafe, and one per category."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from classifier import batches, inputs, networks, onnx
from classifier.calibrate import calibrated
from classifier.decide import Rules
from classifier.runfolder import ProgramError, Report, RunFolder

BATCH = 64  # rows; larger gains nothing on a CPU
MOST_CHARACTERS = 1_000_000  # of one text; what is longer is a file, and wants the scanner
Progress = Callable[[int, int], None]


def forward(
    guard: Any, tokenizer: Any, texts: Sequence[str], max_length: int, progress: Progress | None = None,
    overlap: float | None = 0.25,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:  # fmt: skip
    """Raw logits in the order of the texts: verdict [n], categories [n, k].

    Long texts are read in windows that share `overlap` of their tokens; None cuts them off instead.
    """
    network = networks.network(guard, tokenizer.pad_token_id or 0)
    edges = batches.edges(tokenizer)
    encoded = batches.encode(tokenizer, [t[:MOST_CHARACTERS] for t in texts], max_length if overlap is None else None)
    cut = [inputs.windows(ids, max_length, overlap or 0.0, edges) for ids in encoded]
    ids, owner = [piece for pieces in cut for piece in pieces], [n for n, pieces in enumerate(cut) for _ in pieces]
    verdict, category, done = np.zeros(len(ids)), np.zeros((len(ids), len(guard.categories))), 0
    for rows in batches.by_length([len(sequence) for sequence in ids], BATCH):
        verdict[rows], category[rows] = network.logits([ids[row] for row in rows])
        done += len(rows)
        if progress:
            progress(done * len(texts) // len(ids), len(texts))
    return inputs.pool(verdict, owner, len(texts)), inputs.pool(category, owner, len(texts))


class Scorer:
    """A loaded guard that answers for texts."""

    def __init__(self, tokenizer: Any, guard: Any, card: dict[str, Any]) -> None:
        self._tokenizer, self._guard, self.card = tokenizer, guard, card
        self.names: list[str] = list(guard.categories)

    @property
    def threshold(self) -> float:
        """The cut that was chosen on validation; one half where it could not say."""
        return Rules.from_card(self.card).block

    def scores(self, texts: Sequence[str], progress: Progress | None = None) -> tuple[Any, Any]:
        """Calibrated probabilities of texts as they came: unsafe [n], categories [n, k]."""
        overlap = self.card.get("window_overlap", 0.25)
        verdict, category = forward(self._guard, self._tokenizer, texts, self.card["max_length"], progress, overlap)
        return calibrated(self.card, verdict, category)

    def unsafe(self, texts: Sequence[str]) -> list[float]:
        """Probability of unsafe as the endpoint answers it: the worse of a text as it came and undisguised."""
        probabilities: list[float] = inputs.worst(self, texts).unsafe.tolist()
        return probabilities


def load_scorer(folder: Path | str, backend: str = "auto", threads: int = 0) -> Scorer:
    """Load a guard for scoring, after checking its manifest; `backend` as in `classifier.onnx.load`."""
    return Scorer(*onnx.load(Path(folder), backend, threads))


def score(run: RunFolder, report: Report) -> None:
    """The program: score `input.parquet` as the guard that the request names would answer."""
    scorer = load_scorer(wanted(run, "model"))
    rows = run.rows()
    scored = inputs.worst(scorer, texts_of(rows), lambda done, total: report(done, total, "Scoring"))
    run.write_rows(
        [
            {"id": row["id"], "unsafe": float(p), "categories": dict(zip(scorer.names, map(float, c), strict=True))}
            for row, p, c in zip(rows, scored.unsafe, scored.categories, strict=True)
        ]
    )
    report(len(rows), len(rows), "Scored")


def wanted(run: RunFolder, name: str) -> str:
    """A setting that the request must have."""
    value = run.request().get("settings", {}).get(name)
    if not isinstance(value, str):
        raise ProgramError(f"request.json has no settings.{name}.", "Write it there and start again.")
    return value


def texts_of(rows: Sequence[dict[str, Any]]) -> list[str]:
    """The texts of rows."""
    if not rows:
        raise ProgramError("input.parquet has no rows.", "Give at least one example.")
    return [row["text"] for row in rows]
