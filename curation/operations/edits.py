"""What people do to an example beside judging it: change its words, flag it, comment on it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db import transaction
from django.db.models.functions import Now

from classifier.normalize import normalized_hash
from curation.models import Comment, Example, Flag, Job, Project, Revision
from curation.models.example import MAX_TEXT
from curation.models.review import MAX_COMMENT
from curation.operations import Refused, reviews

if TYPE_CHECKING:
    from django.contrib.auth.models import User

EDITABLE = (Example.State.QUEUED, Example.State.DISPUTED)


def edit(project: Project, by: User, example_id: int, version: int, text: str) -> Example:
    """Change an example's text from the version that the person saw; the original is kept, scores are made anew.

    Raises:
        Example.DoesNotExist: it is not of this project.
        Refused: somebody else changed it (`stale`), it is decided, or the text does not do.
    """
    _check(text)
    with transaction.atomic():
        example = reviews.locked(project, example_id)
        if example.version != version:
            raise reviews.stale(example)
        if example.state not in EDITABLE:
            raise Refused("This one is decided, so its text stays as it is.", code="conflict")
        if text != example.text:
            _revise(example, by, text)
    return example


def _check(text: str) -> None:
    if not text.strip():
        raise Refused("The text is empty.", "Write one, or reject the example.", code="invalid", field="text")
    if len(text) > MAX_TEXT:
        raise Refused(
            f"The text has {len(text):,} characters; up to {MAX_TEXT:,} are taken.", "Shorten it.", code="invalid",
            field="text",
        )  # fmt: skip
    if "\x00" in text:
        raise Refused("The text holds a NUL character, which cannot be stored.", code="invalid", field="text")


def _revise(example: Example, by: User, text: str) -> None:
    if example.version == 1:
        Revision.objects.create(example=example, number=1, text=example.text)
    example.text, example.version = text, example.version + 1
    example.text_hash = normalized_hash(text)
    example.save(update_fields=["text", "version", "text_hash"])
    Revision.objects.create(example=example, number=example.version, text=text, by=by)
    Job.objects.enqueue(Job.Kind.RESCORE, example.project, by=by)


def flag(example: Example, by: User, note: str = "") -> Flag:
    """Ask the lead to look; an open flag stays one flag."""
    made, _ = Flag.objects.get_or_create(example=example, resolved_at=None, defaults={"by": by, "note": note[:500]})
    return made


def unflag(example: Example, by: User) -> None:
    """Take the open flag down, where there is one."""
    Flag.objects.filter(example=example, resolved_at=None).update(resolved_at=Now(), resolved_by=by)


def comment(example: Example, by: User, text: str) -> Comment:
    """Say something about an example.

    Raises:
        Refused: nothing is said, or too much.
    """
    text = text.strip()
    if not text or "\x00" in text:
        raise Refused("The comment is empty.", "Write something.", code="invalid", field="text")
    if len(text) > MAX_COMMENT:
        raise Refused(
            f"A comment has up to {MAX_COMMENT:,} characters; this one has {len(text):,}.", "Shorten it.",
            code="invalid", field="text",
        )  # fmt: skip
    return Comment.objects.create(example=example, by=by, text=text)
