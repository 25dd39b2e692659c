"""Settings of the programs: frozen, typed, checked, without torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Self

from classifier.runfolder import ProgramError

DEFAULT_ENCODER = "all-MiniLM-L6-v2"

BOUNDS = {
    "epochs": (1, 1000), "budget_minutes": (0, 1e6), "patience": (0, 1000), "learning_rate": (0, 1e9),
    "head_learning_rate": (0, 1e9), "batch_size": (1, 4096), "accumulate": (1, 4096), "max_length": (8, 8192),
    "warm_up": (0, 1), "weight_decay": (0, 10), "dropout": (0, 0.9), "average": (0, 0.9999), "lora_rank": (0, 1024),
    "category_loss": (0, 100), "energy": (0, 100), "rdrop": (0, 100), "consistency": (0, 100), "twins": (0, 100),
    "mining": (0, 10), "distill": (0, 1), "label_smoothing": (0, 0.5), "class_balance": (0, 1),
    "source_balance": (0, 1), "checkpoint_steps": (1, 10**9), "window_overlap": (0, 0.9), "devices": (1, 4096),
    "target_fpr": (0, 0.5), "most_rows": (0, 10**9), "folds": (0, 20),
}  # fmt: skip
CHOICES = ("random", "trajectories", "uncertainty", "forgetting", "disagreement")  # see selection.py


@dataclass(frozen=True)
class TrainSettings:
    """How a guard is trained. What each is worth was measured; see docs/experiments.md."""

    # What learns
    backbone: str = DEFAULT_ENCODER  # packaged name, local folder or hub name
    frozen: bool = False  # train the heads alone, on vectors made once: a guard within a minute
    lora_rank: int = 0  # 0 trains every weight; else adapters of this rank, merged at the end
    dropout: float = 0.1
    probe: bool = True  # the heads begin as a linear probe of the untouched encoder, not from nothing

    # From what
    most_rows: int = 0  # 0 learns from every row; else from so many, which a small proxy chooses first
    choose_by: str = "random"  # or trajectories, uncertainty, forgetting, disagreement: all worse on 600 rows of 6,000

    folds: int = 0  # 0 trains one guard; 5 train five, each without one part of the families, and average their weights

    # How long, how fast
    epochs: int = 8  # a few hundred seeds need several passes; validation picks the best one
    budget_minutes: float = 0.0  # of processor time; 0 is no limit. The schedule ends when it is spent
    patience: int = 0  # end after this many epochs without a better validation average precision; 0 never does
    learning_rate: float = 1e-4  # chosen on a validation split of the demo seeds
    head_learning_rate: float = 1e-3  # the heads start from nothing
    batch_size: int = 16  # rows to a step
    accumulate: int = 1  # pieces that a batch is cut into, so that it fits the memory; the sum is the same
    max_length: int = 128  # tokens; longer texts are cut in training and read in windows afterwards
    warm_up: float = 0.1  # share of all steps
    weight_decay: float = 0.01
    average: float = 0.0  # decay of the running mean of weights that is validated and kept; 0 keeps the last weights

    # What counts how much
    category_loss: float = 0.5  # weight of the categories against the verdict, which is what blocks
    class_balance: float = 0.0  # 0 takes labels as they come, 1 lets both labels weigh the same
    source_balance: float = 0.0  # 0 takes sources as they come, 1 lets every source weigh the same
    source_weights: Mapping[str, float] = field(default_factory=dict)  # by name: 0 leaves one out, others weigh 1
    label_smoothing: float = 0.0  # for rows whose annotators agreed in half the cases, none for rows they all agreed on
    energy: float = 0.0  # pushes the energy of safe texts down, past the point where the verdict is right
    rdrop: float = 0.0  # two dropout masks should say the same (Liang et al. 2021); doubles the cost of a step
    consistency: float = 0.0  # a disguised text should be scored like the plain one
    twins: float = 0.0  # an unsafe text should score above its harmless twin, which is of the same family
    mining: float = 0.0  # rows that an epoch got wrong weigh up to 1 + this in the next
    teacher: str = ""  # folder or address of a larger guard whose scores are learnt too
    distill: float = 0.5  # share of the teacher in the target, where there is one

    # The machine
    bf16: bool = False  # matrix products in bfloat16: half again as fast where the processor knows it, else left
    devices: int = 1  # processes of `accelerate launch`
    checkpoint_steps: int = 100  # 360 MB for MiniLM: seconds of work against a second of disk
    seed: int = 0

    # What the guard does once trained
    other_sources: bool = True  # less sure where rows say their `source` and four or more show how far sources differ
    target_fpr: float = 0.0  # false positives on validation that its default threshold may cost; 0 takes the best F1
    window_overlap: float = 0.25  # share of a window that the next one reads again

    def __post_init__(self) -> None:
        for one in fields(self):
            if one.type == "int" and type(getattr(self, one.name)) is not int:
                raise ValueError(f"{one.name} should be a whole number, found {getattr(self, one.name)!r}")
            if one.type == "bool" and type(getattr(self, one.name)) is not bool:
                raise ValueError(f"{one.name} should be true or false, found {getattr(self, one.name)!r}")
        for name, (low, high) in BOUNDS.items():
            if not low <= getattr(self, name) <= high:
                raise ValueError(f"{name} should be between {low:g} and {high:g}, found {getattr(self, name)}")
        for name, weight in dict(self.source_weights).items():
            if not 0 <= weight <= 100:
                raise ValueError(f"source_weights[{name!r}] should be between 0 and 100, found {weight}")
        if self.choose_by not in CHOICES:
            raise ValueError(f"choose_by should be one of {', '.join(CHOICES)}, found {self.choose_by!r}")
        if self.folds == 1:
            raise ValueError("folds should be 0, or 2 and more: each guard learns without one of them")
        if self.frozen and (self.lora_rank or self.consistency):
            raise ValueError("frozen trains the heads alone: lora_rank and consistency have nothing to change")

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Build from JSON.

        Raises:
            ProgramError: a setting that does not exist, or a value out of its bounds.
        """
        known = {one.name for one in fields(cls)}
        if strange := sorted(set(values) - known):
            raise ProgramError(f"There is no setting {strange[0]!r}.", f"Use one of: {', '.join(sorted(known))}.")
        try:
            return cls(**values)
        except (TypeError, ValueError) as error:
            raise ProgramError(f"A setting cannot be used: {error}.", "Correct it and start again.") from None

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)
