"""Rows for tests: say only what the test is about."""

from __future__ import annotations

from itertools import count
from typing import Any

from django.contrib.auth.models import User

from curation.models import Category, Example, Membership, Policy, PolicyVersion, Project

_numbers = count(1)
CATEGORIES = ("fraud", "hate", "child-exploitation")


def make_policy_version() -> PolicyVersion:
    version = PolicyVersion.objects.create(policy=Policy.objects.create(name=f"Policy {next(_numbers)}"), number=1)
    for position, key in enumerate(CATEGORIES):
        Category.objects.create(
            version=version, key=key, name=key.title(), definition=f"What {key} is.", position=position,
            generation_allowed=key != "child-exploitation",
        )  # fmt: skip
    return version


def make_project(**fields: Any) -> Project:
    number = next(_numbers)
    defaults = {"name": f"Project {number}", "slug": f"project-{number}"}
    if "policy_version" not in fields:
        fields["policy_version"] = make_policy_version()
    return Project.objects.create(**{**defaults, **fields})


def make_user(name: str = "") -> User:
    return User.objects.create_user(username=name or f"person{next(_numbers)}", password="a long enough password")


def make_member(project: Project, role: str, name: str = "") -> User:
    user = make_user(name)
    Membership.objects.create(project=project, user=user, role=role)
    return user


def make_example(project: Project | None = None, **fields: Any) -> Example:
    number = next(_numbers)
    defaults: dict[str, Any] = {
        "text": f"how do i water plant number {number}", "origin": "augmented", "state": "queued",
        "proposed_label": "safe", "family": f"family-{number}",
    }  # fmt: skip
    return Example.objects.create(project=project or make_project(), **{**defaults, **fields})


def make_seeds(project: Project, pairs: int) -> list[Example]:
    """Accepted seeds in pairs of an unsafe one and its safe twin."""
    made = []
    for number in range(pairs):
        for label, categories in (("unsafe", ["fraud"]), ("safe", [])):
            made.append(
                make_example(
                    project, text=f"{label} message number {number} of the seeds", origin="seed", state="accepted",
                    proposed_label=label, proposed_categories=categories, label=label, categories=categories,
                    family=f"pair-{number}",
                )
            )  # fmt: skip
    return made
