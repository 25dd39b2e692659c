"""How the guard is attacked. A method is a frozen dataclass with `attack(hunt)`: it writes, the hunt keeps finds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from pipeline.registry import Registry

if TYPE_CHECKING:
    from pipeline.adversary.hunt import Hunt

methods = Registry("pipeline.adversary")


class Method(Protocol):
    def attack(self, hunt: Hunt, /) -> None: ...
