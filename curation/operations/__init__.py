"""Verbs over several models, or over a model and a program. A module per subject."""

from __future__ import annotations


class Refused(Exception):
    """A no for a person: what was expected, what was found, and what to do."""

    def __init__(self, message: str, remedy: str = "") -> None:
        super().__init__(f"{message} {remedy}".strip())
        self.message = message
        self.remedy = remedy
