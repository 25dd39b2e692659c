"""What the desk knows before the first example: the person's keys and choices, the policy, the last decisions."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from curation import keymap
from curation.models import Category, Preferences, Project
from curation.operations import reviews
from curation.operations.wellbeing import Limits, sitting_seconds

if TYPE_CHECKING:
    from django.contrib.auth.models import User

HUES = 12  # colours of the palette in theme.css


def preferences_of(user: User) -> Preferences:
    """What the user chose; where they chose nothing yet, an unsaved row of our defaults."""
    return Preferences.of(user) or Preferences(user=user)


def recent(project: Project, reviewer: User) -> list[dict[str, Any]]:
    """The reviewer's newest decisions that still stand, newest first; ids and labels, no text."""
    rows = reviews.standing(reviewer, project).values("pk", "example_id", "decision", "label", "categories")
    return [
        {
            "verdict": row["pk"], "example": row["example_id"], "decision": row["decision"], "label": row["label"],
            "categories": row["categories"],
        }
        for row in rows
    ]  # fmt: skip


def policy(project: Project) -> list[dict[str, Any]]:
    """The categories in the policy's order, with its words and the place in the palette."""
    categories: list[Category] = list(project.policy_version.categories.all())
    return [
        {
            "key": category.key, "name": category.name, "definition": category.definition,
            "severity": category.severity, "includes": list(category.includes), "excludes": list(category.excludes),
            "hue": place % HUES + 1,
        }
        for place, category in enumerate(categories)
    ]  # fmt: skip


def settings_for(project: Project, user: User) -> dict[str, Any]:
    """Everything the desk's scripts need about this person in this project, as JSON."""
    chosen, rules = preferences_of(user), project.review_rules
    after = Limits.of(rules, chosen).break_after_minutes
    return {
        "user": user.pk,
        "project": project.slug,
        "keys": {"mode": chosen.key_mode, "keys": keymap.keys(chosen.keymap)},
        "prefetch": rules.prefetch,
        "lease_seconds": rules.lease_seconds,
        "wellbeing": {
            "break_after_minutes": after,
            "sitting_seconds": sitting_seconds(user, timedelta(minutes=after)) if after else 0,
        },
        "bulk_adversarial": rules.bulk_adversarial,
        "categories": policy(project),
    }
