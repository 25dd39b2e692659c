"""One guard of several trainings: each learns without one fold of the families, and their mean is the guard.

From a few hundred rows a validation split is a choice between too few rows to learn from and too few to calibrate on.
Here every row is learnt from, and every row is validated on by the one guard that never saw its family. All guards
start from the same encoder, so the mean of their weights is a guard as well, and mostly a better one than each of them
(Wortsman et al. 2022, Model soups).
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from classifier import calibrate, model
from classifier.config import TrainSettings
from classifier.devices import Devices
from classifier.families import dealt
from classifier.runfolder import Report, RunFolder
from classifier.score import forward
from classifier.train import Training, decided, save

PARTS = "folds"


def train_in_folds(
    run: RunFolder, settings: TrainSettings, categories: Sequence[str], report: Report, devices: Devices
) -> None:
    """Train a guard for each fold in a run folder of its own, then leave the mean of all in this one.

    Rows to learn from and to validate on are dealt out alike. What was finished is found again.
    """
    rows = [row for row in run.rows() if (row.get("split") or "train") in ("train", "validation")]
    folds = dealt(rows, settings.folds)
    alone = replace(settings, folds=0, budget_minutes=settings.budget_minutes / settings.folds)
    parts = [RunFolder(run / f"{PARTS}/{number}") for number in range(settings.folds)]
    for number, part in enumerate(parts):
        if devices.first and not (part / "input.parquet").exists():
            split = [
                {**row, "split": "validation" if fold == number else "train"}
                for row, fold in zip(rows, folds, strict=True)
            ]
            part.write_rows(split, "input.parquet")
        devices.wait()
        if not (part / "metrics.json").exists():
            Training(part, alone, categories, _told(report, number, settings.folds), devices).run()
        devices.wait()
    if devices.first:
        report(settings.folds, settings.folds, "Calibrating")
        _join(run, parts, settings)
        shutil.rmtree(run / PARTS)
        report(settings.folds, settings.folds, "Trained")


def _told(report: Report, number: int, folds: int) -> Report:
    """Report one training as its share of all."""

    def told(done: int, total: int, message: str = "", metrics: Mapping[str, Any] | None = None, /) -> None:
        report(number * total + done, folds * total, f"Guard {number + 1} of {folds}: {message}", metrics)

    return told


def _join(run: RunFolder, parts: Sequence[RunFolder], settings: TrainSettings) -> None:
    """Write the guard, calibrated on what each of the guards says of the rows that it never saw."""
    figures = [part.metrics() for part in parts]
    best = int(np.argmax([one["validation"].get("average_precision") or 0.0 for one in figures]))
    tokenizer, guard, card = model.load(parts[best] / "model")
    alone = {name: value.clone() for name, value in guard.state_dict().items()}
    mean = {name: value / len(parts) for name, value in alone.items()}
    rows: list[dict[str, Any]] = []
    said = []
    for number, part in enumerate(parts):
        _, one, _ = model.load(part / "model")
        unseen = [row for row in part.rows("input.parquet") if row["split"] == "validation"]
        said.append(_logits(one, tokenizer, unseen, settings))
        rows += unseen
        if number != best:
            for name, value in one.state_dict().items():
                mean[name] += value / len(parts)
    labels = np.array([float(row["label"] == "unsafe") for row in rows])
    verdict, category = (np.concatenate(some) for some in zip(*said, strict=True))
    guard.load_state_dict(mean)
    caution = float(np.mean([one["caution"] for one in figures]))
    decision = decided(rows, (verdict, category, labels), guard.categories, settings, caution)

    def loss(said: tuple[Any, Any]) -> float:
        return calibrate.log_loss(calibrate.calibrated(decision[0], *said)[0], labels)

    # Guards that went too far apart have no mean worth having: it knows these rows less well than those who never saw
    # them. Then the one that validated best stands for all.
    if not (joined := loss(_logits(guard, tokenizer, rows, settings)) <= loss((verdict, category))):
        guard.load_state_dict(alone)
    base = {name: card[name] for name in ("base", "base_digest")}
    save(run, guard, tokenizer, settings, decision, base, {
        "rows": len(rows), "train_rows": len(rows), "train_unsafe": float(labels.mean()), "joined": joined,
        "steps": sum(one["steps"] for one in figures), "caution": caution, "history": _history(figures),
        "best_epoch": round(np.mean([one["best_epoch"] for one in figures])),
        "processor_seconds": round(sum(one["processor_seconds"] for one in figures), 1),
    })  # fmt: skip


def _logits(guard: Any, tokenizer: Any, rows: Sequence[Mapping[str, Any]], settings: TrainSettings) -> tuple[Any, Any]:
    """Verdict [n] and categories [n, k]."""
    texts = [row["text"] for row in rows]
    return forward(guard, tokenizer, texts, settings.max_length, overlap=settings.window_overlap)


def _history(figures: Sequence[Mapping[str, Any]]) -> list[dict[str, float | None]]:
    """Epoch by epoch the mean over the guards that came so far."""
    longest = max((one["history"] for one in figures), key=len)
    made = []
    for at, epoch in enumerate(longest):
        found = [one["history"][at]["validation_average_precision"] for one in figures if at < len(one["history"])]
        known = [value for value in found if value is not None]
        made.append({**epoch, "validation_average_precision": float(np.mean(known)) if known else None})
    return made
