"""Disputed examples: opened by disagreement or by escalation, closed by the verdict that settles them.

Whoever judged an example does not settle it. The verdicts are shown without names and in an order that says nothing of
who was first, so that the adjudicator weighs answers and not people.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.db import transaction
from django.db.models import Exists, OuterRef, QuerySet
from django.db.models.functions import Now

from curation.models import Adjudication, Example, IllegalMove, Project, Purpose, Verdict
from curation.models.example import Label
from curation.operations import Refused

if TYPE_CHECKING:
    from django.contrib.auth.models import User

FASTEST = 2.0  # seconds; below it nobody has read anything
WORDS_A_SECOND = 15.0  # several times the pace of reading: faster than this is no reading either
SETTLED = "Somebody else has settled this one."


def open_for(example: Example, by: User | None = None) -> Adjudication:
    """Open the adjudication of an example that has just become disputed. The caller holds its lock."""
    return Adjudication.objects.create(project_id=example.project_id, example=example, opened_by=by)


def withdraw(example: Example) -> None:
    """Close what is open without a verdict: the disagreement was taken back. The caller holds the example's lock."""
    Adjudication.objects.filter(example=example, closed_at=None).update(closed_at=Now(), note="taken back")


def waiting(project: Project, user: User) -> QuerySet[Adjudication]:
    """Open cases that this person may settle: not those of examples they judged, even where they took it back."""
    judged = Verdict.objects.filter(example=OuterRef("example"), reviewer=user)
    judged = judged.exclude(decision__in=[Verdict.Decision.SKIP, Verdict.Decision.WITHDRAW])
    opened = Adjudication.objects.filter(project=project, closed_at=None).select_related("example")
    return opened.exclude(Exists(judged)).exclude(opened_by=user).order_by("opened_at", "pk")


@dataclass(frozen=True, slots=True)
class Side:
    """One verdict of a case, without its name."""

    letter: str
    decision: str
    label: str
    categories: list[str]
    reason: str
    confidence: int | None
    seconds: float | None
    too_fast: bool

    @property
    def answer(self) -> tuple[str, ...]:
        """What it says: the label and the categories; only "" where it rejects."""
        return (self.label, *sorted(self.categories))


def sides(case: Adjudication) -> list[Side]:
    """The verdicts of a case under letters, in an order that tells nothing."""
    standing = list(Verdict.objects.counted().filter(example=case.example_id))
    standing.sort(key=lambda one: hashlib.sha256(f"{case.pk}:{one.pk}".encode()).digest())
    words = len(case.example.text.split())
    return [_side(chr(ord("A") + place), one, words) for place, one in enumerate(standing)]


def _side(letter: str, verdict: Verdict, words: int) -> Side:
    seconds = verdict.seconds if verdict.active_seconds is None else verdict.active_seconds
    return Side(
        letter, verdict.decision, verdict.label, list(verdict.categories), verdict.reason, verdict.confidence, seconds,
        too_fast=seconds is not None and seconds < max(FASTEST, words / WORDS_A_SECOND),
    )  # fmt: skip


def apartness(found: Sequence[Side]) -> float:
    """How far the answers are apart: the share of pairs that differ, 0 with fewer than two."""
    answers = Counter(side.answer for side in found)
    pairs = len(found) * (len(found) - 1)
    return 1 - sum(n * (n - 1) for n in answers.values()) / pairs if pairs else 0.0


def disagreed(found: Sequence[Side]) -> bool:
    """Whether people answered differently; whoever passes a text on gives no answer."""
    return len({side.answer for side in found if side.decision != Verdict.Decision.ESCALATE}) > 1


def settle(
    case: Adjudication,
    by: User,
    label: str,
    categories: Sequence[str],
    *,
    cause: str = "",
    confidence: int | None = None,
    note: str = "",
    seconds: float | None = None,
) -> Verdict:
    """Close a case with the verdict that holds: a label, or none to reject the text.

    The cause may be empty where nobody disagreed: the text was only passed on.

    Raises:
        Refused: somebody was faster, this person judged the example, or the answer does not fit.
    """
    project = case.project
    categories = _checked(project, label, categories)
    if cause not in Adjudication.Cause.values and (cause or disagreed(sides(case))):
        raise Refused("Choose why the verdicts disagreed.", field="cause")
    with transaction.atomic():
        example = project.examples.select_for_update(of=("self",)).defer("embedding").get(pk=case.example_id)
        if not waiting(project, by).filter(pk=case.pk).exists():
            raise Refused(SETTLED, "The next case is already there.", code="settled")
        verdict = Verdict.objects.create(
            example=example, reviewer=by, maker=Verdict.Maker.PERSON, decision=_decision(example, label, categories),
            label=label, categories=categories, purpose=Purpose.ADJUDICATION, version=example.version, cause=cause,
            confidence=confidence, reason=note.strip()[:500], seconds=seconds, policy_version=project.policy_version,
        )  # fmt: skip
        _move(example, verdict, by)
        Adjudication.objects.filter(pk=case.pk).update(
            closed_at=Now(), verdict=verdict, cause=cause, confidence=confidence, note=note.strip()[:1000]
        )
    return verdict


def _checked(project: Project, label: str, categories: Sequence[str]) -> list[str]:
    if label not in (*Label.values, ""):
        raise Refused(f"Expected safe, unsafe or a rejection, found {label!r}.", field="label")
    if label != Label.UNSAFE:
        return []
    known = project.policy_version.keys()
    if strange := [key for key in categories if key not in known]:
        raise Refused(f"The policy has no category {strange[0]!r}.", "Choose one from the list.", field="categories")
    if not categories:
        raise Refused(
            "An unsafe example needs at least one category.", "Choose what kind of harm it is.", field="categories"
        )
    return [key for key in known if key in categories]


def _decision(example: Example, label: str, categories: Sequence[str]) -> str:
    if not label:
        return Verdict.Decision.REJECT
    return Verdict.Decision.ACCEPT if example.proposes(label, categories) else Verdict.Decision.RELABEL


def _move(example: Example, verdict: Verdict, by: User) -> None:
    new = Example.State.ACCEPTED if verdict.label else Example.State.REJECTED
    try:
        example.move_to(new, by=by, note="adjudicated", label=verdict.label, categories=list(verdict.categories))
    except IllegalMove:
        raise Refused(SETTLED, "The next case is already there.", code="settled") from None
