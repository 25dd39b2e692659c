"""What the serving program says about a text: two-way flag, three-way decision, and which categories."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

EVIDENT = 0.5  # a calibrated category score from which it is named, where the card has no cut for it


def answer(card: Mapping[str, Any], unsafe: float, categories: Mapping[str, float]) -> dict[str, Any]:
    """Decide by the cuts in a guard's card; `unsafe` and `categories` are calibrated probabilities."""
    cut = threshold(card)
    own: Mapping[str, float] = card.get("category_thresholds") or {}
    by_category = [name for name, score in categories.items() if score >= own.get(name, 2.0)]
    flagged = unsafe >= cut or bool(by_category)
    named = [name for name, score in categories.items() if flagged and score >= own.get(name, EVIDENT)]
    if flagged and categories and not named:
        named = [max(categories, key=categories.__getitem__)]  # something is wrong with it: the likeliest says what
    return {
        "flagged": flagged, "decision": _decision(card, unsafe, cut, bool(by_category)), "unsafe": unsafe,
        "categories": named, "category_scores": dict(categories),
    }  # fmt: skip


def threshold(card: Mapping[str, Any]) -> float:
    """The cut that was chosen on validation; one half where it could not say."""
    cuts: Mapping[str, float | None] = card.get("thresholds") or {}
    found = cuts.get("default", cuts.get("best_f1"))
    return 0.5 if found is None else float(found)


def _decision(card: Mapping[str, Any], unsafe: float, cut: float, by_category: bool) -> str:
    band = card.get("review")
    if not band:
        return "unsafe" if unsafe >= cut or by_category else "safe"
    if unsafe >= band["to"]:
        return "unsafe"
    return "review" if unsafe >= band["from"] or by_category else "safe"
