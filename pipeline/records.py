"""What passes between stages. Loads without torch, without Django."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

Label = Literal["safe", "unsafe"]
Origin = Literal["seed", "augmented", "paraphrased", "adversarial", "template", "human", "traffic"]

SAFE: Label = "safe"
UNSAFE: Label = "unsafe"


@dataclass(frozen=True, slots=True)
class Example:
    """One text with its proposed label and where it comes from."""

    id: str
    text: str
    label: Label
    categories: tuple[str, ...] = ()  # category keys of the policy; empty for safe ones
    family: str = ""  # the root seed's id: no family on both sides of a split
    language: str = "en"
    origin: Origin = "seed"
    parent_id: str | None = None
    parent_text: str | None = None

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> Example:
        """Build from a Parquet or JSON row; columns that are not fields are passed over."""
        known = {name: row[name] for name in cls.__dataclass_fields__ if row.get(name) is not None}
        return cls(**{**known, "categories": tuple(known.get("categories", ()))})


@dataclass(frozen=True, slots=True)
class Draft:
    """A machine-made text that is not an example yet, with all that made it."""

    text: str
    label: Label
    categories: tuple[str, ...]
    parent_id: str | None  # none for a template's text, which was written from nothing
    family: str
    origin: Origin
    stage: str  # the key of the stage that asked for it
    settings: Mapping[str, Any] = field(default_factory=dict)  # the stage's fields
    prompt: str = ""  # name and digest of the prompt file, as `paraphrase@1f3a…`
    model: str = ""  # digest of the weights, or `endpoint:<model name>`
    language: str = "en"
    scores: Mapping[str, float] = field(default_factory=dict)  # adversary: reward, guard, novelty

    def to_row(self) -> dict[str, Any]:
        """A row for Parquet: mappings as JSON text, since their keys differ from stage to stage."""
        import json

        row = asdict(self)
        return {
            **row,
            "categories": list(self.categories),
            "settings": json.dumps(row["settings"], sort_keys=True),
            "scores": json.dumps(row["scores"], sort_keys=True),
        }


@dataclass(frozen=True, slots=True)
class Finding:
    """What one filter says of one example. Filters never delete: `keep` is advice that a person may overrule."""

    example_id: str
    filter: str
    keep: bool
    score: float | None = None
    reason: str = ""
