"""Rows for tests: say only what the test is about."""

from __future__ import annotations

from datetime import timedelta
from itertools import count
from typing import Any

from django.contrib.auth.models import User
from django.db.models.functions import Now

from curation.models import (
    Category,
    Example,
    GoldQuestion,
    Lease,
    Membership,
    PersonalToken,
    Policy,
    PolicyVersion,
    Project,
    ReviewRules,
    Verdict,
)

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


def make_rules(project: Project, **fields: Any) -> ReviewRules:
    rules, _ = ReviewRules.objects.update_or_create(project=project, defaults=fields)
    project.rules = rules
    return rules


def make_lease(example: Example, reviewer: User, seconds: float = 900, **fields: Any) -> Lease:
    """A lease that ends in so many seconds; a negative number has run out already."""
    defaults: dict[str, Any] = {"project": example.project, "expires_at": Now() + timedelta(seconds=seconds)}
    return Lease.objects.create(example=example, reviewer=reviewer, **{**defaults, **fields})


def make_verdict(example: Example, reviewer: User, decision: str = "accept", **fields: Any) -> Verdict:
    """A verdict alone: the example does not move with it."""
    meant = decision in ("accept", "relabel")
    defaults: dict[str, Any] = {
        "maker": "person", "policy_version": example.project.policy_version,
        "label": example.proposed_label if meant else "",
        "categories": example.proposed_categories if meant else [],
    }  # fmt: skip
    return Verdict.objects.create(example=example, reviewer=reviewer, decision=decision, **{**defaults, **fields})


def make_gold(example: Example, **fields: Any) -> GoldQuestion:
    defaults: dict[str, Any] = {
        "project": example.project, "label": example.current_label, "categories": example.current_categories,
        "source": "lead",
    }  # fmt: skip
    return GoldQuestion.objects.create(example=example, **{**defaults, **fields})


def make_token(user: User, **fields: Any) -> str:
    """A personal token's secret."""
    defaults: dict[str, Any] = {"name": "script", "scopes": ["review"], "expires_at": None}
    return PersonalToken.objects.issue(user, **{**defaults, **fields})[0]
