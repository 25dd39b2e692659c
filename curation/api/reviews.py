"""Claim, keep, judge, take back."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

from django.contrib.auth.models import User
from django.http import Http404, HttpRequest
from django.shortcuts import get_object_or_404
from ninja import Header, Router

from curation.api.auth import project_of
from curation.api.items import counts, items_of
from curation.api.schemas import (
    ID,
    BulkIn,
    BulkOut,
    BulkUndoIn,
    BulkUndoOut,
    ClaimIn,
    ClaimOut,
    Decided,
    Expires,
    Item,
    Slug,
    UndoIn,
    VerdictIn,
    VerdictOut,
    Wrong,
)
from curation.models import Lease, Project, Verdict
from curation.operations import Refused, bulk, queue, reviews, wellbeing

router = Router()
Key = Annotated[UUID | None, Header(None, alias="Idempotency-Key")]


def person(request: HttpRequest) -> User:
    """Who asks; authentication has seen to it that somebody does."""
    assert isinstance(request.user, User)
    return request.user


@router.post("/claim", response=ClaimOut, summary="Fill one's hand up to n items")
def claim(request: HttpRequest, slug: Slug, body: ClaimIn) -> dict[str, Any]:
    """What this person holds already comes first, so that a reload keeps it; then what waits for them."""
    project, user = project_of(request, slug), person(request)
    batch = get_object_or_404(project.batches, pk=body.batch, closed_at=None) if body.batch else None
    hand = queue.claim(project, user, body.n, batch, alike=body.bulk)
    pause = hand.pause
    if not hand.leases and pause is None:
        pause = wellbeing.explain(project, user, project.review_rules)
    return {"items": items_of(project, user, hand.leases), "counts": counts(project, user), "pause": pause}


def _lease(project: Project, user: User, lease: int) -> Lease:
    return get_object_or_404(Lease.objects.of(user, project), pk=lease)


@router.post("/leases/{int:lease}/renew", response={200: Expires, 409: Wrong}, summary="Keep an item longer")
def renew(request: HttpRequest, slug: Slug, lease: int) -> dict[str, int]:
    """A lease that ran out can be renewed while nobody else has taken the item."""
    project = project_of(request, slug)
    return {"expires_in": queue.renew(_lease(project, person(request), lease), project.review_rules)}


@router.post("/leases/{int:lease}/hold", response={200: Expires, 409: Wrong}, summary="Keep an item for hours")
def hold(request: HttpRequest, slug: Slug, lease: int) -> dict[str, int]:
    """For asking somebody, or for looking something up."""
    project = project_of(request, slug)
    return {"expires_in": queue.renew(_lease(project, person(request), lease), project.review_rules, hold=True)}


@router.post("/leases/{int:lease}/return", response=dict[str, bool], summary="Give an item back unjudged")
def give_back(request: HttpRequest, slug: Slug, lease: int) -> dict[str, bool]:
    """Nobody asks why, and nothing is counted."""
    queue.give_back(_lease(project_of(request, slug), person(request), lease))
    return {"returned": True}


def answer_of(body: Decided, **more: Any) -> reviews.Answer:
    """A body as the operations take it."""
    return reviews.Answer(
        body.decision, body.label, tuple(body.categories), body.reason, body.confidence, body.seconds,
        body.active_seconds, **more,
    )  # fmt: skip


@router.post("/verdicts", response={200: VerdictOut, 409: Wrong, 412: Wrong, 422: Wrong}, summary="Judge an item")
def judge(request: HttpRequest, slug: Slug, body: VerdictIn, key: Key = None) -> dict[str, Any]:
    """The answer comes after the commit. Sent again under the same key it changes nothing and is answered the same."""
    project = project_of(request, slug)
    answer = answer_of(body, version=body.version, lease=body.lease, key=key)
    verdict = reviews.submit(project, person(request), body.example, answer)
    return {"verdict": verdict.pk, "example": verdict.example_id, **(verdict.answer or {})}


@router.post("/undo", response={200: Item, 409: Wrong}, summary="Take a verdict back")
def undo(request: HttpRequest, slug: Slug, body: UndoIn) -> dict[str, Any]:
    """The newest, or one of the last ten by its id; its item is leased to the same person again."""
    project, user = project_of(request, slug), person(request)
    example = reviews.undo(user, project, body.verdict)
    if example is None:
        raise Refused("There is nothing to take back.", code="conflict")
    items = items_of(project, user, list(Lease.objects.of(user, project).open().filter(example=example)))
    return items[0]


@router.post("/bulk", response={200: BulkOut, 403: Wrong, 409: Wrong, 422: Wrong}, summary="Judge many alike")
def judge_many(request: HttpRequest, slug: Slug, body: BulkIn, key: Key = None) -> dict[str, Any]:
    """All of them or none. The key, in the header or in the body, makes it one act however often it is sent."""
    project = project_of(request, slug)
    if (chosen := key or body.key) is None:
        raise Refused("An act on many needs a key.", "Send a UUID.", code="invalid", field="key")
    ids = [item if isinstance(item, int) else item.example for item in body.items]
    act = bulk.act(project, person(request), chosen, ids, answer_of(body))
    return {"bulk": act.pk, **act.answer}


@router.post("/bulk/undo", response={200: BulkUndoOut, 409: Wrong}, summary="Take a whole act back")
def undo_many(request: HttpRequest, slug: Slug, body: BulkUndoIn) -> dict[str, Any]:
    """The newest act, or the one that is named by its id or by one of its verdicts."""
    project, user = project_of(request, slug), person(request)
    chosen = body.bulk or _act_of(user, body.verdict)
    act = bulk.undo(project, user, chosen)
    if act is None:
        raise Refused("There is nothing to take back.", code="conflict")
    leases = Lease.objects.of(user, project).open().filter(example__in=[row["example"] for row in act.answer["items"]])
    return {"bulk": act.pk, "items": items_of(project, user, list(leases))}


def _act_of(user: User, verdict: ID | None) -> int | None:
    if verdict is None:
        return None
    found = Verdict.objects.filter(reviewer=user, pk=verdict).values_list("bulk", flat=True).first()
    if found is None:
        raise Http404
    return found
