"""How the guard is attacked. A method is a frozen dataclass with `attack(hunt)`: it writes, the hunt keeps finds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from pipeline.generators import Prompt
from pipeline.records import Example
from pipeline.registry import Registry

if TYPE_CHECKING:
    from pipeline.adversary.hunt import Hunt

methods = Registry("pipeline.adversary")


def at_least(method: Any, **least: int) -> None:
    """Check settings of a method that would end in nonsense below a bound.

    Raises:
        ValueError: one is too small; the message says which.
    """
    for name, bound in least.items():
        if (value := getattr(method, name)) < bound:
            raise ValueError(f"{name} of {method.key} should be at least {bound}, found {value!r}")


class Method(Protocol):
    key: str

    def attack(self, hunt: Hunt, /) -> None: ...

    def asks(self) -> int: ...  # texts that it has written, at most

    def prompt(self, seed: Example, /) -> Prompt: ...
