"""The form that says what the columns of a file are, and what their values mean here."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from collections.abc import Mapping as Values
from dataclasses import replace
from typing import Any

from django import forms

from curation.models import Project
from curation.operations import mappings
from pipeline.importers import FILE, FOLDER, SPLIT
from pipeline.look import Look
from pipeline.mapping import ROLES, Mapping
from pipeline.records import SAFE, UNSAFE

OUT = "-"  # leave it out: an empty choice is none
PLACES = {FILE: "name of its file", FOLDER: "name of its folder", SPLIT: "split"}
ROLE_NAMES = {
    "text": ("Text", ""),
    "label": ("Label", "says safe or unsafe, or which harm"),
    "categories": ("Categories", "names of harms, several parted by commas"),
    "language": ("Language", "else English"),
    "family": ("Family", "rows with the same value stay on one side of every split"),
    "external_id": ("Id elsewhere", "kept, shown and exported"),
    "annotator": ("Annotator", "who gave the label; kept, and never counted as a verdict here"),
}


class MappingForm(forms.Form):
    """Made from a mapping: a choice for each role, and one for each value of the label and each name of a category."""

    def __init__(self, mapping: Mapping, look: Look, project: Project) -> None:
        super().__init__()
        self.look, self.mapping = look, mapping
        columns = [(name, PLACES.get(name, name)) for name in look.names]
        for role, (name, help_text) in ROLE_NAMES.items():
            nothing = [("", "Choose one" if role in ("text", "label") else "None")]
            self.fields[role] = _select([*nothing, *columns], getattr(mapping, role), name, help_text)
        names = project.category_names()
        for word in _words(look, mapping.label, "values"):
            self.fields[field("label", mapping.label, word)] = _select(
                meanings(names), _choice(mapping.labels.get(word)), word
            )
        for word in _words(look, mapping.categories, "names"):
            self.fields[field("name", mapping.categories, word)] = _select(
                [(OUT, "Leave the name out"), *names.items()], _choice(mapping.names.get(word, "")), word
            )

    def roles(self) -> Iterator[forms.BoundField]:
        return (self[role] for role in ROLES)

    def labels(self) -> list[tuple[str, int, forms.BoundField]]:
        """Each value of the label, how many rows have it, and what it means."""
        return self._values("label", self.mapping.label, "values")

    def names(self) -> list[tuple[str, int, forms.BoundField]]:
        """Each name of a category, how many rows have it, and which of ours it is."""
        return self._values("name", self.mapping.categories, "names")

    def _values(self, kind: str, column: str, what: str) -> list[tuple[str, int, forms.BoundField]]:
        counts = _words(self.look, column, what)
        listed = sorted(counts, key=lambda word: (-counts[word], word))
        return [(word, counts[word], self[field(kind, column, word)]) for word in listed]


def field(kind: str, column: str, word: str) -> str:
    """The name of a value's field: of this column alone, so that another column's answers are never taken for it."""
    return f"{kind}-{hashlib.sha256(f'{column}/{word}'.encode()).hexdigest()[:16]}"


def meanings(names: Values[str, str]) -> list[Any]:
    """What a value of a label may mean."""
    harms = [(f"{UNSAFE}:{key}", f"Unsafe: {name}") for key, name in names.items()]
    return [("", "Choose one"), (SAFE, "Safe"), (UNSAFE, "Unsafe"), *harms, (OUT, "Leave these rows out")]


def chosen(data: Values[str, str], splits: Iterable[str], start: Mapping, look: Look, project: Project) -> Mapping:
    """The mapping as a person left the form; what it does not say stays as it was or is guessed."""
    roles = {role: name for role in ROLES if (name := data.get(role, "")) in look.names}
    mapping = mappings.changed(start, look, project, roles)
    keys = project.category_names()
    allowed = {value for value, _ in meanings(keys) if value}
    labels = _answers(data, "label", mapping.label, _words(look, mapping.label, "values"), allowed)
    names = _answers(data, "name", mapping.categories, _words(look, mapping.categories, "names"), {*keys, OUT})
    return replace(
        mapping, labels={**mapping.labels, **labels}, names={**mapping.names, **names},
        splits=tuple(name for name in look.splits if name in splits),
    )  # fmt: skip


def _answers(data: Values[str, str], kind: str, column: str, words: Iterable[str], allowed: set[str]) -> dict[str, str]:
    given = {word: data.get(field(kind, column, word), "") for word in words}
    return {word: "" if value == OUT else value for word, value in given.items() if value in allowed}


def _words(look: Look, column: str, what: str) -> dict[str, int]:
    found = look.column(column)
    return (getattr(found, what) or {}) if found else {}


def _choice(meant: str | None) -> str:
    return "" if meant is None else meant or OUT


def _select(choices: list[Any], value: str, label: str, help_text: str = "") -> forms.ChoiceField:
    return forms.ChoiceField(
        choices=choices, initial=value, label=label, help_text=help_text, required=False,
        widget=forms.Select(attrs={"class": "form-select"}),
    )  # fmt: skip
