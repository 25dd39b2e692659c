"""Recipes: which stages a round runs and how. JSON, checked against the stages' own dataclasses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from classifier.config import TrainSettings
from curation.models import Project, Recipe
from curation.operations import Refused
from pipeline import adversary, augmenters, filters, generators, paraphrasers
from pipeline.registry import Registry, UnknownStage

if TYPE_CHECKING:
    from django.contrib.auth.models import User

STAGES: dict[str, Registry] = {
    "augmenters": augmenters.augmenters,
    "paraphrasers": paraphrasers.paraphrasers,
    "filters": filters.filters,
    "generator": generators.generators,
    "method": adversary.methods,
}


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
        "attack": {"method": {"key": "grpo", "settings": {}}, "generator": generator, "wanted": 40},
    }  # fmt: skip


def seeds_only() -> dict[str, Any]:
    """The recipe of round 0: train on the seeds, make nothing."""
    return {"name": "seeds only", "generate": None, "filter": default()["filter"], "train": {}, "attack": None}


def checked(body: dict[str, Any]) -> dict[str, Any]:
    """Return the recipe with every stage's settings spelled out.

    Raises:
        Refused: a stage or a setting is not there; the message says which are.
    """
    try:
        for part in ("generate", "filter", "attack"):
            for name, entry in _entries(body.get(part) or {}):
                stage = STAGES[name].make(entry["key"], entry.get("settings"))
                entry["settings"] = _settings(stage)
        TrainSettings(**(body.get("train") or {}))
    except (UnknownStage, TypeError, ValueError, KeyError) as error:
        raise Refused(f"This recipe cannot be run: {error}", "Correct the recipe and start again.") from None
    return body


def _entries(part: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """Every stage that a part of the recipe names, with the kind of stage it is."""
    found = []
    for name in STAGES.keys() & part.keys():
        value = part[name]
        found += [(name, entry) for entry in (value if isinstance(value, list) else [value])]
    return found


def _settings(stage: Any) -> dict[str, Any]:
    from dataclasses import asdict

    return asdict(stage)


def remember(project: Project, body: dict[str, Any], by: User | None) -> Recipe:
    """Keep a recipe under its name, as a new version where it differs from the newest."""
    name = str(body.get("name") or "unnamed")[:80]
    newest = project.recipes.filter(name=name).order_by("-version").first()
    if newest and newest.body == body:
        return newest
    version = newest.version + 1 if newest else 1
    return Recipe.objects.create(project=project, name=name, version=version, body=body, created_by=by)
