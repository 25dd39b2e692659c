"""Single examples."""

from __future__ import annotations

from typing import TYPE_CHECKING

from curation.models import Example, IllegalMove
from curation.operations import Refused

if TYPE_CHECKING:
    from django.contrib.auth.models import User


def overrule(example: Example, by: User) -> None:
    """Queue for review what a filter advised against.

    Raises:
        Refused: no filter holds it back.
    """
    try:
        example.move_to(Example.State.QUEUED, by=by, note="a person overruled the filters")
    except IllegalMove:
        raise Refused(f"Only a filtered example can be overruled; this one is {example.state}.") from None
