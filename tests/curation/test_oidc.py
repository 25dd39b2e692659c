"""Signing in through a company's OpenID Connect, against a small provider that answers as real ones do."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import jwt
import pytest
from allauth.socialaccount.models import SocialAccount
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from curation.models import Invitation, Project
from curation.models.project import Role
from curation.operations import invitations
from tests.factories import make_member, make_project, make_user

pytestmark = pytest.mark.django_db
LOGIN = "/login/with/oidc"


class Provider(ThreadingHTTPServer):
    """Vouches for whoever `claims` says."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answer)
        self.claims: dict[str, Any] = {}
        self.asked: list[dict[str, list[str]]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Answer(BaseHTTPRequestHandler):
    server: Provider

    def do_GET(self) -> None:
        url = self.server.url
        if self.path.startswith("/.well-known/"):
            names = {"authorization": "authorize", "token": "token", "userinfo": "me"}
            self._say({"issuer": url, "jwks_uri": f"{url}/keys",
                       **{f"{name}_endpoint": f"{url}/{path}" for name, path in names.items()}})  # fmt: skip
        else:
            self._say(self.server.claims)

    def do_POST(self) -> None:
        self.server.asked.append(parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode()))
        now = int(time.time())
        claims = {"iss": self.server.url, "aud": "whetstone", "iat": now, "exp": now + 60, **self.server.claims}
        signed = jwt.encode(claims, "k" * 32, algorithm="HS256")
        self._say({"access_token": "a", "token_type": "Bearer", "expires_in": 60, "id_token": signed})

    def _say(self, body: Any) -> None:
        raw = json.dumps(body).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def provider(settings: Any) -> Iterator[Provider]:
    server = Provider()
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    app = {"provider_id": "oidc", "name": "Acme", "client_id": "whetstone", "secret": "s",
           "settings": {"server_url": server.url}}  # fmt: skip
    settings.SOCIALACCOUNT_PROVIDERS = {"openid_connect": {"OAUTH_PKCE_ENABLED": True, "APPS": [app]}}
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


def come(provider: Provider, client: Client, **claims: Any) -> Any:
    """Go to the provider and come back as who it says."""
    provider.claims = {"sub": "17", "preferred_username": "ana", **claims}
    there = client.get(LOGIN)
    query = parse_qs(urlsplit(there["Location"]).query)
    assert there["Location"].startswith(f"{provider.url}/authorize?")
    assert query["redirect_uri"] == [f"http://testserver{LOGIN}/back"]
    assert "code_challenge" in query
    return client.get(f"{LOGIN}/back", {"code": "c", "state": query["state"][0]}, follow=True)


def signed_in(client: Client) -> str:
    key = client.session.get("_auth_user_id")
    return User.objects.get(pk=key).username if key else ""


@pytest.fixture
def project() -> Project:
    return make_project(content_note="")


def test_where_no_provider_is_named_there_is_no_button_and_no_way(client: Client) -> None:
    assert "/login/with/" not in client.get(reverse("login")).content.decode()
    assert client.get(LOGIN).status_code == 404
    assert client.get(f"{LOGIN}/back").status_code == 404


def test_a_stranger_is_sent_back_with_a_sentence_and_no_account(provider: Provider, client: Client) -> None:
    assert "Sign in with Acme" in client.get(reverse("login")).content.decode()

    answer = come(provider, client, email="ana@acme.example", email_verified=True)

    assert "You are known to Acme, but not here." in answer.content.decode()
    assert not User.objects.exists()
    assert not SocialAccount.objects.exists()


def test_who_was_invited_comes_in_this_way_and_again_later(
    provider: Provider, client: Client, project: Project
) -> None:
    make_user("Ana")
    secret, _ = invitations.make("Ana", project=project, role=Role.ANNOTATOR)
    assert "Go in with Acme" in client.get(reverse("join", args=[secret])).content.decode()

    answer = come(provider, client, email="ana@acme.example", email_verified=True)

    assert answer.redirect_chain[-1][0] == reverse("overview", args=[project.slug])
    ana = User.objects.get(username="ana2")
    assert (project.role_of(ana), ana.email, ana.has_usable_password()) == (Role.ANNOTATOR, "ana@acme.example", False)
    assert not Invitation.objects.open().exists()
    again = Client()
    come(provider, again)
    assert signed_in(again) == "ana2"


def test_a_confirmed_address_finds_its_account_and_an_unconfirmed_one_does_not(
    provider: Provider, client: Client, project: Project
) -> None:
    ben = make_member(project, "viewer", "ben")
    User.objects.filter(pk=ben.pk).update(email="ben@acme.example")

    come(provider, client, email="Ben@acme.example", email_verified=False)
    assert signed_in(client) == ""
    come(provider, client, email="Ben@acme.example", email_verified=True)

    assert signed_in(client) == "ben"


def test_an_invitation_is_used_by_who_has_an_account_too(provider: Provider, client: Client, project: Project) -> None:
    User.objects.filter(pk=make_user("ben").pk).update(email="ben@acme.example")
    secret, _ = invitations.make("Ben", project=project, role=Role.VIEWER)
    client.get(reverse("join", args=[secret]))

    come(provider, client, email="ben@acme.example", email_verified=True)

    assert project.role_of(User.objects.get(username="ben")) == Role.VIEWER


def test_an_account_that_was_closed_stays_closed(provider: Provider, client: Client) -> None:
    User.objects.filter(pk=make_user("ben").pk).update(email="ben@acme.example", is_active=False)

    answer = come(provider, client, email="ben@acme.example", email_verified=True)

    assert "may not sign in any more" in answer.content.decode()
    assert signed_in(client) == ""


def test_an_expired_invitation_opens_nothing(provider: Provider, client: Client, project: Project) -> None:
    secret, invitation = invitations.make("Ana", project=project, role=Role.VIEWER)
    client.get(reverse("join", args=[secret]))
    invitations.revoke(invitation, make_user())

    come(provider, client, email="ana@acme.example", email_verified=True)

    assert signed_in(client) == ""


@pytest.mark.parametrize("query", [{"error": "access_denied"}, {"code": "c", "state": "forged"}])
def test_what_goes_wrong_on_the_way_ends_at_the_sign_in_page(
    provider: Provider, client: Client, query: dict[str, str]
) -> None:
    answer = client.get(f"{LOGIN}/back", query, follow=True)

    assert answer.redirect_chain[-1][0] == reverse("login")
    assert "Acme did not sign you in" in answer.content.decode()
    assert not provider.asked


def test_nobody_is_sent_to_another_site_afterwards(provider: Provider, client: Client) -> None:
    User.objects.filter(pk=make_user("ben").pk).update(email="ben@acme.example")
    provider.claims = {"sub": "18", "email": "ben@acme.example", "email_verified": True}
    there = client.get(f"{LOGIN}?next=https://elsewhere.example/")
    state = parse_qs(urlsplit(there["Location"]).query)["state"][0]

    assert client.get(f"{LOGIN}/back", {"code": "c", "state": state})["Location"] == "/"
