"""Batches: parts of the queue that a lead cuts from a filter and gives to people, or leaves in the pool."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.db import IntegrityError, transaction
from django.db.models import Count, Exists, F, OuterRef, Q
from django.db.models.functions import Now

from curation.models import Assignment, Batch, BatchItem, Example, Project
from curation.models.example import ExampleQuerySet
from curation.operations import Refused, agreement

if TYPE_CHECKING:
    from django.contrib.auth.models import User

LARGEST = 100_000  # items in one batch
CHUNK = 5_000
# Which columns a filter may name, and how each is asked for. Nothing else reaches the query.
COLUMNS: dict[str, str] = {
    "round": "round__number", "origin": "origin", "stage": "stage", "language": "language",
    "label": "proposed_label", "category": "proposed_categories__contains",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Share:
    """What one person shall get: a fixed number, or a weight in what is left."""

    user: User
    weight: int = 1
    quota: int | None = None


def wanted(project: Project, filter: dict[str, Any]) -> ExampleQuerySet:
    """What waits in the pool and fits the filter, in the order of the queue.

    Raises:
        Refused: the filter names what is no column of it.
    """
    if strange := sorted(set(filter) - set(COLUMNS)):
        raise Refused(f"A batch cannot be cut by {strange[0]!r}.", f"It knows {', '.join(COLUMNS)}.", code="invalid")
    found = project.examples.filter(state=Example.State.QUEUED, reserved=False)
    for name, value in filter.items():
        found = found.filter(**{COLUMNS[name]: [value] if name == "category" else value})
    taken = BatchItem.objects.filter(example=OuterRef("pk"), batch__closed_at=None)
    return found.exclude(Exists(taken)).order_by("-priority", "pk")


def cut(
    project: Project,
    by: User,
    name: str,
    filter: dict[str, Any],
    shares: Sequence[Share] = (),
    *,
    count: int = LARGEST,
    overlap: int | None = None,
    order: str = "",
) -> Batch:
    """Make a batch of up to `count` waiting examples and split it among people; without people it stays in the pool.

    Quotas are served first, the rest goes by weight. An example that needs several verdicts goes to as many people;
    where there are fewer people than it needs, the others come from the pool.

    Raises:
        Refused: nothing fits, the name is taken, or the shares make no sense.
    """
    if any(share.quota is None and share.weight < 1 for share in shares):
        raise Refused("A weight is 1 or more.", "Leave people out who shall get nothing.", code="invalid")
    try:
        with transaction.atomic():
            ids = list(wanted(project, filter).select_for_update(skip_locked=True).values_list("pk", flat=True)[:count])
            if not ids:
                raise Refused("Nothing that waits fits this filter.", "Widen it, or close another batch first.")
            batch = Batch.objects.create(
                project=project, name=name, filter=filter, overlap=overlap, order=order, created_by=by
            )
            _fill(batch, ids, shares)
            _note(batch, by, "batch-cut", len(ids))
            return batch
    except IntegrityError as error:
        if "batch_name_once" not in str(error):
            raise
        raise Refused(f"There is a batch {name!r} already.", "Give this one another name.", field="name") from None


def _fill(batch: Batch, ids: list[int], shares: Sequence[Share]) -> None:
    needed = agreement.needed_for(batch.project.review_rules, batch.overlap)
    Assignment.objects.bulk_create(
        Assignment(batch=batch, user=share.user, weight=share.weight, quota=share.quota) for share in shares
    )
    rows = [
        BatchItem(batch=batch, example_id=pk, assignee=person)
        for pk, people in zip(ids, split(len(ids), shares, needed), strict=True)
        for person in people
    ]
    BatchItem.objects.bulk_create(rows, batch_size=CHUNK)
    inside = Example.objects.filter(batch_items__batch=batch)
    if batch.overlap:
        Example.objects.filter(pk__in=inside.values("pk")).update(overlap=batch.overlap)
    _reserve(batch)


def split(items: int, shares: Sequence[Share], needed: int = 1) -> list[list[User | None]]:
    """For each item the people who get it; None is the pool. Nobody gets an item twice, and shares come out exactly.

    >>> split(3, [])
    [[None], [None], [None]]
    """
    places = min(needed, len(shares)) or 1
    left = _amounts(items * places, items, shares)
    given: list[list[User | None]] = []
    for _ in range(items):
        # Whoever has most left first, so that the last items do not all go to one person twice.
        next_ones = sorted((share for share in left if left[share]), key=lambda share: -left[share])[:places]
        for share in next_ones:
            left[share] -= 1
        people: list[User | None] = [share.user for share in next_ones]
        given.append(people if len(people) == needed else [*people, None])
    return given


def _amounts(places: int, items: int, shares: Sequence[Share]) -> dict[Share, int]:
    """How many items each person gets: quotas, then the rest by weight, the largest remainders first."""
    amounts = {share: min(share.quota, items) for share in shares if share.quota is not None}
    weighted = [share for share in shares if share.quota is None]
    rest = max(0, places - sum(amounts.values()))
    whole = sum(share.weight for share in weighted)
    exact = {share: min(rest * share.weight / whole, items) for share in weighted}
    amounts |= {share: int(part) for share, part in exact.items()}
    spare = min(rest, round(sum(exact.values()))) - sum(amounts[share] for share in weighted)
    for share in sorted(weighted, key=lambda one: -(exact[one] % 1))[:spare]:
        amounts[share] += 1
    return amounts


def _reserve(batch: Batch) -> None:
    """Take out of the pool what the batch keeps for named people only."""
    for_all = BatchItem.objects.filter(example=OuterRef("pk"), batch=batch, assignee=None)
    inside = batch.project.examples.filter(pk__in=batch.items.values("example"), state=Example.State.QUEUED)
    inside.exclude(Exists(for_all)).update(reserved=True)


def reassign(batch: Batch, by: User, from_user: User, to: User | None) -> int:
    """Give what one person has not judged yet to another, or to the pool; return how many."""
    with transaction.atomic():
        open_ones = batch.items.filter(assignee=from_user, example__state=Example.State.QUEUED)
        ids = list(open_ones.values_list("example", flat=True))
        there = batch.items.filter(example__in=ids, assignee=to).values("example")
        open_ones.filter(example__in=there).delete()
        batch.items.filter(assignee=from_user, example__in=ids).update(assignee=to)
        if to is None:
            Example.objects.filter(pk__in=ids).update(reserved=False)
        _note(batch, by, "batch-reassigned", len(ids))
    return len(ids)


def close(batch: Batch, by: User) -> int:
    """End a batch: what it has not decided goes back to the pool; return how many."""
    with transaction.atomic():
        if not Batch.objects.filter(pk=batch.pk, closed_at=None).update(closed_at=Now()):
            return 0
        left = batch.project.examples.filter(pk__in=batch.items.values("example"), state=Example.State.QUEUED)
        count = left.update(reserved=False, overlap=None)
        _note(batch, by, "batch-closed", count)
    return count


def _note(batch: Batch, by: User, action: str, count: int) -> None:
    batch.project.audit.create(actor=by, action=action, subject=f"batch:{batch.pk}", detail={"count": count})


def progress(project: Project) -> list[Batch]:
    """The project's batches, open ones first, each with its `size` and what is `left`."""
    queued = Q(items__example__state=Example.State.QUEUED)
    batches = project.batches.select_related("created_by").annotate(
        size=Count("items__example", distinct=True), left=Count("items__example", filter=queued, distinct=True)
    )
    return list(batches.order_by(F("closed_at").desc(nulls_first=True), "-pk"))


def per_person(batch: Batch) -> list[dict[str, Any]]:
    """For each person, and for the pool (None), how many items there are and how many still wait."""
    rows = batch.items.values("assignee", "assignee__username").annotate(
        size=Count("pk"), left=Count("pk", filter=Q(example__state=Example.State.QUEUED))
    )
    return [dict(row) for row in rows.order_by("assignee__username")]
