"""Many verdicts in one act, and one undo for all of them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING
from uuid import UUID

from django.db import IntegrityError, transaction
from django.db.models.functions import Now

from curation.models import BulkAct, Example, Project, Verdict
from curation.operations import Refused, reviews

if TYPE_CHECKING:
    from django.contrib.auth.models import User

MOST = 100  # items in one act


def act(project: Project, reviewer: User, key: UUID, examples: Sequence[int], answer: reviews.Answer) -> BulkAct:
    """Give the same answer on many examples: all of them or none.

    Raises:
        Refused: the project or one of the examples does not allow it, or somebody else was faster with one.
    """
    ids = sorted(set(examples))  # the same order for everybody, so that two acts never wait for each other
    body = hashlib.sha256(json.dumps([ids, answer.body_hash(0)]).encode()).hexdigest()
    try:
        with transaction.atomic():
            return _act(project, reviewer, key, ids, answer, body)
    except IntegrityError as error:
        if "bulk_act_once" not in str(error):
            raise
    return _before(reviewer, key, body)  # sent twice at the same moment: the other one did it


def _act(project: Project, reviewer: User, key: UUID, ids: list[int], answer: reviews.Answer, body: str) -> BulkAct:
    if BulkAct.objects.filter(reviewer=reviewer, key=key).exists():
        return _before(reviewer, key, body)
    _check(project, ids)
    bulk = BulkAct.objects.create(project=project, reviewer=reviewer, key=key, body_hash=body, count=len(ids))
    found = []
    for pk in ids:
        verdict = reviews.submit(project, reviewer, pk, replace(answer, bulk=bulk))
        found.append({"example": pk, "verdict": verdict.pk, "state": (verdict.answer or {})["state"]})
    bulk.answer = {"count": len(found), "verdict": found[0]["verdict"], "items": found}
    bulk.save(update_fields=["answer"])
    return bulk


def _before(reviewer: User, key: UUID, body: str) -> BulkAct:
    before = BulkAct.objects.get(reviewer=reviewer, key=key)
    if before.body_hash != body:
        raise Refused("This key was used for another act.", "Send it under a key of its own.", code="key-reused")
    return before


def _check(project: Project, ids: list[int]) -> None:
    rules = project.review_rules
    if not rules.bulk_allowed:
        raise Refused("This project judges one by one.", "A lead can change that.", code="forbidden")
    if not 1 <= len(ids) <= MOST:
        raise Refused(f"One act takes 1 to {MOST} items, found {len(ids)}.", code="invalid", field="items")
    there = dict(project.examples.filter(pk__in=ids).values_list("pk", "origin"))
    if len(there) < len(ids):
        raise Example.DoesNotExist
    if Example.Origin.ADVERSARIAL in there.values() and not rules.bulk_adversarial:
        raise Refused(
            "The adversary's finds are judged one by one: they were made to mislead.", "Take them out of the choice.",
            code="forbidden", field="items",
        )  # fmt: skip


def undo(project: Project, reviewer: User, act_id: int | None = None) -> BulkAct | None:
    """Take a whole act back, the reviewer's newest where none is named; return it, or None where there is none.

    Raises:
        Refused: one of its examples moved on since; then none is taken back.
    """
    acts = BulkAct.objects.filter(project=project, reviewer=reviewer, undone_at=None).order_by("-pk")
    found = acts.filter(pk=act_id) if act_id is not None else acts
    with transaction.atomic():
        bulk = found.select_for_update().first()
        if bulk is None:
            return None
        for verdict in Verdict.objects.current().filter(bulk=bulk).order_by("example_id"):
            reviews.withdraw(project, reviewer, verdict)
        BulkAct.objects.filter(pk=bulk.pk).update(undone_at=Now())
    return bulk
