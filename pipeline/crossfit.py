"""Guards as a judge: fine-tuned on the decided examples outside each fold of families, each judges that fold alone.

A guard of other rows and, where one is given, of another backbone shares less with the guard under attack than that
guard with itself: what the one gets wrong need not be what the other does.
"""

from __future__ import annotations

import random
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from classifier import calibrate
from classifier.config import DEFAULT_ENCODER, TrainSettings
from classifier.runfolder import ProgramError, Report, RunFolder, digest_rows
from pipeline.judge import Opinion, first_of_each, fold, opinion
from pipeline.records import UNSAFE

if TYPE_CHECKING:
    from classifier.score import Scorer

FEWEST = calibrate.FEW  # held-out examples of each label that a guard is calibrated on; with fewer it would be too sure
HELD_OUT = 0.2  # of the families that a guard sees
# No opinion between these probabilities: so the guards speak of 67 % of the demo seeds and are right about 91 % of
# those, as often as the probe is. Calibrated on some forty texts, they are surer than they ought to be.
MIDDLE = (0.15, 0.85)


class Guards:
    """One guard for each fold of families; None where there was too little to learn from."""

    def __init__(self, scorers: Sequence[Scorer | None]) -> None:
        self._scorers = scorers

    @classmethod
    def fit(
        cls, texts: Sequence[str], labels: Sequence[str], families: Sequence[str], settings: TrainSettings,
        folds: int, folder: Path, report: Report,
    ) -> Self:  # fmt: skip
        """Train on n trusted labels, in `folder`. A guard that was finished there on the same rows is found again.

        A text that comes twice counts once.

        Raises:
            ProgramError: the backbone is not to be had, or a training diverged.
        """
        rows = [{"text": texts[n], "label": labels[n], "family": families[n]} for n in first_of_each(texts)]
        return cls([_guard(rows, settings, k, folds, folder / f"fold-{k}-of-{folds}", report) for k in range(folds)])

    @property
    def silence(self) -> str:
        """Why it has no opinion on anything; empty where it can have one."""
        if any(scorer is not None for scorer in self._scorers):
            return ""
        folds = len(self._scorers)
        needed = round(FEWEST / HELD_OUT * folds / (folds - 1))
        return (
            f"The judge abstains: its guards need some {needed} decided examples of each label, to keep {FEWEST} of "
            "each for the calibration of every guard."
        )

    def opinions(self, texts: Sequence[str], _: Any, families: Sequence[str]) -> list[Opinion]:
        """Judge n texts, each by the guard that did not see its family; their vectors are not looked at."""
        probabilities = np.full(len(texts), 0.5)
        folds = np.array([fold(family, len(self._scorers)) for family in families], int)
        for k, scorer in enumerate(self._scorers):
            if scorer is not None and (rows := np.flatnonzero(folds == k)).size:
                probabilities[rows] = scorer.unsafe([texts[row] for row in rows.tolist()])
        return [
            opinion(float(p), middle=MIDDLE) if text.strip() else Opinion(None, 0.5)
            for text, p in zip(texts, probabilities, strict=True)
        ]


def _guard(
    rows: Sequence[Mapping[str, Any]], settings: TrainSettings, k: int, folds: int, home: Path, report: Report
) -> Scorer | None:
    """The guard that never saw fold k."""
    from classifier.score import load_scorer

    seen = _parted([row for row in rows if fold(row["family"], folds) != k])
    if not _enough(seen):
        return None

    def told(done: int, total: int, message: str = "", _: Any = None, /) -> None:
        report(done, total, f"Guard {k + 1} of {folds} that judges: {message}")  # its loss is no figure of this run

    try:
        _train(seen, settings, RunFolder(home), told)
    except ProgramError as error:
        raise ProgramError(
            f"No guard could be trained as a judge: {error.error}",
            f"Give the judge a backbone that is here, such as {DEFAULT_ENCODER}, or the kind probe.",
        ) from None
    return load_scorer(home / "model")


def _parted(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Rows with a split: some families are held out, always the same of the same ones."""
    families = sorted({row["family"] for row in rows})
    held = set(random.Random(0).sample(families, round(HELD_OUT * len(families))))
    return [{**row, "split": "validation" if row["family"] in held else "train"} for row in rows]


def _enough(rows: Sequence[Mapping[str, Any]]) -> bool:
    """Whether both labels are there, to learn from and to calibrate on."""
    unsafe: dict[str, list[bool]] = {"train": [], "validation": []}
    for row in rows:
        unsafe[row["split"]].append(row["label"] == UNSAFE)
    return all(min(sum(some), len(some) - sum(some)) >= FEWEST for some in unsafe.values())


def _train(rows: Sequence[Mapping[str, Any]], settings: TrainSettings, run: RunFolder, report: Report) -> None:
    """Train in a run folder of its own, from where it stands; what was begun on other rows is thrown away."""
    import torch

    from classifier.devices import Devices
    from classifier.train import train

    wanted = {"settings": settings.to_dict(), "categories": [], "rows": digest_rows(rows)}
    if not (run / "request.json").exists() or run.request() != wanted:
        shutil.rmtree(run.path, ignore_errors=True)
        run.write_rows(rows, "input.parquet")
        run.write_request(wanted)
    cards = range(torch.cuda.device_count())
    with torch.random.fork_rng(cards):  # whether a guard was trained or found again, what comes after draws the same
        train(run, report, Devices(alone=True))  # of an attack's processes the first one alone asks the judge
