from __future__ import annotations

import re

import pytest
from django.test import Client
from django.urls import reverse

from curation.models import PersonalToken
from tests.factories import make_example, make_member, make_project, make_token, make_user

pytestmark = pytest.mark.django_db


@pytest.fixture
def client() -> Client:
    client = Client()
    client.force_login(make_user("ana"))
    return client


def test_a_token_is_shown_once_and_works(client: Client) -> None:
    project = make_project()
    make_example(project)
    owner = make_member(project, "annotator")
    client.force_login(owner)

    made = client.post(reverse("tokens"), {"name": "nightly script", "days": 30, "scopes": ["review"]})
    assert made.status_code == 302  # so that a reload makes no second one
    page = client.get(made["Location"]).content.decode()
    (secret,) = re.findall(r"wst_[\w-]{40,}", page)

    assert secret not in client.get(reverse("tokens")).content.decode()
    assert PersonalToken.objects.get().hash not in page
    answer = Client().post(
        f"/api/v1/projects/{project.slug}/review/claim", {}, "application/json",
        headers={"Authorization": f"Bearer {secret}"},
    )  # fmt: skip
    assert len(answer.json()["items"]) == 1


def test_a_revoked_token_is_gone_at_once(client: Client) -> None:
    client.post(reverse("tokens"), {"name": "old", "days": 1, "scopes": ["read"]})

    client.post(reverse("token-revoke", args=[PersonalToken.objects.get().pk]))

    assert not PersonalToken.objects.usable().exists()
    assert "old" not in client.get(reverse("tokens")).content.decode()


def test_nobody_revokes_or_sees_the_token_of_another(client: Client) -> None:
    make_token(make_user("ben"), name="of ben")

    client.post(reverse("token-revoke", args=[PersonalToken.objects.get().pk]))

    assert PersonalToken.objects.usable().exists()
    assert "of ben" not in client.get(reverse("tokens")).content.decode()


def test_a_token_without_a_name_is_refused_beside_the_field(client: Client) -> None:
    answer = client.post(reverse("tokens"), {"days": 400})

    assert answer.status_code == 422
    assert not PersonalToken.objects.exists()


def test_strangers_sign_in_first() -> None:
    assert Client().get(reverse("tokens")).status_code == 302
