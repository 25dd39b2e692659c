"""Parting a dataset into splits by family: no family is ever in two, and labels are spread as evenly as they go."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

KEEP, DRAW = "keep", "draw"
HELD_OUT = "test"  # where what is held out for measuring goes
NAMES = ("train", "validation", HELD_OUT)
EVEN = 0.1  # how far the share of unsafe rows in a split may be from that of the whole

VALIDATION_SHARE = 15  # percent of the seed families


def split_of(family: str) -> str:
    """Train or validation, by the family's hash: whatever comes in later, no family changes sides."""
    share = int(hashlib.sha256(f"split:{family}".encode()).hexdigest()[:8], 16) % 100
    return "validation" if share < VALIDATION_SHARE else "train"


class SplitImpossible(Exception):
    """The splits that were asked for cannot be made of these families; the message says which and why."""

    def __init__(self, message: str, remedy: str) -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy


@dataclass(frozen=True)
class SplitRecipe:
    """How a dataset is parted.

    `parts` names the splits with their shares, or with their rows where `unit` is "rows": then `train` takes the rest.
    """

    mode: str = KEEP  # as the examples are parted already, or drawn anew
    parts: Mapping[str, float] = field(default_factory=dict)
    unit: str = "share"
    tolerance: float = 0.02  # of all rows: whole families seldom fit to the row
    held_out: bool = True  # families that guards are measured on stay out of training
    seed: int = 0  # another number draws other families

    def __post_init__(self) -> None:
        if self.mode not in (KEEP, DRAW):
            raise SplitImpossible(f"A split is {KEEP!r} or {DRAW!r}, found {self.mode!r}.", "Choose one of these.")
        if self.mode == DRAW:
            self._check_parts()

    def _check_parts(self) -> None:
        if strange := sorted(set(self.parts) - set(NAMES)):
            raise SplitImpossible(f"There is no split named {strange[0]!r}.", f"Use {', '.join(NAMES)}.")
        if len(self.parts) < 2 or min(self.parts.values()) <= 0:
            raise SplitImpossible("A split has two parts or more, and none of them is empty.", "Ask for more rows.")
        whole = sum(self.parts.values())
        if self.unit == "share" and abs(whole - 1) > 1e-6:
            raise SplitImpossible(f"The shares come to {whole:.0%} and should come to 100 %.", "Change one of them.")

    def wanted(self, rows: int) -> dict[str, float]:
        """Rows that each part should have, of so many in all.

        Raises:
            SplitImpossible: more rows are asked for than there are.
        """
        if self.unit == "share":
            return {name: share * rows for name, share in self.parts.items()}
        fixed = {name: count for name, count in self.parts.items() if name != "train"}
        rest = rows - sum(fixed.values())
        if rest < 1:
            raise SplitImpossible(
                f"The split asks for {sum(fixed.values()):,.0f} rows beside training, and there are {rows:,} in all.",
                "Ask for fewer, or widen the filter.",
            )
        return {"train": rest, **fixed}

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Family:
    """A seed and all that came of it: how many rows, by label; `held_out` where guards are measured on it."""

    name: str
    rows: Mapping[str, int]
    held_out: bool = False


class Draw:
    """Gives each family to the split that lacks most of what it brings. Larger families should come first."""

    def __init__(self, recipe: SplitRecipe, totals: Mapping[str, int]) -> None:
        self.recipe = recipe
        self.totals = dict(totals)
        self.rows = sum(totals.values())
        self.wanted = recipe.wanted(self.rows)
        self.given: dict[str, Counter[str]] = {name: Counter() for name in self.wanted}
        self.largest = 0

    def __call__(self, families: Iterable[Family]) -> Iterator[tuple[str, str]]:
        """Yield each family's name with its split; those that are held out should come before all others."""
        for family in families:
            size = sum(family.rows.values())
            self.largest = max(self.largest, size)
            name = HELD_OUT if family.held_out and self.recipe.held_out else self._neediest(family, size)
            if name not in self.given:
                raise SplitImpossible(
                    "Some families are held out for measuring, and the split has no part named test.",
                    "Add one, or let held-out families be drawn like others.",
                )
            self.given[name].update(family.rows)
            yield family.name, name

    def _neediest(self, family: Family, size: int) -> str:
        return max(self.wanted, key=lambda name: self._need(name, family, size))

    def _need(self, name: str, family: Family, size: int) -> tuple[bool, float]:
        """Whether the family fits at all, then how much of the split is missing, weighed by what the family brings."""
        share = self.wanted[name] / self.rows
        given = self.given[name]
        missing = sum(
            count * (1 - given[label] / (share * self.totals[label])) for label, count in family.rows.items() if count
        )
        return given.total() + size <= self.wanted[name] + self._slack(), missing / max(size, 1)

    def _slack(self) -> float:
        return self.recipe.tolerance * self.rows

    def check(self) -> None:
        """Look at what was drawn.

        Raises:
            SplitImpossible: a part is too far from its size, or lacks a label.
        """
        for name, wanted in self.wanted.items():
            found = self.given[name].total()
            if found == 0 or abs(found - wanted) > max(self._slack(), 1):
                raise SplitImpossible(
                    f"The split {name} should have {wanted:,.0f} rows, give or take {self._slack():,.0f}; whole "
                    f"families give {found:,}. The largest family has {self.largest:,} rows.",
                    "Ask for other sizes, allow more tolerance, or widen the filter.",
                )
            self._check_labels(name, found)

    def _check_labels(self, name: str, found: int) -> None:
        for label, total in self.totals.items():
            whole, here = total / self.rows, self.given[name][label] / found
            if abs(here - whole) > max(EVEN, 1 / found):
                raise SplitImpossible(
                    f"The split {name} would be {here:.0%} {label}, and the whole is {whole:.0%}: its families do not "
                    "mix better.",
                    "Ask for a larger part, or draw with another seed.",
                )
