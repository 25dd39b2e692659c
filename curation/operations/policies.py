"""Policies from files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction

from curation.models import Category, Policy, PolicyVersion
from curation.operations import Refused


def load(file: Path) -> PolicyVersion:
    """Load a policy file as a new version of the policy it names; the newest version where nothing changed.

    Raises:
        Refused: the file cannot be read, or a category is not complete; the message says which.
    """
    body = _read(file)
    with transaction.atomic():
        policy, _ = Policy.objects.get_or_create(
            name=body["name"], defaults={"description": body.get("description", "")}
        )
        newest = policy.versions.order_by("-number").first()
        if newest and _as_written(newest) == body["categories"]:
            return newest
        version = PolicyVersion.objects.create(policy=policy, number=newest.number + 1 if newest else 1)
        for position, entry in enumerate(body["categories"]):
            _add(version, position, entry)
    return version


def _read(file: Path) -> dict[str, Any]:
    try:
        body = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise Refused(f"{file} cannot be read as JSON: {type(error).__name__}.", "Give a policy file.") from None
    if not isinstance(body, dict) or not body.get("name") or not isinstance(body.get("categories"), list):
        raise Refused(f"{file} should be an object with name and categories.", "See curation/demo/policy.json.")
    return body


def _as_written(version: PolicyVersion) -> list[dict[str, Any]]:
    names = (
        "key", "name", "definition", "severity", "includes", "excludes", "crosswalk", "generation_allowed",
    )  # fmt: skip
    return list(version.categories.values(*names))


def _add(version: PolicyVersion, position: int, entry: Any) -> None:
    try:
        category = Category(version=version, position=position, **entry)
        category.full_clean(exclude=["includes", "excludes", "crosswalk"])
    except (TypeError, ValidationError) as error:
        said = "; ".join(error.messages) if isinstance(error, ValidationError) else str(error)
        raise Refused(f"Category {position + 1} of the policy cannot be taken: {said}") from None
    category.save()
