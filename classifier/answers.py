"""What is said about a text: two-way flag, three-way decision, which categories, and how the text was disguised."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from classifier import inputs
from classifier.decide import Rules

EVIDENT = 0.5  # a calibrated category score from which it is named, where the card has no cut for it


def answers(scorer: Any, texts: Sequence[str]) -> list[dict[str, Any]]:
    """Score texts as they came and undisguised, and decide on the worse by the cuts in the guard's card."""
    if not texts:
        return []
    rules, both = Rules.from_card(scorer.card), inputs.worst(scorer, texts)
    found = []
    for at, disguises in enumerate(both.found):
        categories = dict(zip(scorer.names, (round(float(p), 6) for p in both.categories[at]), strict=True))
        said = answer(rules, round(float(both.unsafe[at]), 6), categories)
        if disguises:
            said |= {"disguises": list(disguises), "unsafe_as_it_came": round(float(both.raw[at]), 6)}
        found.append(said)
    return found


def answer(rules: Rules, unsafe: float, categories: Mapping[str, float]) -> dict[str, Any]:
    """Decide on calibrated probabilities: `unsafe`, and one per category."""
    two, three = rules.decide(unsafe, categories), rules.triage(unsafe, categories)
    flagged = two.verdict == "unsafe"
    named = [name for name, score in categories.items() if flagged and score >= rules.categories.get(name, EVIDENT)]
    if flagged and categories and not named:
        named = [max(categories, key=categories.__getitem__)]  # something is wrong with it: the likeliest says what
    return {
        "flagged": flagged, "decision": three.verdict, "severity": three.severity, "unsafe": unsafe,
        "categories": named, "category_scores": dict(categories),
    }  # fmt: skip
