"""Several evaluation sets at once: each by itself, their average, and one threshold for all of them together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from classifier import calibrate
from classifier.evaluate import metrics, read_rows
from classifier.runfolder import ProgramError

Array = NDArray[np.float64]

AVERAGED = ("average_precision", "recall_at_fpr_1", "recall_at_fpr_5", "f1", "best_f1")
POOLED_FPR = 0.05  # sets without harmless rows borrow those of the others


def read_sets(folder: Path) -> dict[str, list[dict[str, Any]]]:
    """Every `.jsonl` and `.jsonl.gz` file of a folder, by its name.

    Raises:
        ProgramError: there are none, or a line is not a labelled row.
    """
    files = sorted(file for file in folder.iterdir() if file.name.endswith((".jsonl", ".jsonl.gz")))
    if not files:
        raise ProgramError(f"{folder} has no .jsonl or .jsonl.gz files.", "Give a folder of labelled sets.")
    return {file.name.split(".jsonl")[0]: read_rows(file) for file in files}


def labels_of(rows: Sequence[Mapping[str, Any]]) -> Array:
    """1 where a row is unsafe [n]."""
    return np.array([float(row["label"] == "unsafe") for row in rows])


def measure(sets: Mapping[str, tuple[Array, Array]], threshold: float) -> dict[str, Any]:
    """Figures of `{name: (probabilities, labels)}`: by set, averaged over sets with both labels, and pooled.

    Recall on every set is also given at the pooled cut, the one that blocks 5 % of the safe rows of all sets together.
    """
    scores, labels = (np.concatenate([both[at] for both in sets.values()]) for at in (0, 1))
    cut = calibrate.at_false_positives(scores, labels, POOLED_FPR)
    by_set = {}
    for name, (score, label) in sets.items():
        figures = metrics(score, label, threshold)
        caught = float((score[label == 1] >= cut).mean()) if cut is not None and label.any() else None
        by_set[name] = {**figures, "recall_at_pooled_fpr_5": caught}
    both = [figures for figures in by_set.values() if figures["average_precision"] is not None]
    return {
        "sets": by_set,
        "averaged_over": len(both),
        "average": {name: float(np.mean([figures[name] for figures in both])) if both else None for name in AVERAGED},
        "pooled_threshold": cut,
        "pooled": metrics(scores, labels, threshold),
    }
