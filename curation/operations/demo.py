"""The demo project: policy, seeds, three people, and a first guard."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import Any

from django.contrib.auth.models import User
from django.db import transaction

from curation.models import Membership, Project, Round
from curation.models.project import Role
from curation.operations import Refused, imports, policies, recipes, rounds

DATA = Path(__file__).resolve().parent.parent / "demo"
SLUG = "demo"
PEOPLE = (("lea", Role.LEAD), ("ana", Role.ANNOTATOR), ("vic", Role.VIEWER))
SEEDS_A_ROUND = 100  # of the seeds, so that a first round is in review after five minutes on two cores
CONTENT_NOTE = (
    "These examples are short and mild, yet about half of them ask for something harmful. Skip whatever you do not "
    "want to read; nobody asks why. Take breaks, and talk to somebody you trust if a text stays with you."
)


def make(passwords: dict[str, str] | None = None) -> Project:
    """Make the demo project, or return the one that is there. New people's passwords are put into `passwords`."""
    with transaction.atomic():
        project = Project.objects.filter(slug=SLUG).first() or _make_project()
        for name, role in PEOPLE:
            _join(project, name, role, passwords if passwords is not None else {})
        if not project.examples.exists():
            _import(project, "seeds.jsonl", "training")
            _import(project, "evaluation.jsonl", "evaluation")
    return project


def _make_project() -> Project:
    return Project.objects.create(
        name="Demo", slug=SLUG, policy_version=policies.load(DATA / "policy.json"), content_note=CONTENT_NOTE,
        description="A small project on seeds that come with Whetstone.",
    )  # fmt: skip


def _join(project: Project, name: str, role: str, passwords: dict[str, str]) -> None:
    user, created = User.objects.get_or_create(username=name)
    if created:
        passwords[name] = secrets.token_urlsafe(12)
        user.set_password(passwords[name])
        user.save()
    Membership.objects.get_or_create(project=project, user=user, defaults={"role": role})


def _import(project: Project, name: str, purpose: str) -> None:
    with (DATA / name).open("rb") as file:
        report = imports.seeds(project, None, file, name, purpose)
    if report.refused:
        first = report.errors[0]
        raise Refused(f"{name}, line {first.line}: {first.message}.", "Restore the file from the repository.")


def recipe() -> dict[str, Any]:
    """The default recipe on a draw of the seeds."""
    body = recipes.default()
    body["generate"]["seeds"] = SEEDS_A_ROUND
    return body


def next_step(project: Project) -> Round:
    """Start what the demo does next: round 0 trains on the seeds, round 1 brings candidates into review."""
    open_round = project.rounds.open().first()
    if open_round:
        return open_round
    if not project.guards.exists():
        return rounds.start(project, None, recipes.seeds_only(), review=Round.Review.AUTO)
    return rounds.start(project, None, recipe())
