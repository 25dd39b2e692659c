"""Judging examples: the verdict and the state it leads to are one transaction."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from django.db import transaction

from curation.models import Example, IllegalMove, Project, Verdict
from curation.models.example import Label
from curation.operations import Refused

if TYPE_CHECKING:
    from django.contrib.auth.models import User

TAKEN = "This one was already decided by someone else."


def judge(
    example: Example,
    reviewer: User,
    decision: str,
    label: str | None = None,
    categories: Sequence[str] = (),
    reason: str = "",
    seconds: float | None = None,
) -> Verdict:
    """Record a person's verdict and move the example with it.

    Raises:
        Refused: the decision does not fit, or somebody else was faster.
    """
    label, categories = _meaning(example, decision, label, categories)
    with transaction.atomic():
        _move(example, decision, label, categories, reviewer)
        return Verdict.objects.create(
            example=example, reviewer=reviewer, maker=Verdict.Maker.PERSON, decision=decision, label=label,
            categories=list(categories), reason=reason.strip()[:500], seconds=seconds,
            policy_version=example.project.policy_version,
        )  # fmt: skip


def _meaning(example: Example, decision: str, label: str | None, categories: Sequence[str]) -> tuple[str, list[str]]:
    """The label and categories that a decision stands for."""
    match decision:
        case Verdict.Decision.ACCEPT:
            return example.proposed_label, list(example.proposed_categories)
        case Verdict.Decision.RELABEL:
            return _relabelled(example, label, categories)
        case Verdict.Decision.REJECT | Verdict.Decision.SKIP:
            return "", []
        case _:
            raise Refused(f"Expected accept, reject, relabel or skip, found {decision!r}.")


def _relabelled(example: Example, label: str | None, categories: Sequence[str]) -> tuple[str, list[str]]:
    if label not in Label.values:
        raise Refused("A new label is safe or unsafe.", "Choose one of the two.")
    if label == Label.SAFE:
        return label, []
    known = example.project.policy_version.keys()
    if strange := [key for key in categories if key not in known]:
        raise Refused(f"The policy has no category {strange[0]!r}.", "Choose one from the list.")
    if not categories:
        raise Refused("An unsafe example needs at least one category.", "Choose what kind of harm it is.")
    return Label.UNSAFE, [key for key in known if key in categories]


def _move(example: Example, decision: str, label: str, categories: Sequence[str], reviewer: User) -> None:
    if decision == Verdict.Decision.SKIP:
        # The row lock makes a skip wait for a verdict that is being stored, and then see it.
        if not Example.objects.waiting_for(reviewer).select_for_update(of=("self",)).filter(pk=example.pk).exists():
            raise Refused(TAKEN, "The next one is already there.")
        return
    new = Example.State.REJECTED if decision == Verdict.Decision.REJECT else Example.State.ACCEPTED
    try:
        example.move_to(new, by=reviewer, label=label, categories=list(categories))
    except IllegalMove:
        raise Refused(TAKEN, "The next one is already there.") from None


def undo(reviewer: User, project: Project) -> Example | None:
    """Withdraw the reviewer's newest verdict that still stands; return its example, or None where there is none.

    Raises:
        Refused: the example moved on since.
    """
    mine = Verdict.objects.current().by_people().filter(reviewer=reviewer, example__project=project)
    verdict = mine.select_related("example").order_by("-pk").first()
    if verdict is None:
        return None
    example = verdict.example
    with transaction.atomic():
        if verdict.decision != Verdict.Decision.SKIP:
            _requeue(example, reviewer)
        Verdict.objects.create(
            example=example, reviewer=reviewer, maker=Verdict.Maker.PERSON, decision=Verdict.Decision.WITHDRAW,
            supersedes=verdict, policy_version=verdict.policy_version,
        )  # fmt: skip
    return example


def _requeue(example: Example, reviewer: User) -> None:
    try:
        example.move_to(Example.State.QUEUED, by=reviewer, note="undo", label="", categories=[])
    except IllegalMove:
        raise Refused("This one has moved on since, so it cannot be undone.") from None
