"""Invitations, members, the first lead: who gets in, as what, and who can change that."""

from __future__ import annotations

import json
import re
from datetime import timedelta
from io import StringIO
from threading import Barrier, Thread
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.management import CommandError, call_command
from django.db import connection
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from curation.models import AuditEntry, Invitation, Lease, Membership, PolicyVersion, Project
from curation.models.project import Role
from curation.operations import Refused, invitations, members, policies, queue
from tests.factories import make_example, make_member, make_policy_version, make_project, make_user

pytestmark = pytest.mark.django_db
PASSWORD = "a long enough password"
NEW = {"username": "ana", "password1": PASSWORD, "password2": PASSWORD}


@pytest.fixture
def project() -> Project:
    return make_project(content_note="")


@pytest.fixture
def owner(project: Project) -> User:
    return make_member(project, Role.OWNER, "ona")


@pytest.fixture
def client(owner: User) -> Client:
    client = Client()
    client.force_login(owner)
    return client


def invited(project: Project | None, role: str = "", **fields: Any) -> tuple[str, Invitation]:
    secret, made = invitations.make("Ana", project=project, role=role, **fields)
    return reverse("join", args=[secret]), made


def said(page: Any) -> str:
    return " ".join(page.content.decode().split())


# Invitations


def test_a_link_is_shown_once_and_makes_an_account(client: Client, project: Project) -> None:
    made = client.post(reverse("member-invite", args=[project.slug]), {"name": "Ana", "role": "annotator", "days": 3})
    assert made.status_code == 302  # so that a reload makes no second one
    page = client.get(made["Location"]).content.decode()
    (link,) = re.findall(r"http://testserver(/join/[\w-]{40,}/)", page)

    assert link not in client.get(reverse("members", args=[project.slug])).content.decode()
    assert link.split("/")[2] not in Invitation.objects.get().hash
    stranger = Client()
    answer = stranger.post(link, NEW)
    assert answer["Location"] == reverse("overview", args=[project.slug])
    assert stranger.get(answer["Location"]).status_code == 200
    assert project.role_of(User.objects.get(username="ana")) == Role.ANNOTATOR
    acts = list(AuditEntry.objects.order_by("link").values_list("action", "actor__username"))
    assert acts == [("invitation-made", "ona"), ("invitation-accepted", "ana")]


def test_a_link_is_good_once(project: Project) -> None:
    link, _ = invited(project, "viewer")
    Client().post(link, NEW)

    answer = Client().post(link, NEW | {"username": "ben"})

    assert answer.status_code == 410
    assert "was used already" in said(answer)
    assert not User.objects.filter(username="ben").exists()


def test_two_who_use_a_link_at_once_do_not_both_get_in(project: Project) -> None:
    _, invitation = invited(project, "viewer")
    also = Invitation.objects.get(pk=invitation.pk)
    invitations.register(invitation, User(username="ana"))

    with pytest.raises(Refused, match="used already"):
        invitations.register(also, User(username="ben"))

    assert not User.objects.filter(username="ben").exists()


def test_links_that_expired_were_taken_back_or_never_were_say_so(client: Client, project: Project) -> None:
    old, expired = invited(project, "viewer")
    Invitation.objects.filter(pk=expired.pk).update(expires_at=timezone.now() - timedelta(seconds=1))
    gone, revoked = invited(project, "viewer")
    client.post(reverse("member-invitation-revoke", args=[project.slug, revoked.pk]))

    for link, status, words in (
        (old, 410, "has expired"), (gone, 410, "was taken back"),
        (reverse("join", args=["no-such-secret"]), 404, "is not known here"),
    ):  # fmt: skip
        for answer in (Client().get(link), Client().post(link, NEW)):
            assert answer.status_code == status
            assert words in said(answer)
    assert not User.objects.filter(username="ana").exists()


def test_an_invitation_of_another_project_cannot_be_revoked(client: Client, project: Project) -> None:
    _, other = invited(make_project(), "viewer")

    assert client.post(reverse("member-invitation-revoke", args=[project.slug, other.pk])).status_code == 404
    assert Invitation.objects.open().filter(pk=other.pk).exists()


def test_weak_passwords_and_taken_names_are_refused_beside_their_fields(project: Project) -> None:
    make_user("Ana")
    link, _ = invited(project, "viewer")

    answer = Client().post(link, {"username": "ana", "password1": "12345678", "password2": "12345678"})

    assert answer.status_code == 422
    assert set(answer.context["form"].errors) == {"username", "password2"}
    assert Invitation.objects.open().count() == 1


def test_somebody_with_an_account_goes_in_as_who_they_are(project: Project) -> None:
    link, _ = invited(project, "adjudicator")
    ben, there = make_user("ben"), Client()
    there.force_login(ben)

    assert "Go in as ben" in said(there.get(link))
    there.post(link)

    assert project.role_of(ben) == Role.ADJUDICATOR


def test_who_is_in_already_does_not_use_the_link_up(client: Client, project: Project) -> None:
    link, _ = invited(project, "viewer")

    answer = client.post(link)

    assert answer.status_code == 422
    assert "ona is in" in said(answer)
    assert Invitation.objects.open().count() == 1
    assert project.role_of(User.objects.get(username="ona")) == Role.OWNER


def test_nobody_registers_without_an_invitation() -> None:
    assert Client().get("/join/").status_code == 404
    assert Client().get("/register").status_code == 404


# The first lead


def test_the_first_lead_comes_by_a_link_from_the_shell_and_makes_a_project() -> None:
    out, browser = StringIO(), Client()
    assert "manage.py invite" in said(browser.get(reverse("login")))
    call_command("invite", "Lea", "--url", "https://guard.example", stdout=out)
    link = out.getvalue().strip().removeprefix("https://guard.example")

    assert browser.post(link, NEW | {"username": "lea"})["Location"] == reverse("project-make")
    answer = browser.post(reverse("project-make"), {"name": "Support chat", "policy": "shipped"})

    project = Project.objects.get()
    assert answer["Location"] == reverse("overview", args=["support-chat"])
    assert project.role_of(User.objects.get(username="lea")) == Role.OWNER
    assert project.policy_version.categories.count() == 16


def test_the_shell_invites_into_a_project_too(project: Project) -> None:
    out = StringIO()
    call_command("invite", "Ben", "--project", project.slug, "--role", "adjudicator", stdout=out)
    assert Invitation.objects.get().role == Role.ADJUDICATOR
    with pytest.raises(CommandError, match=f"There is: {project.slug}"):
        call_command("invite", "Ben", "--project", "elsewhere")


@pytest.fixture
def founder(client: Client, owner: User) -> Client:
    User.objects.filter(pk=owner.pk).update(is_staff=True)
    return client


def policy_file(body: Any) -> SimpleUploadedFile:
    return SimpleUploadedFile("mine.json", json.dumps(body).encode(), "application/json")


CATEGORY = {"key": "fraud", "name": "Fraud", "definition": "Deceiving people for money."}


def test_a_policy_comes_as_a_file_and_once_more_as_its_next_version(founder: Client) -> None:
    body = {"name": "Ours", "categories": [CATEGORY]}
    founder.post(reverse("project-make"), {"name": "One", "policy": "file", "file": policy_file(body)})
    founder.post(reverse("project-make"), {"name": "Two", "policy": "file", "file": policy_file(body)})
    body["categories"].append(CATEGORY | {"key": "theft", "name": "Theft"})  # type: ignore[attr-defined]
    founder.post(reverse("project-make"), {"name": "Three", "policy": "shipped", "file": policy_file(body)})

    found = dict(Project.objects.values_list("slug", "policy_version__number"))
    assert (found["one"], found["two"], found["three"]) == (1, 1, 2)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ([], "should be an object with name and categories"),
        ({"name": "Ours", "categories": []}, "1 to 200 categories"),
        ({"name": "Ours", "categories": ["fraud"]}, "should be an object, found str"),
        ({"name": "Ours", "categories": [CATEGORY | {"key": "Not A Key"}]}, "lower-case words"),
        ({"name": "Ours", "categories": [CATEGORY | {"includes": "lies"}]}, "includes should be a list"),
        ({"name": "Ours", "categories": [CATEGORY | {"colour": "red"}]}, "colour"),
        ({"name": "Ours", "categories": [CATEGORY, CATEGORY]}, "Category 2"),
    ],
)
def test_a_file_that_is_no_policy_says_what_is_wrong_and_leaves_nothing(founder: Client, body: Any, words: str) -> None:
    before = PolicyVersion.objects.count()

    answer = founder.post(reverse("project-make"), {"name": "One", "policy": "file", "file": policy_file(body)})

    assert answer.status_code == 422
    assert words in " ".join(answer.context["form"].errors["file"])
    assert PolicyVersion.objects.count() == before
    assert not Project.objects.filter(name="One").exists()


def test_a_project_needs_a_name_of_its_own(founder: Client, project: Project) -> None:
    version = project.policy_version.pk
    for name in (project.name, project.name.upper(), "!!!"):
        answer = founder.post(reverse("project-make"), {"name": name, "policy": version})
        assert answer.status_code == 422, name
        assert answer.context["form"].errors["name"]


def test_the_policy_that_comes_with_us_can_be_taken() -> None:
    assert policies.load(policies.SHIPPED) == policies.load(policies.SHIPPED)


# Members


def act(client: Client, project: Project, user: User, verb: str, **values: str) -> str:
    answer = client.post(reverse(f"member-{verb}", args=[project.slug, user.pk]), values, follow=True)
    return " ".join(str(message) for message in answer.context["messages"])


def test_a_role_is_changed_and_noted(client: Client, project: Project) -> None:
    ana = make_member(project, "annotator", "ana")

    assert act(client, project, ana, "role", role="adjudicator") == "ana is adjudicator now."

    assert project.role_of(ana) == Role.ADJUDICATOR
    entry = AuditEntry.objects.get(action="member-role-changed")
    assert entry.detail == {"name": "ana", "before": "annotator", "after": "adjudicator"}


def test_who_only_reads_from_now_on_gives_back_what_they_hold(client: Client, project: Project) -> None:
    ana = make_member(project, "annotator", "ana")
    make_example(project)
    queue.claim(project, ana, 1)

    act(client, project, ana, "role", role="viewer")

    assert not Lease.objects.live().filter(reviewer=ana).exists()


def test_removing_asks_for_the_name_and_gives_back_what_was_held(client: Client, project: Project) -> None:
    ana = make_member(project, "annotator", "ana")
    make_example(project)
    queue.claim(project, ana, 1)

    assert "that was not the name" in act(client, project, ana, "remove", name="an")
    assert project.role_of(ana) == Role.ANNOTATOR
    act(client, project, ana, "remove", name="ana")

    assert project.role_of(ana) is None
    assert not Lease.objects.live().exists()


def test_the_last_owner_stays(client: Client, project: Project, owner: User) -> None:
    assert "is the last owner" in act(client, project, owner, "remove", name="ona")
    assert "is the last owner" in act(client, project, owner, "role", role="lead")
    make_member(project, "owner", "oto")
    act(client, project, owner, "role", role="lead")

    assert project.role_of(owner) == Role.LEAD


def test_a_lead_neither_makes_nor_removes_owners(project: Project, owner: User) -> None:
    lead, ana, browser = make_member(project, "lead", "lea"), make_member(project, "annotator", "ana"), Client()
    browser.force_login(lead)

    for user, name, values in (
        (ana, "role", {"role": "owner"}), (owner, "role", {"role": "viewer"}), (owner, "remove", {"name": "ona"}),
    ):  # fmt: skip
        assert "Only an owner" in act(browser, project, user, name, **values)
    answer = browser.post(reverse("member-invite", args=[project.slug]), {"name": "B", "role": "owner", "days": 1})
    assert answer.status_code == 422
    assert (project.role_of(owner), project.role_of(ana)) == (Role.OWNER, Role.ANNOTATOR)


def test_where_there_is_no_owner_the_last_lead_stays_and_may_name_one() -> None:
    project = make_project()
    lead = make_member(project, "lead")
    member = Membership.objects.get(user=lead)

    with pytest.raises(Refused, match="the last lead"):
        members.remove(member, lead)
    members.change_role(member, "owner", lead)

    assert project.role_of(lead) == Role.OWNER


def test_nobody_acts_on_a_member_of_another_project(client: Client, project: Project) -> None:
    stranger = make_member(make_project(policy_version=make_policy_version()), "viewer")

    for name in ("role", "remove"):
        assert client.post(reverse(f"member-{name}", args=[project.slug, stranger.pk])).status_code == 404


def test_a_viewer_sees_who_is_here_and_what_roles_mean_but_no_invitation(client: Client, project: Project) -> None:
    make_member(project, "viewer", "vic")
    client.post(reverse("member-invite", args=[project.slug]), {"name": "Zoe Secret", "role": "viewer", "days": 1})
    browser = Client()
    browser.force_login(User.objects.get(username="vic"))

    page = said(browser.get(reverse("members", args=[project.slug])))

    assert "ona" in page
    assert "What may each role do?" in page
    assert "Zoe Secret" not in page
    assert reverse("member-invite", args=[project.slug]) not in page


@pytest.mark.django_db(transaction=True)
def test_of_many_who_use_one_link_at_the_same_moment_one_gets_in() -> None:
    project = make_project()
    link, _ = invited(project, "viewer")
    start, seen = Barrier(4), []

    def use(number: int) -> None:
        start.wait()
        seen.append(Client().post(link, NEW | {"username": f"guest{number}"}).status_code)
        connection.close()

    threads = [Thread(target=use, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert seen.count(302) == 1
    assert User.objects.filter(username__startswith="guest").count() == project.memberships.count() == 1


@pytest.mark.django_db(transaction=True)
def test_two_owners_who_remove_one_another_at_the_same_moment_leave_one() -> None:
    project = make_project()
    owners = [make_member(project, "owner") for _ in range(2)]
    start, refused = Barrier(2), []

    def remove(who: User, by: User) -> None:
        start.wait()
        try:
            members.remove(Membership.objects.get(project=project, user=who), by)
        except Refused as no:
            refused.append(no)
        connection.close()

    threads = [Thread(target=remove, args=pair) for pair in (owners, owners[::-1])]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert project.memberships.filter(role="owner").count() == 1
