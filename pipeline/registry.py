"""Stages by key: one file, one registered frozen dataclass, one entry-point group per package."""

from __future__ import annotations

import dataclasses
import pkgutil
import re
from collections.abc import Callable, Mapping
from functools import cached_property
from importlib import import_module
from importlib.metadata import entry_points
from typing import Any, TypeVar

S = TypeVar("S")
KEY = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")


class UnknownStage(Exception):
    """A recipe names a stage or a setting that is not there; the message says what is."""


class Registry:
    """The stages of one kind: built-in modules of `package`, then installed plug-ins.

    The package's name is also the entry-point group that plug-ins use. Keys are kebab-case and permanent: recipes and
    the lineage of examples refer to them for ever.
    """

    def __init__(self, package: str) -> None:
        self.package = package
        self._stages: dict[str, type[Any]] = {}

    def register(self, key: str) -> Callable[[type[S]], type[S]]:
        """Make the decorated frozen dataclass available under `key`."""
        if not KEY.fullmatch(key):
            raise ValueError(f"{self.package}: a key is kebab-case, found {key!r}")

        def add(stage: type[S]) -> type[S]:
            if key in self._stages and self._stages[key] is not stage:
                raise ValueError(f"{self.package}: the key {key!r} is taken")
            stage.key = key  # type: ignore[attr-defined]
            self._stages[key] = stage
            return stage

        return add

    @cached_property
    def stages(self) -> Mapping[str, type[Any]]:
        """All stages by key. Loads every module of the package once."""
        package = import_module(self.package)
        for module in pkgutil.iter_modules(package.__path__, f"{self.package}."):
            import_module(module.name)
        for plugin in entry_points(group=self.package):
            plugin.load()
        return dict(sorted(self._stages.items()))

    def make(self, key: str, settings: Mapping[str, Any] | None = None) -> Any:
        """Build a stage from a recipe's JSON.

        Raises:
            UnknownStage: no such key, or a setting that the stage does not have.
        """
        if key not in self.stages:
            raise UnknownStage(f"{self.package} has no stage {key!r}; there are: {', '.join(self.stages)}.")
        stage = self.stages[key]
        known = {field.name for field in dataclasses.fields(stage)}
        if strange := sorted(set(settings or {}) - known):
            raise UnknownStage(f"{key!r} has no setting {strange[0]!r}; it has: {', '.join(sorted(known)) or 'none'}.")
        return stage(**(settings or {}))

    def help(self, key: str) -> str:
        """The first line of a stage's docstring."""
        return (self.stages[key].__doc__ or "").strip().splitlines()[0]
