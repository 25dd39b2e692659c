"""Policies from files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from django.core.exceptions import ValidationError
from django.db import transaction

from curation.models import Category, Policy, PolicyVersion
from curation.operations import Refused

if TYPE_CHECKING:
    from django.contrib.auth.models import User

SHIPPED = Path(__file__).resolve().parent.parent / "demo" / "policy.json"
EXAMPLE = "See curation/demo/policy.json."
LONGEST_NAME, MOST = 120, 200  # characters; categories
LARGEST_FILE = 2**20  # bytes


def load(file: Path) -> PolicyVersion:
    """Load a policy file as a new version of the policy it names; the newest version where nothing changed.

    Raises:
        Refused: the file cannot be read, or a category is not complete; the message says which.
    """
    try:
        written = file.read_bytes()
    except OSError as error:
        raise Refused(f"{file} cannot be read: {type(error).__name__}.", "Give a policy file.") from None
    return take(written, str(file))


def take(written: bytes, name: str, by: User | None = None) -> PolicyVersion:
    """Take the content of a policy file as a new version of the policy it names; the newest where nothing changed.

    Raises:
        Refused: it is no policy, or a category is not complete; the message says which.
    """
    body = _read(written, name)
    categories = [_made(position, entry) for position, entry in enumerate(body["categories"])]
    with transaction.atomic():
        policy, _ = Policy.objects.get_or_create(
            name=body["name"], defaults={"description": body.get("description", "")}
        )
        newest = policy.versions.order_by("-number").first()
        if newest and list(map(_content, newest.categories.all())) == list(map(_content, categories)):
            return newest
        number = newest.number + 1 if newest else 1
        version = PolicyVersion.objects.create(policy=policy, number=number, created_by=by)
        for category in categories:
            category.version = version
            _save(category)
    return version


def _read(written: bytes, name: str) -> dict[str, Any]:
    try:
        body = json.loads(written)
    except (ValueError, RecursionError) as error:
        raise Refused(f"{name} cannot be read as JSON: {type(error).__name__}.", "Give a policy file.") from None
    if not isinstance(body, dict) or not _is_text(body.get("name")) or not isinstance(body.get("categories"), list):
        raise Refused(f"{name} should be an object with name and categories.", EXAMPLE)
    if not _is_text(body.get("description", "")) or len(body["name"]) > LONGEST_NAME or not body["name"].strip():
        raise Refused(f"A policy's name has up to {LONGEST_NAME} characters, and its description is a text.", EXAMPLE)
    if not 0 < len(body["categories"]) <= MOST:
        raise Refused(f"A policy has 1 to {MOST} categories, this one {len(body['categories'])}.", EXAMPLE)
    return body


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and "\x00" not in value


def _content(category: Category) -> list[Any]:
    names = "key", "name", "definition", "severity", "includes", "excludes", "crosswalk", "generation_allowed"
    return [getattr(category, name) for name in names]


def _made(position: int, entry: Any) -> Category:
    try:
        _check_lists(entry)
        return Category(position=position, **entry)
    except TypeError as error:
        raise Refused(f"Category {position + 1} of the policy cannot be taken: {error}", EXAMPLE) from None


def _save(category: Category) -> None:
    try:
        category.full_clean(exclude=["includes", "excludes", "crosswalk"])
    except ValidationError as error:
        said = "; ".join(error.messages)
        raise Refused(f"Category {category.position + 1} of the policy cannot be taken: {said}", EXAMPLE) from None
    category.save()


def _check_lists(entry: Any) -> None:
    if not isinstance(entry, dict):
        raise TypeError(f"it should be an object, found {type(entry).__name__}.")
    for name in ("includes", "excludes"):
        phrases = entry.get(name, [])
        if not isinstance(phrases, list) or not all(map(_is_text, phrases)):
            raise TypeError(f"{name} should be a list of phrases.")
    names = entry.get("crosswalk", {})
    if not isinstance(names, dict) or not all(value is None or _is_text(value) for value in names.values()):
        raise TypeError("crosswalk should give a name for each system.")
