"""Recipes: which stages a round runs and how. JSON, checked against the stages' own dataclasses; YAML for people."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from copy import deepcopy
from dataclasses import MISSING, asdict, fields
from functools import lru_cache
from typing import TYPE_CHECKING, Any, TypeVar, get_type_hints

import yaml

from classifier.config import TrainSettings
from curation.models import Project, Recipe
from curation.models.example import Label
from curation.operations import Refused
from pipeline import adversary, augmenters, filters, generators, paraphrasers, rewards
from pipeline.judging import Judging
from pipeline.registry import Registry, UnknownStage

if TYPE_CHECKING:
    from django.contrib.auth.models import User

STAGES: dict[str, Registry] = {
    "augmenters": augmenters.augmenters,
    "paraphrasers": paraphrasers.paraphrasers,
    "filters": filters.filters,
    "generator": generators.generators,
    "method": adversary.methods,
    "reward": rewards.rewards,
}
# What each part of a recipe may name, beside its own name.
PARTS: dict[str, frozenset[str]] = {
    "generate": frozenset({"augmenters", "paraphrasers", "generator", "seeds", "source"}),
    "filter": frozenset({"filters", "languages"}),
    "attack": frozenset({"method", "reward", "generator", "judge", "wanted", "pairs"}),
}
SOURCE = frozenset({"label", "categories", "languages"})
ENTRY = frozenset({"key", "settings", "copies"})
WORDS = {int: "a whole number", float: "a number", bool: "true or false", str: "a text"}
MOST_COPIES, MOST_WANTED, MOST_SEEDS = 20, 10_000, 1_000_000
PAIRS = 64  # contrast pairs that an attack brings at most; more hardly helped (docs/experiments.md)
LARGEST_FILE = 256 * 1024  # bytes: a recipe is a page of text
REMEDY = "Correct the recipe and start again."
Settings = TypeVar("Settings", TrainSettings, Judging)


def default() -> dict[str, Any]:
    """The recipe of a first round on one machine: packaged models, everything on."""
    generator = {"key": "local", "settings": {}}
    return {
        "name": "default",
        "generate": {
            "augmenters": [{"key": key, "copies": 1} for key in ("persona", "safe-twin", "chat-spelling")],
            "paraphrasers": [{"key": "paraphrase", "copies": 1}],
            "generator": generator,
            "seeds": 0,
        },
        "filter": {
            "filters": [
                {"key": "exact-duplicate"}, {"key": "near-duplicate"}, {"key": "fidelity"}, {"key": "language"},
                {"key": "length"}, {"key": "shape"}, {"key": "label-judge"},
            ],
            "languages": ["en"],
        },
        "train": {},
        "attack": {"method": {"key": "grpo", "settings": {}}, "generator": generator, "wanted": 40, "pairs": PAIRS},
    }  # fmt: skip


def seeds_only() -> dict[str, Any]:
    """The recipe of round 0: train on the seeds, make nothing."""
    return {"name": "seeds only", "generate": None, "filter": default()["filter"], "train": {}, "attack": None}


def checked(body: Any) -> dict[str, Any]:
    """Return the recipe with every stage's settings spelled out.

    Raises:
        Refused: a part, a stage or a setting is not there, or has a value of another kind; the message says which.
    """
    try:
        _known("a recipe", _mapping(body, "a recipe"), {"name", "train", *PARTS})
        for part, names in PARTS.items():
            _check_part(part, _mapping(body.get(part) or {}, part), names)
        _made("train", TrainSettings, body.get("train") or {})
        if attack := body.get("attack"):
            attack["judge"] = asdict(_made("attack.judge", Judging, attack.get("judge") or {}))
    except (UnknownStage, TypeError, ValueError, KeyError) as error:
        raise Refused(f"This recipe cannot be run: {_said(error)}", REMEDY, code="invalid") from None
    return dict(body)


def _made(where: str, kind: type[Settings], given: Any) -> Settings:
    """Settings that are of no stage."""
    _known(where, _mapping(given, where), {one.name for one in fields(kind)})
    _check_kinds(where, kind, given)
    return kind(**given)


def _said(error: Exception) -> str:
    if isinstance(error, KeyError):
        return f"a stage has no {error.args[0]!r}."
    return f"{error}".rstrip(".") + "."


def _mapping(value: Any, where: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ValueError(f"{where} should be names with values, found {type(value).__name__}")
    return value


def _known(where: str, value: Mapping[str, Any], names: set[str] | frozenset[str]) -> None:
    if strange := sorted(map(str, set(value) - names)):
        raise ValueError(f"{where} has no setting {strange[0]!r}; it has: {', '.join(sorted(names))}")


def _check_part(part: str, value: dict[str, Any], names: frozenset[str]) -> None:
    _known(part, value, names)
    for name, entry in _entries(value):
        _known(f"an entry of {part}.{name}", _mapping(entry, f"an entry of {part}.{name}"), ENTRY)
        entry["settings"] = _settings(STAGES[name], entry)
        _within(f"copies of {entry['key']}", entry.get("copies", 1), 1, MOST_COPIES)
    _within("seeds", value.get("seeds", 0), 0, MOST_SEEDS)
    _within("wanted", value.get("wanted", 0), 0, MOST_WANTED)
    _within("pairs", value.get("pairs", 0), 0, MOST_WANTED)
    _texts(f"{part}.languages", value.get("languages") or [])
    source = _mapping(value.get("source") or {}, "source")
    _known("source", source, SOURCE)
    _texts("source.categories", source.get("categories") or [])
    _texts("source.languages", source.get("languages") or [])
    if (label := source.get("label") or "") not in ("", *Label.values):
        raise ValueError(f"source.label should be safe, unsafe or nothing, found {label!r}")


def _entries(part: dict[str, Any]) -> list[tuple[str, Any]]:
    """Every stage that a part of the recipe names, with the kind of stage it is."""
    found = []
    for name in sorted(STAGES.keys() & part.keys()):
        value = part[name] or []
        found += [(name, entry) for entry in (value if isinstance(value, list) else [value])]
    return found


def _settings(registry: Registry, entry: dict[str, Any]) -> dict[str, Any]:
    """All settings of a stage, those that the recipe leaves out at their defaults."""
    given = _mapping(entry.get("settings") or {}, f"settings of {entry['key']}")
    key = str(entry["key"])
    if key in registry.stages:
        _check_kinds(key, registry.stages[key], given)
    return asdict(registry.make(key, given))


def _within(what: str, value: Any, low: int, high: int) -> None:
    if type(value) is not int or not low <= value <= high:
        raise ValueError(f"{what} should be a whole number from {low} to {high:,}, found {value!r}")


def _texts(what: str, value: Any) -> None:
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        raise ValueError(f"{what} should be a list of texts, found {value!r}")


@lru_cache(maxsize=64)
def kinds(stage: type) -> dict[str, Any]:
    """The type of each setting of a stage's dataclass."""
    hints = get_type_hints(stage)
    return {one.name: hints[one.name] for one in fields(stage)}


def defaults(stage: type) -> dict[str, Any]:
    """What each setting is where nobody says otherwise."""
    found = {one.name: one.default for one in fields(stage) if one.default is not MISSING}
    made = {one.name: one.default_factory() for one in fields(stage) if one.default_factory is not MISSING}
    return {**found, **made}


def _check_kinds(where: str, stage: type, given: Mapping[str, Any]) -> None:
    for name, kind in kinds(stage).items():
        if name in given and kind in WORDS and not _is_of(given[name], kind):
            raise ValueError(f"{name} of {where} should be {WORDS[kind]}, found {given[name]!r}")


def _is_of(value: Any, kind: type) -> bool:
    if kind is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    return type(value) is kind


# Rows: versions, copies, differences


def remember(project: Project, body: dict[str, Any], by: User | None, *, parent: Recipe | None = None) -> Recipe:
    """Keep a recipe under its name, as a new version where it differs from the newest."""
    name = str(body.get("name") or "unnamed")[:80]
    newest = project.recipes.filter(name=name).order_by("-version").first()
    if newest and newest.body == body:
        return newest
    version = newest.version + 1 if newest else 1
    return Recipe.objects.create(
        project=project, name=name, version=version, body=body, created_by=by, parent=parent or newest
    )


def save(project: Project, body: Any, by: User | None, *, parent: Recipe | None = None, note: str = "") -> Recipe:
    """Check a recipe and keep it as the next version under its name.

    Raises:
        Refused: it cannot be run, or has no name.
    """
    good = checked(body)
    if not str(good.get("name") or "").strip():
        raise Refused("A recipe needs a name.", "Write `name:` with a word or two.", code="invalid", field="name")
    recipe = remember(project, good, by, parent=parent)
    if note and not recipe.note:
        recipe.note = note[:300]
        recipe.save(update_fields=["note"])
    return recipe


def clone(recipe: Recipe, name: str, by: User | None) -> Recipe:
    """Copy a recipe under another name.

    Raises:
        Refused: the name is empty or taken.
    """
    name = name.strip()[:80]
    if not name or recipe.project.recipes.filter(name=name).exists():
        problem = f"There is a recipe {name!r} already." if name else "The copy needs a name."
        raise Refused(problem, "Give it another one.", code="invalid", field="name")
    return remember(recipe.project, {**recipe.body, "name": name}, by, parent=recipe)


def flat(body: Any, before: str = "") -> dict[str, Any]:
    """Every setting of a recipe by its path; stages of a list by their key, so that order alone is no difference.

    >>> flat({"train": {"epochs": 3}})
    {'train.epochs': 3}
    """
    if isinstance(body, dict) and body:
        pairs: Iterator[tuple[str, Any]] = iter(body.items())
    elif isinstance(body, list) and body and all(isinstance(one, dict) and "key" in one for one in body):
        pairs = iter([(one["key"], {"used": True, **one}) for one in body])
    else:
        return {before: body}
    found: dict[str, Any] = {}
    for name, value in pairs:
        found |= flat(value, f"{before}.{name}" if before else str(name))
    return found


def differences(one: Mapping[str, Any], other: Mapping[str, Any]) -> list[tuple[str, Any, Any]]:
    """Settings in which two recipes differ: path, the first one's value, the second one's; None where it has none.

    What a recipe leaves out counts as its default, so that spelling a default out is no difference. A stage that the
    second one does not use is one difference, whatever its settings were.
    """
    left, right = flat(_spelt_out(one)), flat(_spelt_out(other))
    paths = [path for path in sorted({*left, *right}) if left.get(path) != right.get(path)]
    gone = tuple(path.removesuffix("used") for path in paths if path.endswith(".used") and not right.get(path))
    paths = [path for path in paths if path.endswith(".used") or not path.startswith(gone)]
    return [(path, left.get(path), right.get(path)) for path in paths if not path.endswith((".key", "name"))]


def _spelt_out(body: Mapping[str, Any]) -> dict[str, Any]:
    whole = deepcopy(dict(body))
    with suppress(Refused):  # an old recipe may name what is gone; then it is compared as it stands
        whole = checked(whole)  # which fills in the settings of stages
    whole["train"] = {**defaults(TrainSettings), **(whole.get("train") or {})}
    return whole


# YAML


def to_yaml(body: Mapping[str, Any]) -> str:
    """A recipe as YAML that `from_yaml` reads back."""
    return yaml.dump(dict(body), Dumper=Plain, sort_keys=False, allow_unicode=True, width=100)


def from_yaml(text: str | bytes) -> dict[str, Any]:
    """Read a recipe from YAML, or from JSON, which YAML includes.

    Raises:
        Refused: it is too large, not YAML, or refers to itself; or it cannot be run.
    """
    if len(text) > LARGEST_FILE:
        raise Refused(f"A recipe has up to {LARGEST_FILE // 1024} KB, found {len(text) // 1024} KB.", REMEDY)
    try:
        # A few lines of references to references can unfold to gigabytes, and no recipe needs one.
        if any(isinstance(event, yaml.AliasEvent) for event in yaml.parse(text, Loader=yaml.SafeLoader)):
            raise Refused("A recipe has no references (*name), found one.", "Write the value out.", code="invalid")
        body = yaml.safe_load(text)
    except (yaml.YAMLError, UnicodeDecodeError, ValueError, RecursionError) as error:
        raise Refused(f"This is not YAML{_where(error)}.", "Correct the file and try again.", code="invalid") from None
    return checked(body)


def _where(error: Exception) -> str:
    mark = getattr(error, "problem_mark", None)
    return f": line {mark.line + 1}, {getattr(error, 'problem', '')}" if mark else ""


class Plain(yaml.SafeDumper):
    """Writes every value out: no anchors, which a reader would have to resolve."""

    def ignore_aliases(self, data: Any) -> bool:
        return True
