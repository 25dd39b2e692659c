"""Everything that can be asked of a guard from a shell: a file or a folder of sets, slices, attacks, peers."""

from __future__ import annotations

import random
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from classifier import suite
from classifier.attacks import ATTACKS, flip_rates
from classifier.evaluate import evaluate_rows, metrics, read_rows
from classifier.inputs import worst
from classifier.peers import open_peer
from classifier.published import published
from classifier.runfolder import ProgramError
from classifier.score import Scorer, load_scorer

OBFUSCATED = ("leetspeak", "look-alikes", "zero-width", "spacing", "encoding")


@dataclass(frozen=True)
class Examination:
    """What is asked."""

    model: Path
    data: Path  # a file, or a folder of files
    threshold: float | None = None  # the guard's own where None
    attacks: bool = False
    peers: tuple[str, ...] = ()


def examine(wanted: Examination) -> dict[str, Any]:
    """Measure a guard; the answer is one JSON object.

    Raises:
        ProgramError: a model, a file or a line cannot be used.
    """
    if wanted.threshold is not None and not 0 <= wanted.threshold <= 1:
        raise ProgramError(f"The threshold should be between 0 and 1, found {wanted.threshold:g}.", "Give another.")
    sets = suite.read_sets(wanted.data) if wanted.data.is_dir() else {wanted.data.name: read_rows(wanted.data)}
    scorer = load_scorer(wanted.model)
    threshold = scorer.threshold if wanted.threshold is None else wanted.threshold
    every = [row for rows in sets.values() for row in rows]
    if wanted.data.is_dir():
        found = _folder(scorer, sets, threshold)
    else:
        found = evaluate_rows(scorer, every, threshold)[0]
        found["slices"] = slices(scorer, every, threshold)
    if wanted.attacks:
        found["attacks"] = flip_rates(scorer, every, threshold)
    if wanted.peers:
        found["peers"] = [compare(peer, sets) for peer in wanted.peers] + published(list(sets))
    return found


def _folder(scorer: Scorer, sets: Mapping[str, list[dict[str, Any]]], threshold: float) -> dict[str, Any]:
    began = time.perf_counter()
    scores = {name: worst(scorer, [row["text"] for row in rows]).unsafe for name, rows in sets.items()}
    found = suite.measure({name: (scores[name], suite.labels_of(rows)) for name, rows in sets.items()}, threshold)
    return {**found, "seconds": time.perf_counter() - began}


def slices(scorer: Scorer, rows: Sequence[Mapping[str, Any]], threshold: float) -> dict[str, Any]:
    """Figures of parts of the rows: twins, obfuscated texts, languages; those that the rows have."""
    found: dict[str, Any] = {"obfuscated": _obfuscated(scorer, rows, threshold)}
    if pairs := _twins(scorer, rows, threshold):
        found["twins"] = pairs
    languages = sorted({str(row["language"]) for row in rows if row.get("language")})
    for language in languages:
        part = [row for row in rows if row.get("language") == language]
        found.setdefault("by_language", {})[language] = _short(scorer, part, threshold)
    return found


def _short(scorer: Any, rows: Sequence[Mapping[str, Any]], threshold: float) -> dict[str, Any]:
    figures = metrics(worst(scorer, [row["text"] for row in rows]).unsafe, suite.labels_of(rows), threshold)
    return {name: figures[name] for name in ("n", "unsafe", "average_precision", "f1", "recall", "fpr")}


def _obfuscated(scorer: Scorer, rows: Sequence[Mapping[str, Any]], threshold: float) -> dict[str, Any]:
    """The same rows, each under one disguise or another."""
    hidden = []
    for number, row in enumerate(rows):
        chance = random.Random(f"obfuscated:{number}")
        hidden.append({**row, "text": ATTACKS[chance.choice(OBFUSCATED)](row["text"], chance)})
    return _short(scorer, hidden, threshold)


def _twins(scorer: Scorer, rows: Sequence[Mapping[str, Any]], threshold: float) -> dict[str, Any] | None:
    """Of pairs of an unsafe text and its harmless twin: the share told apart by order, and by the threshold."""
    paired: dict[str, dict[str, str]] = {}
    for row in rows:
        if row.get("pair"):
            paired.setdefault(row["pair"], {})[row["label"]] = row["text"]
    whole = [pair for pair in paired.values() if len(pair) == 2]
    if not whole:
        return None
    unsafe, safe = (np.asarray(worst(scorer, [pair[label] for pair in whole]).unsafe) for label in ("unsafe", "safe"))
    both = (unsafe >= threshold) & (safe < threshold)
    return {"n": len(whole), "ordered": float((unsafe > safe).mean()), "both_right": float(both.mean())}


def compare(peer: str, sets: Mapping[str, list[dict[str, Any]]], threshold: float = 0.5) -> dict[str, Any]:
    """A peer on the same rows, at its own default threshold of one half."""
    began = time.perf_counter()
    asked = open_peer(peer)
    scored = {
        name: (np.array(asked.unsafe([row["text"] for row in rows])), suite.labels_of(rows))
        for name, rows in sets.items()
    }
    return {
        "name": peer,
        "published": False,
        **suite.measure(scored, threshold),
        "seconds": time.perf_counter() - began,
    }
