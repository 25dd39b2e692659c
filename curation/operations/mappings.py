"""What the columns of a file mean in a project: remembered, guessed, or said by a person who sees its first rows."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from django.conf import settings

from curation.models import Import, Job, Project
from pipeline import guess
from pipeline.guess import Hazard, Taxonomy
from pipeline.importers import BadRow, Record
from pipeline.look import Look
from pipeline.mapping import ROLES, ImportedRow, LeftOut, Mapping, Reader, decided


def read(file: Path) -> Look:
    """What the program that looks at files left."""
    return Look.of(json.loads(file.read_text(encoding="utf-8")))


def look_of(row: Import) -> Look | None:
    """What is known of a file's columns; None before somebody looked."""
    job = row.jobs.filter(kind=Job.Kind.LOOK, state=Job.State.DONE).order_by("-pk").first()
    file = settings.ARTIFACTS_DIR / "runs" / str(job.pk) / "look.json" if job else None
    return read(file) if file and file.exists() else None


def columns_key(look: Look) -> str:
    """A digest that files with the same columns share."""
    named = json.dumps([look.dialect, sorted(look.names)])
    return hashlib.sha256(named.encode()).hexdigest()


def taxonomy(project: Project) -> Taxonomy:
    """The policy's categories under all names that are known of them."""
    return Taxonomy(
        Hazard(one.key, one.name, tuple(_flat(one.names_elsewhere.values())))
        for one in project.policy_version.categories.all()
    )


def _flat(names: Iterable[Any]) -> Iterator[str]:
    """A crosswalk has a name for each system, or a list of some."""
    for name in names:
        yield from (str(one) for one in (name if isinstance(name, list) else [name]))


def proposed(row: Import, look: Look) -> tuple[Mapping, bool]:
    """The mapping that a person starts from, and whether the project remembers it from a file with the same columns."""
    known = taxonomy(row.project)
    if row.mapping:
        return guess.with_values(Mapping.of(row.mapping), look, known), False
    before = row.project.imports.filter(columns_key=row.columns_key, pk__lt=row.pk).exclude(mapping={}).first()
    if before is None:
        return guess.guess(look, known), False
    return guess.with_values(replace(Mapping.of(before.mapping), splits=()), look, known), True


def changed(mapping: Mapping, look: Look, project: Project, roles: dict[str, str]) -> Mapping:
    """The mapping with other columns; values of a column that was chosen just now are guessed anew."""
    new = replace(mapping, **{role: roles.get(role, "") for role in ROLES})  # type: ignore[arg-type]
    if new.label != mapping.label:
        new = replace(new, labels={})
    if new.categories != mapping.categories:
        new = replace(new, names={})
    return guess.with_values(new, look, taxonomy(project))


def problems(mapping: Mapping, look: Look) -> list[str]:
    """What a person still has to say before the file can be read."""
    found = [f"Say which column holds the {role}." for role in ("text", "label") if not getattr(mapping, role)]
    used = [name for role in ROLES if (name := getattr(mapping, role))]
    if twice := sorted({name for name in used if used.count(name) > 1}):
        found.append(f"The column {twice[0]!r} is used twice; a column is one thing only.")
    label = look.column(mapping.label)
    if label and label.values is None:
        found.append(f"The column {mapping.label!r} has too many different values for a label; choose another one.")
    waiting = [word for word in (label.values or {} if label else {}) if word not in mapping.labels]
    if waiting:
        found.append(f"Say what {_listed(waiting)} in {mapping.label!r} means, or leave its rows out.")
    return found


def _listed(words: list[str], most: int = 3) -> str:
    rest = f" and {len(words) - most} more" if len(words) > most else ""
    return " and ".join(repr(word) for word in words[:most]) + rest


@dataclass(frozen=True)
class Shown:
    """One of the first rows, as it would be read."""

    line: int
    row: ImportedRow | None = None
    error: str = ""


def shown(mapping: Mapping, look: Look, project: Project) -> list[Shown]:
    """The first rows as the mapping reads them."""
    reader = Reader(mapping, frozenset(project.policy_version.keys()))
    return [_shown(reader, record) for record in look.first] if mapping.text and mapping.label else []


def _shown(reader: Reader, record: Record) -> Shown:
    try:
        row = reader.row(record)
        return Shown(record.line, row if row.judgements is None else decided(row))
    except BadRow as error:
        return Shown(record.line, None, str(error))
    except LeftOut:
        return Shown(record.line, None, "left out")
