"""Settings of the programs: frozen, typed, checked, without torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Self

from classifier.runfolder import ProgramError

DEFAULT_ENCODER = "all-MiniLM-L6-v2"


@dataclass(frozen=True)
class TrainSettings:
    """How a guard is trained."""

    backbone: str = DEFAULT_ENCODER  # packaged name, local folder or hub name
    epochs: int = 8  # a few hundred seeds need several passes; validation picks the best one
    learning_rate: float = 1e-4  # chosen on a validation split of the demo seeds, see docs/experiments.md
    head_learning_rate: float = 1e-3  # the heads start from nothing
    batch_size: int = 16
    max_length: int = 128  # tokens; longer texts are cut
    warm_up: float = 0.1  # share of all steps
    weight_decay: float = 0.01
    dropout: float = 0.1
    category_loss: float = 0.5  # weight of the categories against the verdict, which is what blocks
    checkpoint_steps: int = 100  # 360 MB for MiniLM: seconds of work against a second of disk
    seed: int = 0

    def __post_init__(self) -> None:
        for field in fields(self):
            if field.type == "int" and type(getattr(self, field.name)) is not int:
                raise ValueError(f"{field.name} should be a whole number, found {getattr(self, field.name)!r}")
        for name, low, high in (
            ("epochs", 1, 1000), ("learning_rate", 0, 1e9), ("head_learning_rate", 0, 1e9), ("batch_size", 1, 4096),
            ("max_length", 8, 8192), ("warm_up", 0, 1), ("weight_decay", 0, 10), ("dropout", 0, 0.9),
            ("category_loss", 0, 100), ("checkpoint_steps", 1, 10**9),
        ):  # fmt: skip
            if not low <= getattr(self, name) <= high:
                raise ValueError(f"{name} should be between {low:g} and {high:g}, found {getattr(self, name)}")

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Build from JSON.

        Raises:
            ProgramError: a setting that does not exist, or a value out of its bounds.
        """
        known = {field.name for field in fields(cls)}
        if strange := sorted(set(values) - known):
            raise ProgramError(f"There is no setting {strange[0]!r}.", f"Use one of: {', '.join(sorted(known))}.")
        try:
            return cls(**values)
        except (TypeError, ValueError) as error:
            raise ProgramError(f"A setting cannot be used: {error}.", "Correct it and start again.") from None

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)
