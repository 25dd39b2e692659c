"""Who gets what: claiming, keeping and giving back leases.

Locks are always taken in the order example, lease, verdict, and a claim never waits for an example's lock: it skips
what somebody else is looking at. Time is the database's.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

from django.db import connection, transaction
from django.db.models import Q
from django.db.models.functions import Now
from django.utils.translation import gettext_noop

from curation.models import (
    Adjudication,
    Batch,
    BatchItem,
    Example,
    IllegalMove,
    Lease,
    Project,
    Purpose,
    ReviewRules,
)
from curation.models.example import ExampleQuerySet
from curation.models.queue import LeaseQuerySet
from curation.operations import Refused, gold, pool, wellbeing

if TYPE_CHECKING:
    from django.contrib.auth.models import User

NO_LIMITS = wellbeing.Care()
MOST = 50  # items in one hand, bulk included
LOST = gettext_noop("This one was already taken by someone else.")
ORDERS = {
    ReviewRules.Order.INFORMATIVE: ("-priority", "pk"),
    ReviewRules.Order.OLDEST: ("pk",),
    ReviewRules.Order.RANDOM: ("draw", "pk"),
}
CLOSE_EXPIRED = """
UPDATE curation_lease SET closed_at = statement_timestamp(), ended = 'expired' WHERE id IN (
    SELECT id FROM curation_lease WHERE project_id = %(project)s AND closed_at IS NULL
    AND expires_at <= statement_timestamp() FOR UPDATE SKIP LOCKED
)
"""
# Closes what ran out, and reads what the reviewer still holds.
HELD = f"""
WITH expired AS ({CLOSE_EXPIRED})
SELECT * FROM curation_lease WHERE project_id = %(project)s AND reviewer_id = %(reviewer)s AND closed_at IS NULL
AND expires_at > statement_timestamp() ORDER BY id
"""  # noqa: S608 - put together from what stands above
# Grants what still has a free slot. The examples are locked by now, so what this statement sees is how it is.
GRANT = """
INSERT INTO curation_lease (project_id, example_id, slot, reviewer_id, batch_id, purpose, held, expires_at, ended)
SELECT %(project)s, e.id, free.place, %(reviewer)s, coalesce(%(batch)s::bigint, (
    SELECT b.id FROM curation_batchitem i JOIN curation_batch b ON b.id = i.batch_id AND b.closed_at IS NULL
    WHERE i.example_id = e.id ORDER BY i.id LIMIT 1
)), 'queue', false, statement_timestamp() + %(length)s, ''
FROM curation_example e CROSS JOIN LATERAL (
    SELECT place FROM generate_series(1, CASE WHEN %(one)s THEN 1 ELSE coalesce(e.overlap, %(overlap)s) END) place
    WHERE NOT EXISTS (
        SELECT 1 FROM curation_lease l
        WHERE l.example_id = e.id AND l.slot = place AND l.purpose = 'queue' AND (l.closed_at IS NULL OR EXISTS (
            SELECT 1 FROM curation_verdict v WHERE v.lease_id = l.id AND v.decision NOT IN ('skip', 'withdraw')
            AND NOT EXISTS (SELECT 1 FROM curation_verdict w WHERE w.supersedes_id = v.id)
        ))
    )
    ORDER BY place LIMIT 1
) free
WHERE e.id = ANY(%(examples)s) AND e.state = 'queued'
ON CONFLICT DO NOTHING RETURNING *
"""


@dataclass(frozen=True, slots=True)
class Seat:
    """Who asks, by which rules, and what is not for them now."""

    project: Project
    reviewer: User
    rules: ReviewRules
    care: wellbeing.Care = NO_LIMITS
    alike: bool = False  # only what may be judged together with others

    @property
    def leases(self) -> LeaseQuerySet:
        return Lease.objects.of(self.reviewer, self.project)


@dataclass(slots=True)
class Hand:
    """What one person holds, and why there is no more where there is none."""

    leases: list[Lease] = field(default_factory=list)
    pause: wellbeing.Pause | None = None


class Pick(Protocol):
    """Lock the first that wait in one part of the queue; return ids and proposed categories."""

    def __call__(self, count: int, avoid: Collection[str], but: Sequence[int]) -> list[tuple[int, list[str]]]: ...


@dataclass(frozen=True, slots=True)
class Source:
    """A part of the queue, and the batch that its leases name."""

    pick: Pick
    batch: Batch | None = None


def claim(project: Project, reviewer: User, wanted: int, batch: Batch | None = None, *, alike: bool = False) -> Hand:
    """Fill the reviewer's hand up to `wanted` items: what they hold already, then what waits for them.

    `alike` takes only what may be judged together with others.
    """
    rules = project.review_rules
    if stop := wellbeing.pause(project, reviewer, rules):
        return Hand(pause=stop)
    with transaction.atomic():
        held = list(Lease.objects.raw(HELD, {"project": project.pk, "reviewer": reviewer.pk}))[:MOST]
        missing = min(wanted, MOST) - len(held)
        if missing <= 0:
            return Hand(held)
        seat = Seat(project, reviewer, rules, wellbeing.care_for(project, reviewer, rules), alike)
        return Hand(held + _take(seat, missing, batch))


def waiting(project: Project, reviewer: User) -> ExampleQuerySet:
    """What the reviewer could claim now from the pool, beside what they hold."""
    pool = project.examples.filter(state=Example.State.QUEUED, reserved=False)
    return pool.with_free_slot(project.review_rules).not_held_by(reviewer).unjudged_by(reviewer)


def close_expired(project: Project) -> int:
    """Close what ran out, so that its slots are free; return how many. Waits for nobody."""
    with connection.cursor() as cursor:
        cursor.execute(CLOSE_EXPIRED, {"project": project.pk})
        return int(cursor.rowcount)


def _take(seat: Seat, missing: int, batch: Batch | None) -> list[Lease]:
    """Lease what comes next: known questions that are due, what is meant for this person, then the pool."""
    known = lease_known(seat, gold.due(seat.project, seat.reviewer, seat.rules, missing, seat.care))
    if any(lease.purpose == Purpose.EXAM for lease in known):
        return known  # an exam is not mixed with work
    taken: list[Lease] = []
    for source in _sources(seat, batch):
        short = missing - len(known) - len(taken)
        if short > 0:
            care = wellbeing.after(seat.care, [*known, *taken])
            taken += grant(seat, _locked(source.pick, short, care), source.batch)
    return _mixed(taken, known)


def _mixed(leases: list[Lease], known: list[Lease]) -> list[Lease]:
    """Put known questions where nobody would look for them: at a place that their id decides."""
    for lease in known:
        leases.insert(lease.pk * 7919 % (len(leases) + 1), lease)
    return leases


def lease_known(seat: Seat, due: list[tuple[int, Purpose]]) -> list[Lease]:
    """Lease examples for something else than the queue: they have no slots."""
    if not due:
        return []
    until = Now() + timedelta(seconds=seat.rules.lease_seconds)
    leases = [
        Lease(project=seat.project, example_id=pk, reviewer=seat.reviewer, purpose=purpose, expires_at=until)
        for pk, purpose in due
    ]
    Lease.objects.bulk_create(leases, ignore_conflicts=True)
    return list(seat.leases.open().filter(example__in=[pk for pk, _ in due]).exclude(purpose=Purpose.QUEUE))


def _sources(seat: Seat, batch: Batch | None) -> Iterator[Source]:
    """Where this person's next items come from, best first."""
    queued = seat.project.examples.filter(state=Example.State.QUEUED)
    if batch is not None:
        inside = BatchItem.objects.filter(Q(assignee=seat.reviewer) | Q(assignee=None), batch=batch)
        yield Source(_among(seat, queued.filter(pk__in=inside.values("example")), batch.order), batch)
        return
    if seat.project.has_batches:
        mine = BatchItem.objects.filter(assignee=seat.reviewer, batch__project=seat.project, batch__closed_at=None)
        yield Source(_among(seat, queued.filter(pk__in=mine.values("example"))))
    yield Source(partial(_from_pool, seat))
    if seat.rules.skip_rule == ReviewRules.SkipRule.MINE:
        yield Source(_among(seat, queued.filter(reserved=False).put_back_by(seat.reviewer), again=True))


def _from_pool(seat: Seat, count: int, avoid: Collection[str], but: Sequence[int]) -> list[tuple[int, list[str]]]:
    adversarial = not seat.alike or seat.rules.bulk_adversarial
    return pool.pick(seat.project, seat.reviewer, count, avoid=avoid, but=but, adversarial=adversarial)


def _among(seat: Seat, found: ExampleQuerySet, order: str = "", *, again: bool = False) -> Pick:
    """Of these, what this person may judge now; `again`: although they put it back before."""
    free = found.with_free_slot(seat.rules).not_held_by(seat.reviewer)
    free = free if again else free.unjudged_by(seat.reviewer)
    if seat.alike and not seat.rules.bulk_adversarial:
        free = free.exclude(origin=Example.Origin.ADVERSARIAL)
    free = free.order_by(*ORDERS[ReviewRules.Order(order or seat.rules.order)])

    def pick(count: int, avoid: Collection[str], but: Sequence[int]) -> list[tuple[int, list[str]]]:
        rows = free.select_for_update(skip_locked=True, of=("self",)).exclude(pk__in=but)
        if avoid:
            rows = rows.exclude(proposed_categories__overlap=list(avoid))
        return list(rows.values_list("pk", "proposed_categories")[:count])

    return pick


def _locked(pick: Pick, count: int, care: wellbeing.Care) -> list[int]:
    """Lock what comes next; not more severe texts than the person can bear."""
    rows = pick(count, care.avoid, ())
    if care.severe_left is None:
        return [pk for pk, _ in rows]
    severe, picked = 0, []
    for pk, categories in rows:
        is_severe = not care.severe.isdisjoint(categories)
        severe += is_severe
        if not is_severe or severe <= care.severe_left:
            picked.append(pk)
    if len(rows) == count > len(picked):
        picked += [pk for pk, _ in pick(count - len(picked), care.avoid | care.severe, picked)]
    return picked


def grant(seat: Seat, examples: Sequence[int], batch: Batch | None = None) -> list[Lease]:
    """Lease those of these examples that still have a free slot, in this order; the caller holds their locks."""
    if not examples:
        return []
    values: dict[str, Any] = {
        "project": seat.project.pk, "reviewer": seat.reviewer.pk, "batch": batch and batch.pk,
        "length": timedelta(seconds=seat.rules.lease_seconds), "examples": list(examples),
        "one": seat.rules.one_decides, "overlap": seat.rules.overlap,
    }  # fmt: skip
    places = {pk: place for place, pk in enumerate(examples)}
    return sorted(Lease.objects.raw(GRANT, values), key=lambda lease: places[lease.example_id])


def renew(lease: Lease, rules: ReviewRules, *, hold: bool = False) -> int:
    """Let a lease run on, for hours where it is put on hold; return its seconds.

    A lease that ran out is still good while it is open: whoever claims next would have closed it.

    Raises:
        Refused: it is over.
    """
    held = hold or lease.held
    seconds = rules.hold_seconds if held else rules.lease_seconds
    until = Now() + timedelta(seconds=seconds)
    if not Lease.objects.filter(pk=lease.pk).open().update(expires_at=until, held=held):
        raise Refused(LOST, "What you wrote is kept as a draft.", code="lease-lost")
    return seconds


def give_back(lease: Lease) -> None:
    """Return an item unjudged. Nobody asks why; giving back twice is giving back once."""
    Lease.objects.filter(pk=lease.pk).end(Lease.End.RETURNED)


def release(project: Project, by: User, *, lease: int | None = None, reviewer: int | None = None) -> int:
    """Take one lease, or all of one person, back into the queue, as a lead; return how many."""
    found = Lease.objects.filter(project=project)
    found = found.filter(pk=lease) if lease is not None else found.filter(reviewer=reviewer)
    with transaction.atomic():
        count = found.end(Lease.End.RELEASED)
        if count:
            subject = f"lease:{lease}" if lease is not None else f"user:{reviewer}"
            project.audit.create(actor=by, action="leases-released", subject=subject, detail={"count": count})
    return count


def retire(example: Example, by: User, note: str = "") -> None:
    """Take an undecided example out of the queue for good; whoever holds it is told at the next act.

    Raises:
        Refused: it was decided.
    """
    with transaction.atomic():
        now = Example.objects.select_for_update().only("pk", "state").get(pk=example.pk)
        try:
            now.move_to(Example.State.RETIRED, by=by, note=note or "retired")
        except IllegalMove:
            raise Refused(f"Only what still waits can be retired; this one is {now.state}.") from None
        close_others(now)
        Adjudication.objects.filter(example=now, closed_at=None).update(closed_at=Now(), note="retired")


def close_others(example: Example, but: Lease | None = None) -> int:
    """End what others hold of an example that left the queue; the caller holds its lock."""
    others = Lease.objects.filter(example=example, purpose=Purpose.QUEUE)
    return (others.exclude(pk=but.pk) if but else others).end(Lease.End.RELEASED)
