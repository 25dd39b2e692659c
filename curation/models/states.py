"""Life cycles: declared as `MOVES`, moved by compare-and-swap, recorded as rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Self, TypeVar

from django.db import models, transaction

from curation.models.audit import Move

if TYPE_CHECKING:
    from django.contrib.auth.models import User

M = TypeVar("M", bound="Stateful")


class IllegalMove(Exception):
    """`MOVES` has no such edge, or another process moved the row first."""


class StatefulQuerySet(models.QuerySet[M]):
    """Set-based moves."""

    def move_all(self, old: str, new: str, *, scope: str, by: User | None = None, note: str = "") -> int:
        """Move every row of the set from `old` to `new` in one statement, leaving one audit row; return how many.

        Raises:
            IllegalMove: the life cycle has no such edge.
        """
        self.model.check_edge(old, new)
        with transaction.atomic():
            moved = self.filter(state=old).update(state=new)
            if moved:
                name = self.model._meta.model_name
                Move.objects.create(subject=f"{name}:*", scope=scope, old=old, new=new, count=moved, by=by, note=note)
        return moved


class Stateful(models.Model):
    """A row with a life cycle. The subclass declares `state` and `MOVES`."""

    MOVES: ClassVar[Mapping[str, Sequence[str]]] = {}
    state: Any

    class Meta:
        abstract = True

    @classmethod
    def check_edge(cls, old: str, new: str) -> None:
        """Raise IllegalMove unless `MOVES` has this edge."""
        if new not in cls.MOVES.get(old, ()):
            raise IllegalMove(f"{cls._meta.verbose_name}: no move from {old} to {new}")

    @property
    def subject(self) -> str:
        """How audit rows name this row."""
        return f"{self._meta.model_name}:{self.pk}"

    def move_to(self, new: str, *, by: User | None = None, note: str = "", **changes: Any) -> Self:
        """Change the state, and `changes` with it, and record who and why.

        Raises:
            IllegalMove: the life cycle has no such edge, or another process moved the row first.
        """
        old = str(self.state)
        self.check_edge(old, new)
        with transaction.atomic():
            same = type(self)._default_manager.filter(pk=self.pk, state=old)
            if not same.update(state=new, **changes):
                raise IllegalMove(f"{self} is no longer {old}")
            Move.objects.create(subject=self.subject, old=old, new=new, by=by, note=note[:500])
        self.state = new
        for name, value in changes.items():
            setattr(self, name, value)
        return self

    def moves(self) -> models.QuerySet[Move]:
        """The recorded moves of this row, oldest first."""
        return Move.objects.filter(subject=self.subject).select_related("by")
