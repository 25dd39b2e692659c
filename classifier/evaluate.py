"""How good a guard is on labelled rows. Every figure is null where the rows cannot say it."""

from __future__ import annotations

import gzip
import json
import math
import time
import zlib
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from classifier import bootstrap, calibrate
from classifier.decide import Rules, three_ways
from classifier.inputs import Scored, worst
from classifier.peers import Peer, open_peer
from classifier.runfolder import ProgramError, Report, RunFolder, write_json
from classifier.score import Scorer, load_scorer, texts_of, wanted

Array = NDArray[np.float64]

LENGTHS = (0, 17, 65, 257, math.inf)  # words: where bands of lengths begin
PART = 32  # texts that a peer is asked between two reports
KEPT = ("source", "pair", "agreement", "weight", "language", "mode")  # of a line, beside text, label and categories


def metrics(probabilities: Array, labels: Array, threshold: float) -> dict[str, Any]:
    """Figures of the verdict. `probabilities` of unsafe and 0/1 `labels`, both [n]; blocks at or above `threshold`."""
    blocked = probabilities >= threshold
    hits, false_alarms = int((blocked & (labels == 1)).sum()), int((blocked & (labels == 0)).sum())
    unsafe, safe = int((labels == 1).sum()), int((labels == 0).sum())
    return {
        "n": len(labels),
        "unsafe": unsafe,
        "threshold": threshold,
        "average_precision": _average_precision(probabilities, labels),
        "f1": _ratio(2 * hits, 2 * hits + false_alarms + unsafe - hits) if unsafe else None,
        "best_f1": calibrate.best_f1(probabilities, labels)[0],
        "precision": _ratio(hits, hits + false_alarms),
        "recall": _ratio(hits, unsafe),
        "fpr": _ratio(false_alarms, safe),
        "recall_at_fpr_1": recall_at(probabilities, labels, 0.01),
        "recall_at_fpr_5": recall_at(probabilities, labels, 0.05),
        "ece": calibrate.expected_calibration_error(probabilities, labels) if len(labels) else None,
        "brier": float(np.mean((probabilities - labels) ** 2)) if len(labels) else None,
    }


def _ratio(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def _average_precision(probabilities: Array, labels: Array) -> float | None:
    from sklearn.metrics import average_precision_score

    return float(average_precision_score(labels, probabilities)) if len(set(labels.tolist())) == 2 else None


def recall_at(probabilities: Array, labels: Array, rate: float) -> float | None:
    """Share of unsafe rows above the cut that lets at most `rate` of the safe rows be blocked."""
    cut = calibrate.at_false_positives(probabilities, labels, rate)
    return None if cut is None else float((probabilities[labels == 1] >= cut).mean())


def per_category(
    unsafe: Array, categories: Array, names: Sequence[str], rows: Sequence[Mapping[str, Any]], threshold: float
) -> dict[str, Any]:
    """For each category that occurs: rows, recall of the verdict on them, and average precision of its own score."""
    found = {}
    for at, name in enumerate(names):
        has = np.array([name in (row.get("categories") or ()) for row in rows], dtype=float)
        if has.any():
            found[name] = {
                "n": int(has.sum()),
                "recall": float((unsafe[has == 1] >= threshold).mean()),
                "average_precision": _average_precision(categories[:, at], has),
            }
    return found


def category_accuracy(categories: Array, names: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> float | None:
    """Share of the rows that name a category of the guard whose likeliest category [n, k] is one of theirs."""
    right = [
        names[int(scores.argmax())] in row["categories"]
        for scores, row in zip(categories, rows, strict=True)
        if set(names).intersection(row.get("categories") or ())
    ]
    return float(np.mean(right)) if right else None


def by_length(unsafe: Array, labels: Array, texts: Sequence[str], threshold: float) -> dict[str, Any]:
    """The figures that length spoils first, for each band of lengths that occurs."""
    lengths = np.array([len(text.split()) for text in texts])
    found = {}
    for low, high in pairwise(LENGTHS):
        inside = (lengths >= low) & (lengths < high)
        if inside.any():
            figures = metrics(unsafe[inside], labels[inside], threshold)
            name = f"{low:g} to {high - 1:g} words" if high < math.inf else f"{low:g} words or more"
            found[name] = {key: figures[key] for key in ("n", "unsafe", "average_precision", "recall", "fpr")}
    return found


def measured(
    scored: Scored, rows: Sequence[Mapping[str, Any]], names: Sequence[str], threshold: float
) -> dict[str, Any]:
    """All figures of scores on labelled rows: of the worse reading, with intervals, and of each reading alone."""
    labels = np.array([float(row["label"] == "unsafe") for row in rows])
    alone = {"raw": scored.raw, "undisguised": scored.undisguised}
    return {
        **metrics(scored.unsafe, labels, threshold),
        "intervals": bootstrap.intervals(scored.unsafe, labels, threshold),
        "category_accuracy": category_accuracy(scored.categories, names, rows),
        "per_category": per_category(scored.unsafe, scored.categories, names, rows, threshold),
        "by_length": by_length(scored.unsafe, labels, [row["text"] for row in rows], threshold),
        "readings": {
            name: {key: metrics(scores, labels, threshold)[key] for key in ("average_precision", "recall", "fpr")}
            for name, scores in alone.items()
        },
        "disguised": sum(map(bool, scored.found)),
    }


def evaluate_rows(
    scorer: Scorer, rows: Sequence[Mapping[str, Any]], threshold: float | None = None, report: Report | None = None
) -> tuple[dict[str, Any], Array, Array]:
    """Measure on labelled rows; return (metrics, probabilities [n], category scores [n, k])."""
    start = time.perf_counter()
    texts = texts_of([dict(row) for row in rows])
    scored = worst(scorer, texts, report and (lambda done, total: report(done, total, "Measuring")))
    labels = np.array([float(row["label"] == "unsafe") for row in rows])
    figures = measured(scored, rows, scorer.names, scorer.threshold if threshold is None else threshold)
    figures["three_ways"] = three_ways(scored.unsafe, labels, Rules.from_card(scorer.card))
    figures["seconds"] = time.perf_counter() - start
    return figures, scored.unsafe, scored.categories


def evaluate_peer(
    peer: Peer, rows: Sequence[Mapping[str, Any]], report: Report, threshold: float = 0.5
) -> tuple[dict[str, Any], Array]:
    """Measure another guard on labelled rows, its texts as they came; return (metrics, probabilities [n])."""
    start = time.perf_counter()
    texts = texts_of([dict(row) for row in rows])
    found: list[float] = []
    for at in range(0, len(texts), PART):
        found += peer.unsafe(texts[at : at + PART])
        report(len(found), len(texts), "Measuring")
    if not all(0 <= score <= 1 for score in found):  # nor is what is no number
        raise ProgramError("The peer gave a score that is not between 0 and 1.", "Ask one that gives probabilities.")
    scores, labels = np.array(found), np.array([float(row["label"] == "unsafe") for row in rows])
    figures = {
        **metrics(scores, labels, threshold),
        "intervals": bootstrap.intervals(scores, labels, threshold),
        "by_length": by_length(scores, labels, texts, threshold),
    }
    return {**figures, "seconds": time.perf_counter() - start}, scores


def evaluate(run: RunFolder, report: Report) -> None:
    """The program: measure a guard, or the peer that the settings name, on the labelled rows of `input.parquet`."""
    if spec := run.request().get("settings", {}).get("peer"):
        return _evaluate_peer(run, report, spec)
    scorer = load_scorer(wanted(run, "model"))
    rows = run.rows()
    figures, unsafe, categories = evaluate_rows(scorer, rows, report=report)
    run.write_rows(
        [
            {"id": row["id"], "unsafe": float(p), "categories": [float(x) for x in c]}
            for row, p, c in zip(rows, unsafe, categories, strict=True)
        ]
    )
    write_json(run / "metrics.json", figures)
    report(len(rows), len(rows), "Measured")


def _evaluate_peer(run: RunFolder, report: Report, spec: str) -> None:
    rows = run.rows()
    figures, scores = evaluate_peer(open_peer(spec), rows, report)
    run.write_rows([{"id": row["id"], "unsafe": float(p)} for row, p in zip(rows, scores, strict=True)])
    write_json(run / "metrics.json", figures)
    report(len(rows), len(rows), "Measured")


def read_rows(file: Path) -> list[dict[str, Any]]:
    """Read labelled JSON lines.

    Raises:
        ProgramError: the first line that is not a labelled row, by its number.
    """
    rows = []
    try:
        with gzip.open(file) if file.suffix == ".gz" else file.open("rb") as lines:
            for number, line in enumerate(lines, start=1):
                if line.strip():
                    rows.append(_row(line, f"{file}, line {number}"))
    except (EOFError, zlib.error):
        raise ProgramError(f"{file} is cut off or damaged after line {len(rows)}.", "Fetch it again.") from None
    if not rows:
        raise ProgramError(f"{file} has no rows.", "Give at least one labelled line.")
    return rows


def _row(line: bytes, where: str) -> dict[str, Any]:
    try:
        row = json.loads(line)
        text, label = row["text"], row["label"]
    except (ValueError, KeyError, TypeError):
        raise ProgramError(f'{where}: expected a JSON object with "text" and "label".', "Correct the file.") from None
    if label not in ("safe", "unsafe") or not isinstance(text, str):
        raise ProgramError(f"{where}: the label should be safe or unsafe and the text a string.", "Correct the file.")
    named = row.get("categories") or ([row["category"]] if row.get("category") else [])
    return {**{key: row[key] for key in KEPT if key in row}, "text": text, "label": label, "categories": named}
