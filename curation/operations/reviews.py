"""Judging examples: the verdict and the state it leads to are one transaction.

Locks are taken in the order example, lease, verdict. A verdict that is sent twice with the same key counts once and
gets the same answer, whatever happened between.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING
from uuid import UUID

from django.db import IntegrityError, transaction
from django.utils.translation import gettext_noop

from curation.models import BulkAct, Example, IllegalMove, Lease, Project, Purpose, ReviewRules, Verdict
from curation.models.example import Label
from curation.models.review import VerdictQuerySet
from curation.operations import Refused, adjudication, agreement, gold, queue

if TYPE_CHECKING:
    from django.contrib.auth.models import User

TAKEN = gettext_noop("This one was already decided by someone else.")
UNDO_DEPTH = 10
# The columns that judging needs; whatever else somebody asks the row for is fetched then.
LOCK = """
SELECT id, project_id, state, version, text, text_hash, label, categories, proposed_label, proposed_categories, overlap
FROM curation_example WHERE id = %(example)s AND project_id = %(project)s FOR UPDATE
"""
NEXT = gettext_noop("The next one is already there.")
KEPT = gettext_noop("What you wrote is kept as a draft.")
Decision = Verdict.Decision
DECISIONS = (Decision.ACCEPT, Decision.REJECT, Decision.RELABEL, Decision.SKIP, Decision.ESCALATE)


@dataclass(frozen=True, slots=True)
class Answer:
    """What a person decided about one example, as it was sent."""

    decision: str
    label: str | None = None
    categories: Sequence[str] = ()
    reason: str = ""
    confidence: int | None = None
    seconds: float | None = None
    active_seconds: float | None = None
    version: int | None = None  # of the text that was read; None takes the current one
    lease: int | None = None
    key: UUID | None = None
    bulk: BulkAct | None = field(default=None, compare=False)

    def body_hash(self, example: int) -> str:
        """Tells whether two answers with the same key are the same answer."""
        body = {**asdict(replace(self, key=None, bulk=None)), "categories": list(self.categories), "example": example}
        return hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()


def judge(
    example: Example,
    reviewer: User,
    decision: str,
    label: str | None = None,
    categories: Sequence[str] = (),
    reason: str = "",
    seconds: float | None = None,
) -> Verdict:
    """Record a person's verdict on what they need not hold: a free slot is taken with it.

    Raises:
        Refused: the decision does not fit, or somebody else was faster.
    """
    answer = Answer(decision, label, tuple(categories), reason, seconds=seconds)
    return submit(example.project, reviewer, example.pk, answer)


def submit(project: Project, reviewer: User, example_id: int, answer: Answer) -> Verdict:
    """Store a verdict with everything that follows from it; return it, or the one that its key has stored before.

    Raises:
        Example.DoesNotExist: it is not of this project.
        Refused: the decision does not fit (`invalid`), the key belongs to another answer (`key-reused`), the text has
            changed (`stale`), or the lease is lost (`lease-lost`).
    """
    try:
        with transaction.atomic():
            example = locked(project, example_id)
            ended = Lease.End.SKIPPED if answer.decision == Decision.SKIP else Lease.End.VERDICT
            lease = Lease.objects.use_up(example, reviewer, ended, answer.lease)
            # A verdict that is sent again finds its lease used up, so only then it is looked for.
            if lease is None and (before := _replay(example, reviewer, answer)) is not None:
                return before
            return _store(example, reviewer, answer, lease or _late(example, reviewer, answer, ended))
    except IntegrityError as error:
        if "a_key_is_one_verdict" in str(error):  # the same key at the same moment, for another example
            raise _reused() from None
        raise


def locked(project: Project, example_id: int) -> Example:
    """The example, locked until the transaction ends."""
    found = Example.objects.raw(LOCK, {"project": project.pk, "example": example_id})
    example = next(iter(found), None)
    if example is None:
        raise Example.DoesNotExist(f"no example {example_id} in project {project.pk}")
    example.project = project
    return example


def _replay(example: Example, reviewer: User, answer: Answer) -> Verdict | None:
    if answer.key is None:
        return None
    before = Verdict.objects.filter(reviewer=reviewer, idempotency_key=answer.key).first()
    if before is not None and (before.example_id, before.body_hash) != (example.pk, answer.body_hash(example.pk)):
        raise _reused()
    return before


def _reused() -> Refused:
    return Refused(
        "This key was used for another verdict.", "Send a new verdict under a key of its own.", code="key-reused",
        field="Idempotency-Key",
    )  # fmt: skip


def _store(example: Example, reviewer: User, answer: Answer, lease: Lease) -> Verdict:
    label, categories = _meaning(example, answer.decision, answer.label, answer.categories)
    if answer.version is not None and answer.version != example.version:
        raise stale(example)
    # Whoever chooses what was proposed approves it, by whichever key.
    approves = answer.decision == Decision.RELABEL and example.proposes(label, categories)
    decision = Decision.ACCEPT if approves else answer.decision
    told = gold.feedback(lease, decision, label, categories) if lease.purpose != Purpose.QUEUE else None
    verdict = Verdict(
        example=example, reviewer=reviewer, maker=Verdict.Maker.PERSON, decision=decision, label=label,
        categories=categories, reason=answer.reason.strip()[:500], confidence=answer.confidence,
        seconds=answer.seconds, active_seconds=answer.active_seconds, purpose=lease.purpose, version=example.version,
        lease=lease, bulk=answer.bulk, idempotency_key=answer.key,
        body_hash=answer.body_hash(example.pk) if answer.key else "", policy_version=example.project.policy_version,
    )  # fmt: skip
    if lease.purpose == Purpose.QUEUE:
        _settle(example, verdict)
    verdict.answer = {"state": _state(example, verdict), "feedback": told}
    verdict.save(force_insert=True)
    if lease.purpose != Purpose.QUEUE:
        gold.judged(verdict)
    return verdict


def _state(example: Example, verdict: Verdict) -> str:
    """The state that the person is told: for a known question, the one that any other item would have now."""
    if verdict.purpose == Purpose.QUEUE:
        return str(example.state)
    if verdict.decision == Decision.SKIP:
        return str(Example.State.QUEUED)
    return agreement.consensus(example.project.review_rules, [verdict]) or Example.State.QUEUED


def stale(example: Example) -> Refused:
    """The text is not any more what the person read."""
    return Refused(
        "The text was changed meanwhile.", "Read it again; nothing was stored.", code="stale", text=example.text,
        version=example.version,
    )  # fmt: skip


def _meaning(example: Example, decision: str, label: str | None, categories: Sequence[str]) -> tuple[str, list[str]]:
    """The label and categories that a decision stands for."""
    match decision:
        case Decision.ACCEPT:
            return example.proposed_label, list(example.proposed_categories)
        case Decision.RELABEL:
            return _relabelled(example, label, categories)
        case Decision.REJECT | Decision.SKIP | Decision.ESCALATE:
            return "", []
        case _:
            raise _invalid(f"Expected accept, reject, relabel, skip or escalate, found {decision!r}.", "", "decision")


def _invalid(message: str, remedy: str, field: str) -> Refused:
    return Refused(message, remedy, code="invalid", field=field)


def _relabelled(example: Example, label: str | None, categories: Sequence[str]) -> tuple[str, list[str]]:
    if label not in Label.values:
        raise _invalid("A new label is safe or unsafe.", "Choose one of the two.", "label")
    if label == Label.SAFE:
        return label, []
    known = example.project.policy_version.keys()
    if strange := [key for key in categories if key not in known]:
        raise _invalid(f"The policy has no category {strange[0]!r}.", "Choose one from the list.", "categories")
    if not categories:
        raise _invalid(
            "An unsafe example needs at least one category.", "Choose what kind of harm it is.", "categories"
        )
    return Label.UNSAFE, [key for key in known if key in categories]


def _late(example: Example, reviewer: User, answer: Answer, ended: str) -> Lease:
    """A lease that is over, or none at all, is good while nobody took the slot."""
    named = Lease.objects.filter(example=example, reviewer=reviewer, pk=answer.lease or 0).first()
    if named is not None and named.purpose != Purpose.QUEUE:
        return _late_answer(named)
    lease = _take_slot(example, reviewer)
    Lease.objects.filter(pk=lease.pk).end(ended)
    return lease


def _late_answer(lease: Lease) -> Lease:
    """A known question that ran out may still be answered, once."""
    if lease.ended != Lease.End.EXPIRED or lease.verdicts.exists():
        raise Refused(queue.LOST, KEPT, code="lease-lost")
    return lease


def _take_slot(example: Example, reviewer: User) -> Lease:
    if example.state != Example.State.QUEUED:
        raise Refused(TAKEN, NEXT, code="lease-lost")
    if not Example.objects.filter(pk=example.pk).unjudged_by(reviewer).exists():
        raise Refused("You have judged this one already.", NEXT, code="lease-lost")
    granted = queue.grant(queue.Seat(example.project, reviewer, example.project.review_rules), [example.pk])
    if not granted:
        raise Refused(queue.LOST, KEPT, code="lease-lost")
    return granted[0]


def _settle(example: Example, verdict: Verdict) -> None:
    """Move the example where the verdicts on it lead, this one among them."""
    reviewer, rules = verdict.reviewer, example.project.review_rules
    if example.state != Example.State.QUEUED:
        raise Refused(TAKEN, NEXT, code="lease-lost")
    if verdict.decision == Decision.SKIP:
        if rules.skip_rule == ReviewRules.SkipRule.RETIRE:
            example.settle(Example.State.RETIRED, "", [], reviewer, "skipped")
        return
    others = [] if rules.one_decides else list(Verdict.objects.counted().filter(example=example))
    outcome = agreement.fold(rules, [*others, verdict], example.overlap)
    if outcome is not None:
        example.settle(outcome.state, outcome.label, outcome.categories, reviewer)
    if example.state == Example.State.DISPUTED:
        adjudication.open_for(example, reviewer if verdict.decision == Decision.ESCALATE else None)


def standing(reviewer: User, project: Project) -> VerdictQuerySet:
    """The reviewer's verdicts that undo can reach: the newest ones that still stand."""
    mine = Verdict.objects.current().by_people().filter(reviewer=reviewer, example__project=project)
    return mine.exclude(purpose__in=[Purpose.ADJUDICATION, Purpose.EXAM]).order_by("-pk")[:UNDO_DEPTH]


def undo(reviewer: User, project: Project, verdict_id: int | None = None) -> Example | None:
    """Withdraw a verdict, the reviewer's newest where none is named, and lease its example to them again.

    Return the example, or None where there is nothing to take back.

    Raises:
        Refused: it is not among the last ten, or the example moved on since.
    """
    mine = list(standing(reviewer, project))
    wanted = [verdict for verdict in mine if verdict_id in (None, verdict.pk)]
    if not wanted and verdict_id is not None:
        raise Refused(f"Only your last {UNDO_DEPTH} verdicts can be taken back.", code="conflict")
    if not wanted:
        return None
    with transaction.atomic():
        return withdraw(project, reviewer, wanted[0])


def withdraw(project: Project, reviewer: User, verdict: Verdict) -> Example:
    """Take one verdict back; the caller has a transaction open.

    Raises:
        Refused: it was taken back already, or the example moved on since.
    """
    example = locked(project, verdict.example_id)
    if not Verdict.objects.current().filter(pk=verdict.pk).exists():
        raise Refused("This one was taken back already.", code="conflict")
    if verdict.answer and verdict.answer.get("feedback"):
        raise Refused("You have seen the answer to this one, so it stays as it is.", code="conflict")
    if verdict.purpose == Purpose.QUEUE:
        _requeue(example, verdict)
    Verdict.objects.create(
        example=example, reviewer=reviewer, maker=Verdict.Maker.PERSON, decision=Decision.WITHDRAW, supersedes=verdict,
        policy_version=verdict.policy_version, purpose=verdict.purpose, version=example.version,
    )  # fmt: skip
    _lease_again(example, reviewer, verdict.purpose)
    return example


def _requeue(example: Example, verdict: Verdict) -> None:
    """Bring the example back to where it waited, where this verdict had moved it."""
    queued, by = Example.State.QUEUED, verdict.reviewer
    if example.state == queued:
        return
    settled = Verdict.objects.current().filter(example=example, purpose=Purpose.ADJUDICATION).exists()
    others = Verdict.objects.counted().filter(example=example).exclude(pk=verdict.pk)
    stands = agreement.fold(example.project.review_rules, list(others), example.overlap) is not None
    skipped = verdict.decision == Decision.SKIP and example.state != Example.State.RETIRED
    try:
        if settled or skipped or stands or not _moved_it(example, verdict):
            raise IllegalMove
        adjudication.withdraw(example)
        example.move_to(queued, by=by, note="undo", label="", categories=[])
    except IllegalMove:
        raise Refused("This one has moved on since, so it cannot be undone.", code="conflict") from None


def _moved_it(example: Example, verdict: Verdict) -> bool:
    """Whether the verdicts, and nobody else, brought the example where it is: a lead may have retired it since."""
    if example.state != Example.State.RETIRED:
        return True
    return verdict.decision == Decision.SKIP and (verdict.answer or {}).get("state") == example.state


def _lease_again(example: Example, reviewer: User, purpose: str) -> None:
    rules = example.project.review_rules
    seat = queue.Seat(example.project, reviewer, rules)
    if purpose != Purpose.QUEUE:
        queue.lease_known(seat, [(example.pk, Purpose(purpose))])
    elif not queue.grant(seat, [example.pk]):
        raise Refused("Somebody else has it now, so it cannot be undone.", code="conflict")
