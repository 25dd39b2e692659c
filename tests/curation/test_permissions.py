"""Who may do what: one table of all addresses, tried for every role and verb.

A view is never run here: what counts is whether its project is found for the person who asks. Refusals for
objects inside a project are tested beside their views.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.auth.models import AnonymousUser, User
from django.http import Http404
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver, reverse

from curation.models import Project
from curation.models.project import ADJUDICATORS, LEADS, REVIEWERS, Role
from curation.views import access, members
from tests.factories import make_member, make_project, make_user

pytestmark = pytest.mark.django_db

MEMBERS = tuple(Role)
VERBS = ("GET", "POST", "DELETE")
READ, ACT, FORM = ("GET",), ("POST",), ("GET", "POST")
# Who may, and by which verbs. An address that is not listed fails the test below.
IN_PROJECT: dict[str, tuple[tuple[Role, ...], tuple[str, ...]]] = {
    "overview": (MEMBERS, READ),
    "examples": (MEMBERS, READ),
    "example": (MEMBERS, READ),
    "example-like": (MEMBERS, READ),
    "example-view-save": (MEMBERS, ACT),
    "example-view-forget": (MEMBERS, ACT),
    "example-overrule": (LEADS, ACT),
    "example-retire": (LEADS, ACT),
    "example-unflag": (LEADS, ACT),
    "import": (LEADS, READ),
    "import-start": (LEADS, ACT),
    "import-map": (LEADS, ACT),
    "import-detail": (LEADS, READ),
    "import-act": (LEADS, ACT),
    "import-report": (LEADS, READ),
    "rounds": (MEMBERS, READ),
    "round": (MEMBERS, READ),
    "round-start": (LEADS, FORM),
    "round-act": (LEADS, ACT),
    "plan-make": (LEADS, ACT),
    "plan-source": (LEADS, FORM),
    "plan-recipe": (LEADS, FORM),
    "plan-preview": (LEADS, FORM),
    "plan-launch": (LEADS, FORM),
    "recipes": (LEADS, FORM),
    "recipe": (LEADS, READ),
    "recipe-file": (LEADS, READ),
    "recipe-clone": (LEADS, ACT),
    "review": (REVIEWERS, READ),
    "review-judge": (REVIEWERS, ACT),
    "review-undo": (REVIEWERS, ACT),
    "review-bulk": (REVIEWERS, READ),
    "queue": (LEADS, READ),
    "queue-release": (LEADS, ACT),
    "queue-cut": (LEADS, FORM),
    "queue-batch": (LEADS, READ),
    "queue-batch-close": (LEADS, ACT),
    "queue-batch-reassign": (LEADS, ACT),
    "quality": (MEMBERS, READ),
    "quality-compute": (LEADS, ACT),
    "quality-disputes": (ADJUDICATORS, READ),
    "quality-dispute": (ADJUDICATORS, FORM),
    "quality-gold": (LEADS, READ),
    "quality-gold-take": (LEADS, ACT),
    "quality-gold-write": (LEADS, FORM),
    "quality-gold-switch": (LEADS, ACT),
    "quality-exams": (REVIEWERS, READ),
    "quality-exam": (REVIEWERS, FORM),
    "quality-people": (LEADS, READ),
    "quality-person": (REVIEWERS, READ),
    "quality-resume": (LEADS, ACT),
    "quality-rules": (LEADS, FORM),
    "guards": (MEMBERS, READ),
    "guard": (MEMBERS, READ),
    "guard-threshold": (MEMBERS, READ),
    "guard-compare": (MEMBERS, READ),
    "guard-card": (MEMBERS, READ),
    "guard-peer": (MEMBERS, READ),
    "guard-promote": (LEADS, ACT),
    "guard-back": (LEADS, ACT),
    "guard-measure": (LEADS, ACT),
    "guard-gate": (LEADS, FORM),
    "guard-traffic": (LEADS, READ),
    "guard-traffic-choose": (LEADS, ACT),
    "guard-key-make": (LEADS, ACT),
    "guard-key-revoke": (LEADS, ACT),
    "releases": (MEMBERS, READ),
    "release": (MEMBERS, READ),
    "release-start": (LEADS, ACT),
    "release-file": (LEADS, READ),
    "members": (MEMBERS, READ),
    "member-role": (LEADS, ACT),
    "member-remove": (LEADS, ACT),
    "member-invite": (LEADS, ACT),
    "member-invitation-revoke": (LEADS, ACT),
    "webhooks": (LEADS, FORM),
    "webhook": (LEADS, READ),
    "webhook-act": (LEADS, ACT),
    "webhook-again": (LEADS, ACT),
    "audit": (LEADS, READ),
    "audit-chain": (LEADS, READ),
    "audit-csv": (LEADS, READ),
    "audit-jsonl": (LEADS, READ),
}
# To everybody
OPEN = {
    "login", "logout", "healthz", "readyz", "metrics", "javascript-catalog", "join", "openid_connect_login",
    "openid_connect_callback",
}  # fmt: skip
# To whoever signed in, about nobody else; and what of it is only acted on.
PERSONAL = {"home", "settings", "tokens", "token-revoke", "sessions", "sessions-end", "password"}
PERSONAL_ACTS = {"token-revoke", "sessions-end"}
FOUNDERS = {"project-make"}  # to whom the site itself invited
PROGRAMS = {"api", "moderation"}  # their own keys, tokens and tests
EXAMPLE_OF = {
    "pk": 1, "number": 1, "other": 2, "token": "x", "category": "fraud", "name": "data.jsonl", "verb": "cancel",
    "act": "cancel", "delivery": 1,
}  # fmt: skip


class Reached(Exception):
    """The project was found: the view would run now."""


def addresses(patterns: list[Any]) -> Iterator[URLPattern]:
    for pattern in patterns:
        if not isinstance(pattern, URLResolver):
            yield pattern
        elif pattern.namespace not in PROGRAMS:
            yield from addresses(pattern.url_patterns)


def known() -> dict[str, URLPattern]:
    return {str(pattern.name): pattern for pattern in addresses(get_resolver().url_patterns)}


@pytest.fixture
def project(monkeypatch: pytest.MonkeyPatch) -> Project:
    find = access.get_object_or_404

    def stop(*args: Any, **kwargs: Any) -> None:
        find(*args, **kwargs)
        raise Reached

    monkeypatch.setattr(access, "get_object_or_404", stop)
    return make_project()


def address(project: Project, name: str) -> str:
    names = known()[name].pattern.converters
    return reverse(name, kwargs={key: project.slug if key == "slug" else EXAMPLE_OF[key] for key in ("slug", *names)})


def is_reached(client: Client, verb: str, path: str) -> bool:
    """Whether the view would run; what does not is 404, 405 or a way to sign in, and nothing else."""
    try:
        answer = client.generic(verb, path)
    except Reached:
        return True
    assert answer.status_code in (404, 405) or (answer.status_code, answer["Location"][:6]) == (302, "/login")
    return False


def test_every_address_is_listed_and_nothing_else() -> None:
    listed = {*IN_PROJECT, *OPEN, *PERSONAL, *FOUNDERS}
    assert set(known()) == listed


@pytest.mark.parametrize("role", [*Role, "somebody of another project", "nobody"])
def test_a_role_reaches_what_the_table_says_and_nothing_else(project: Project, client: Client, role: str) -> None:
    user: User | AnonymousUser = AnonymousUser()
    if role in list(Role):
        user = make_member(project, role)
    elif role != "nobody":
        user = make_member(make_project(), Role.OWNER)
    if isinstance(user, User):
        client.force_login(user)

    found = {(name, verb) for name in IN_PROJECT for verb in VERBS if is_reached(client, verb, address(project, name))}

    wanted = {(name, verb) for name, (roles, verbs) in IN_PROJECT.items() if role in roles for verb in verbs}
    assert found == wanted


@pytest.mark.parametrize("name", sorted(PERSONAL - PERSONAL_ACTS))
def test_personal_pages_ask_who_one_is(client: Client, name: str) -> None:
    assert client.get(reverse(name))["Location"].startswith("/login")
    client.force_login(make_user())
    assert client.get(reverse(name)).status_code == 200


@pytest.mark.parametrize("name", sorted(FOUNDERS))
def test_only_who_was_invited_by_the_site_makes_projects(client: Client, name: str) -> None:
    owner = make_member(make_project(), Role.OWNER)
    assert client.get(reverse(name))["Location"].startswith("/login")
    client.force_login(owner)
    assert [client.generic(verb, reverse(name)).status_code for verb in VERBS] == [404, 404, 405]
    owner.is_staff = True
    owner.save()
    assert [client.generic(verb, reverse(name)).status_code for verb in VERBS] == [200, 200, 405]


def test_the_table_that_members_read_is_what_the_views_enforce(client: Client) -> None:
    for words, name in members.ACTS:
        assert set(access.roles_of(name)) == set(IN_PROJECT[name][0]), words
    assert {name for name in IN_PROJECT if set(access.roles_of(name)) != set(IN_PROJECT[name][0])} == set()


def test_a_project_that_is_not_there_is_404_too(project: Project, client: Client) -> None:
    client.force_login(make_user())
    with pytest.raises(Http404):
        access.get_object_or_404(Project.objects.none())
    assert client.get(reverse("overview", args=["no-such-project"])).status_code == 404
