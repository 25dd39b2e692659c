"""Which judge says whether a label held. Settings alone: models are loaded by `fit`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol, get_args

from classifier.config import BOUNDS, DEFAULT_ENCODER, TrainSettings
from classifier.runfolder import ProgramError, Report
from pipeline.records import Example

if TYPE_CHECKING:
    from pipeline.judge import Opinion

Kind = Literal["probe", "guards", "both"]
LIMITS = {"folds": (2, 10), "epochs": BOUNDS["epochs"]}


class Judges(Protocol):
    """Says of texts whether they are harmful, never by what their own family taught."""

    @property
    def silence(self) -> str:
        """Why it has no opinion on anything; empty where it can have one."""
        ...

    def opinions(self, texts: Sequence[str], embeddings: Any, families: Sequence[str], /) -> list[Opinion]:
        """Judge n texts with their unit vectors [n, width] and their families."""
        ...


@dataclass(frozen=True)
class Judging:
    """The kind of judge, and how its guards are trained where it has any."""

    kind: Kind = "probe"  # the probe is quick, guards take minutes; with both, people decide where they differ
    backbone: str = DEFAULT_ENCODER  # packaged name, folder or hub name; best another than the attacked guard's
    folds: int = 2  # families are dealt to so many guards; each judges those that it never saw
    epochs: int = 8  # passes of each guard over its examples

    def __post_init__(self) -> None:
        if self.kind not in get_args(Kind):
            raise ValueError(f"a judge's kind should be one of {', '.join(get_args(Kind))}, found {self.kind!r}")
        for name, (low, high) in LIMITS.items():
            value = getattr(self, name)
            if type(value) is not int or not low <= value <= high:
                raise ValueError(f"a judge's {name} should be a whole number from {low} to {high:,}, found {value!r}")

    def fit(self, decided: Sequence[Example], embeddings: Any, folder: Path | None, report: Report) -> Judges:
        """Let the judge learn from examples with trusted labels and their unit vectors [n, width].

        Guards are trained in `judge/` under `folder`, and found again there.

        Raises:
            ProgramError: guards are wanted and there is no folder, their backbone is not to be had, or one diverged.
        """
        from pipeline.crossfit import Guards
        from pipeline.judge import Judge, Panel

        texts, labels = [example.text for example in decided], [example.label for example in decided]
        families = [example.family for example in decided]
        judges: list[Judges] = []
        if self.kind != "guards":
            judges.append(Judge.fit(texts, embeddings, labels, families))
        if self.kind != "probe":
            if folder is None:
                raise ProgramError("Guards that judge are trained in a run's folder, and there is none.", "Name one.")
            training = TrainSettings(backbone=self.backbone, epochs=self.epochs)
            judges.append(Guards.fit(texts, labels, families, training, self.folds, folder / "judge", report))
        return judges[0] if len(judges) == 1 else Panel(judges)
