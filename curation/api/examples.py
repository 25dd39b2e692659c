"""What one does to an example beside judging it, and what helps judging it."""

from __future__ import annotations

from typing import Annotated, Any

from django.http import HttpRequest
from django.shortcuts import get_object_or_404
from ninja import Header, Router

from curation.api.auth import project_of
from curation.api.reviews import person
from curation.api.schemas import (
    CommentIn,
    CommentOut,
    Context,
    FlagIn,
    FlagOut,
    Slug,
    Stale,
    TextIn,
    VersionOut,
    Wrong,
)
from curation.models import Comment, Example
from curation.operations import Refused, edits, likeness

router = Router()
Version = Annotated[str, Header("", alias="If-Match")]
SAID = 50  # comments shown


def _example(request: HttpRequest, slug: str, pk: int) -> Example:
    project = project_of(request, slug)
    example = get_object_or_404(project.examples, pk=pk)
    example.project = project
    return example


@router.put("/examples/{int:pk}/text", response={200: VersionOut, 409: Wrong, 412: Stale, 422: Wrong})
def edit(request: HttpRequest, slug: Slug, pk: int, body: TextIn, version: Version = "") -> dict[str, int]:
    """Change the text from the version in `If-Match`; the original is kept, and scores are made anew."""
    seen = version.strip().removeprefix("W/").strip('"')
    if not (seen.isascii() and seen.isdigit()):
        raise Refused(
            "An edit names the version that it started from.", "Send it in If-Match.", code="invalid", field="If-Match"
        )
    return {"version": edits.edit(project_of(request, slug), person(request), pk, int(seen), body.text).version}


@router.post("/examples/{int:pk}/flag", response=FlagOut)
def flag(request: HttpRequest, slug: Slug, pk: int, body: FlagIn) -> dict[str, bool]:
    """Ask a lead to look at it."""
    edits.flag(_example(request, slug, pk), person(request), body.note)
    return {"flagged": True}


@router.delete("/examples/{int:pk}/flag", response=FlagOut)
def unflag(request: HttpRequest, slug: Slug, pk: int) -> dict[str, bool]:
    """Nobody need look any more."""
    edits.unflag(_example(request, slug, pk), person(request))
    return {"flagged": False}


@router.post("/examples/{int:pk}/comments", response={200: CommentOut, 422: Wrong})
def comment(request: HttpRequest, slug: Slug, pk: int, body: CommentIn) -> dict[str, Any]:
    """Say something about it to whoever reads it next."""
    return _said(edits.comment(_example(request, slug, pk), person(request), body.text))


def _said(comment: Comment) -> dict[str, Any]:
    return {"id": comment.pk, "by": comment.by.get_username(), "at": comment.created_at, "text": comment.text}


@router.get("/examples/{int:pk}/context", response=Context)
def context(request: HttpRequest, slug: Slug, pk: int) -> dict[str, Any]:
    """Decided examples like it, undecided ones that nearly repeat it, the policy's words, comments and revisions."""
    example = _example(request, slug, pk)
    categories = example.project.policy_version.categories
    revisions = example.revisions.select_related("by").order_by("number")
    return {
        "similar": [_alike(one) for one in likeness.decided_like(example)],
        "near_duplicates": [_alike(one) for one in likeness.repeated_by(example, person(request))],
        "policy": list(categories.filter(key__in=example.proposed_categories)),
        "comments": [_said(one) for one in example.comments.select_related("by").order_by("pk")[:SAID]],
        "revisions": [
            {"number": one.number, "text": one.text, "by": one.by and one.by.get_username(), "at": one.created_at}
            for one in revisions
        ],
    }


def _alike(one: Any) -> dict[str, Any]:
    return {
        "example": one.pk, "text": one.text, "label": one.label or one.proposed_label, "state": one.state,
        "categories": one.current_categories, "distance": one.distance,
    }  # fmt: skip
