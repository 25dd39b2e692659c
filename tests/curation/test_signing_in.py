"""Signing in: whoever fails too often waits; where one is signed in, and ending it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from axes.models import AccessAttempt
from django.conf import settings
from django.contrib.auth.models import User
from django.db.models import F
from django.test import Client, RequestFactory
from django.urls import reverse

from curation.models import Session
from curation.people import address_of
from tests.factories import make_example, make_member, make_project, make_token, make_user

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("redis_is_empty")]
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"


@pytest.fixture
def ana() -> User:
    return make_user("ana")


def try_in(client: Client, password: str, name: str = "ana", **extra: Any) -> Any:
    return client.post(reverse("login"), {"username": name, "password": password}, **extra)


def lock(client: Client, **extra: Any) -> Any:
    for _ in range(settings.AXES_FAILURE_LIMIT - 1):
        assert try_in(client, "wrong", **extra).status_code == 200
    return try_in(client, "wrong", **extra)


def test_too_many_wrong_passwords_lock_a_name_from_one_address_and_time_unlocks_it(ana: User, client: Client) -> None:
    answer = lock(client)

    assert answer.status_code == 429
    assert "can be tried again in 15 minutes" in " ".join(answer.content.decode().split())
    assert 890 < int(answer["Retry-After"]) <= 900
    assert try_in(client, "a long enough password").status_code == 429
    AccessAttempt.objects.update(attempt_time=F("attempt_time") - timedelta(minutes=14, seconds=30))
    assert "in 1 minute." in try_in(client, "a long enough password").content.decode()
    AccessAttempt.objects.update(attempt_time=F("attempt_time") - timedelta(minutes=1))
    assert try_in(client, "a long enough password")["Location"] == reverse("home")


def test_another_address_and_another_name_are_not_locked_with_it(ana: User, client: Client) -> None:
    make_user("ben")
    lock(client)

    assert try_in(client, "a long enough password", "ben").status_code == 302
    assert try_in(Client(), "a long enough password", REMOTE_ADDR="10.0.0.7").status_code == 302


def test_a_right_password_forgets_the_wrong_ones(ana: User, client: Client) -> None:
    for _ in range(2):
        for _ in range(settings.AXES_FAILURE_LIMIT - 1):
            assert try_in(client, "wrong").status_code == 200
        assert try_in(client, "a long enough password").status_code == 302
        client.logout()


def test_a_changed_browser_name_does_not_help_a_guesser(ana: User, client: Client) -> None:
    answers = [
        try_in(client, "wrong", headers={"User-Agent": f"guess {n}"}).status_code
        for n in range(settings.AXES_FAILURE_LIMIT + 1)
    ]

    assert answers[-2:] == [429, 429]


def test_who_is_signed_in_and_programs_with_tokens_go_on_while_the_name_is_locked(client: Client) -> None:
    project = make_project()
    make_example(project)
    ana = make_member(project, "annotator", "ana")
    inside = Client()
    inside.force_login(ana)
    token = make_token(ana)
    assert lock(client).status_code == 429

    assert inside.get(reverse("settings")).status_code == 200
    answer = client.post(
        f"/api/v1/projects/{project.slug}/review/claim", {}, "application/json",
        headers={"Authorization": f"Bearer {token}"},
    )  # fmt: skip
    assert len(answer.json()["items"]) == 1


def test_behind_a_proxy_the_address_is_what_the_proxy_saw(settings: Any) -> None:
    request = RequestFactory().get("/", headers={"X-Forwarded-For": "1.1.1.1, 2.2.2.2"}, REMOTE_ADDR="127.0.0.1")
    odd = RequestFactory().get("/", headers={"X-Forwarded-For": "not an address"}, REMOTE_ADDR="")

    assert address_of(request) == "127.0.0.1"
    settings.BEHIND_TLS = True
    assert address_of(request) == "2.2.2.2"
    assert address_of(odd) is None


# Sessions


def signed_in(agent: str = FIREFOX) -> Client:
    client = Client(headers={"User-Agent": agent})
    assert try_in(client, "a long enough password").status_code == 302
    return client


def test_a_person_sees_where_they_are_signed_in_and_nobody_else(ana: User) -> None:
    make_user("ben")
    other = Client(headers={"User-Agent": "Bens browser"})
    try_in(other, "a long enough password", "ben")
    here = signed_in()
    signed_in("curl/8.0")

    page = here.get(reverse("sessions")).content.decode()

    assert "Firefox, Linux" in page
    assert page.count("this one") == 1
    assert "curl" in page
    assert "Bens browser" not in page
    assert not any(row.session_key in page for row in Session.objects.all())


def test_one_session_is_ended_and_this_one_stays(ana: User) -> None:
    here, there, elsewhere = signed_in(), signed_in("curl/8.0"), signed_in("Edg/1 Windows")
    sign = next(row.sign for row in Session.objects.of(ana) if row.agent == "curl/8.0")

    here.post(reverse("sessions-end"), {"session": sign})

    assert there.get(reverse("settings")).status_code == 302
    assert [client.get(reverse("settings")).status_code for client in (here, elsewhere)] == [200, 200]


def test_all_others_are_ended_at_once_and_nobody_elses(ana: User) -> None:
    make_user("ben")
    ben = Client()
    try_in(ben, "a long enough password", "ben")
    here, there, elsewhere = signed_in(), signed_in(), signed_in()

    here.post(reverse("sessions-end"))

    assert [client.get(reverse("settings")).status_code for client in (there, elsewhere)] == [302, 302]
    assert [client.get(reverse("settings")).status_code for client in (here, ben)] == [200, 200]


def test_nobody_ends_the_session_of_another(ana: User) -> None:
    make_user("ben")
    ben = Client()
    try_in(ben, "a long enough password", "ben")
    sign = Session.objects.get().sign

    signed_in().post(reverse("sessions-end"), {"session": sign})

    assert ben.get(reverse("settings")).status_code == 200


def test_when_a_session_was_last_used_is_written_every_ten_minutes_at_most(ana: User) -> None:
    here = signed_in()
    first = Session.objects.get().seen_at
    here.get(reverse("settings"))
    assert Session.objects.get().seen_at == first

    session = here.session
    assert first is not None
    session["seen"] = (first - timedelta(minutes=11)).isoformat()
    session.save()
    here.get(reverse("settings"))

    row = Session.objects.get()
    assert row.seen_at is not None
    assert row.seen_at > first
    assert row.began_at == first


def test_who_changes_the_password_is_signed_out_everywhere_else(ana: User) -> None:
    here, there = Client(), Client()
    for client in (here, there):
        try_in(client, "a long enough password")
    new = "a quite different sentence"
    wrong = here.post(reverse("password"), {"old_password": "no", "new_password1": new, "new_password2": new})
    assert "Your old password was entered incorrectly" in wrong.content.decode()
    weak = here.post(
        reverse("password"),
        {"old_password": "a long enough password", "new_password1": "password", "new_password2": "password"},
    )
    assert "too common" in weak.content.decode()

    changed = here.post(
        reverse("password"), {"old_password": "a long enough password", "new_password1": new, "new_password2": new}
    )

    assert changed["Location"] == reverse("settings")
    assert here.get(reverse("settings")).status_code == 200
    assert there.get(reverse("settings"))["Location"].startswith(reverse("login"))
    assert try_in(Client(), new)["Location"] == reverse("home")
