"""What several people's verdicts on one example come to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from curation.models import Example, ReviewRules, Verdict
from curation.models.example import Label

Consensus = ReviewRules.Consensus


@dataclass(frozen=True, slots=True)
class Outcome:
    """The state that the verdicts lead to, with the label where it is accepted."""

    state: str
    label: str = ""
    categories: tuple[str, ...] = ()


DISPUTED = Outcome(Example.State.DISPUTED)


def consensus(rules: ReviewRules, verdicts: Sequence[Verdict], needed: int | None = None) -> str | None:
    """The state that these counted verdicts lead to; None while more are needed."""
    outcome = fold(rules, verdicts, needed)
    return outcome.state if outcome else None


def needed_for(rules: ReviewRules, overlap: int | None = None) -> int:
    """How many verdicts decide: where one is enough, the overlap of the project or of the batch does not matter."""
    return 1 if rules.consensus == Consensus.ONE else overlap or rules.overlap


def fold(rules: ReviewRules, verdicts: Sequence[Verdict], needed: int | None = None) -> Outcome | None:
    """State, label and categories that these counted verdicts lead to; None while more are needed.

    Nobody decides early: stopping at the first majority would make agreement look better than it is.
    """
    if any(verdict.decision == Verdict.Decision.ESCALATE for verdict in verdicts):
        return DISPUTED
    needed = needed_for(rules, needed)
    if len(verdicts) < needed:
        return None
    least = {Consensus.ONE: 1, Consensus.MAJORITY: len(verdicts) // 2 + 1, Consensus.UNANIMOUS: len(verdicts)}
    return _agreed(verdicts, least[Consensus(rules.consensus)])


def _agreed(verdicts: Sequence[Verdict], least: int) -> Outcome:
    answer, votes = Counter(verdict.label for verdict in verdicts).most_common(1)[0]
    if votes < least:
        return DISPUTED
    if not answer:
        return Outcome(Example.State.REJECTED)
    named = Counter(key for verdict in verdicts if verdict.label == answer for key in verdict.categories)
    categories = tuple(key for key, count in named.items() if count >= least)
    if answer == Label.UNSAFE and not categories:
        return DISPUTED  # they agree that it is harmful, and not on how
    return Outcome(Example.State.ACCEPTED, answer, categories)
