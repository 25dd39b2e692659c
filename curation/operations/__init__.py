"""Verbs over several models, or over a model and a program. A module per subject."""

from __future__ import annotations

from typing import Any


class Refused(Exception):
    """A no for a person: what was expected, what was found, and what to do.

    `code` tells programs which no it is, `field` which input it is about, and `facts` what they need to go on.
    """

    def __init__(self, message: str, remedy: str = "", *, code: str = "refused", field: str = "", **facts: Any) -> None:
        super().__init__(f"{message} {remedy}".strip())
        self.message = message
        self.remedy = remedy
        self.code = code
        self.field = field
        self.facts = facts
