from __future__ import annotations

import hashlib
import hmac
import json
import socket
import threading
from collections.abc import Iterator
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from ipaddress import ip_network
from typing import Any

import pytest
from django.db import transaction
from django.test import Client
from django.utils import timezone

from curation.models import AuditEntry, Delivery, Job, Project, Webhook
from curation.operations import Refused, jobs, recipes, rounds, stages, webhooks
from tests.factories import make_member, make_project, make_seeds

pytestmark = pytest.mark.django_db
ALL = list(Webhook.Family.values)


class Receiver(HTTPServer):
    """A program that is told; it answers what `answers` says, then 200."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Told)
        self.told: list[tuple[dict[str, str], bytes]] = []
        self.answers: list[int] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/hook"


class Told(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.told.append(({name.lower(): value for name, value in self.headers.items()}, body))
        self.send_response(self.server.answers.pop(0) if self.server.answers else 200)
        self.send_header("Location", "/elsewhere")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        """Nothing: the tests look at what was told."""


@pytest.fixture
def receiver(settings: Any) -> Iterator[Receiver]:
    settings.WEBHOOK_NETWORKS = [ip_network("127.0.0.1/32")]
    server = Receiver()
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def project() -> Project:
    return make_project()


@pytest.fixture
def hook(project: Project, receiver: Receiver) -> Webhook:
    return webhooks.make(project, make_member(project, "lead"), receiver.url, ALL)


def deliver(project: Project) -> Job:
    """Do the job that sends."""
    job = jobs.work(project.jobs.filter(kind=Job.Kind.DELIVER).live().get().pk)
    assert job is not None
    assert job.state == Job.State.DONE, job.error
    return job


def pass_time() -> None:
    """Let whatever waits be due."""
    Delivery.objects.filter(due_at__isnull=False).update(due_at=timezone.now() - timedelta(seconds=1))


# Telling


def test_what_happens_arrives_once_signed_and_named(project: Project, hook: Webhook, receiver: Receiver) -> None:
    webhooks.tell(project, "guard.live", guard=3, digest="abc")

    deliver(project)

    ((headers, body),) = receiver.told
    assert json.loads(body) == {
        "id": headers["whetstone-delivery"], "event": "guard.live", "project": project.slug, "guard": 3,
        "digest": "abc", "at": Delivery.objects.get().created_at.isoformat(),
    }  # fmt: skip
    signed = headers["whetstone-timestamp"].encode() + b"." + body
    digest = hmac.new(hook.secret.encode(), signed, hashlib.sha256).hexdigest()
    assert headers["whetstone-signature"] == f"v1={digest}"
    assert Delivery.objects.get().arrived_at is not None
    assert not Delivery.objects.due().exists()


def test_who_did_not_ask_is_not_told(project: Project, hook: Webhook) -> None:
    Webhook.objects.update(families=["release"])

    webhooks.tell(project, "guard.live", guard=3)
    webhooks.tell(make_project(), "release.made", release=1)

    assert not Delivery.objects.exists()
    assert not Job.objects.filter(kind=Job.Kind.DELIVER).exists()


@pytest.mark.django_db(transaction=True)
def test_what_did_not_happen_is_not_told(project: Project, hook: Webhook) -> None:
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        webhooks.tell(project, "guard.live", guard=3)
        raise ZeroDivisionError

    assert not Delivery.objects.exists()


def test_a_round_tells_each_step_and_what_failed(
    project: Project, hook: Webhook, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_seeds(project, 12)
    round = rounds.start(project, None, recipes.seeds_only())
    job = round.current_job
    assert job is not None

    def refuse(*_: Any) -> None:
        raise Refused("The disk is full.")

    monkeypatch.setitem(stages.WORK, Job.Kind(job.kind), refuse)
    jobs.work(job.pk)
    rounds.cancel(round, None)

    told = [(one.event, one.about["round"]) for one in Delivery.objects.order_by("pk")]
    assert told == [("round.training", round.number), ("round.failed", round.number), ("round.cancelled", round.number)]
    assert Delivery.objects.get(event="round.failed").about["step"] == job.kind


# Trying again


def test_what_is_not_taken_is_sent_again_under_the_same_key_and_later_each_time(
    project: Project, hook: Webhook, receiver: Receiver
) -> None:
    receiver.answers = [500, 503]
    webhooks.tell(project, "release.made", release=1)
    waits = []
    for _ in range(3):
        deliver(project)
        delivery = Delivery.objects.get()
        waits.append(delivery.due_at and (delivery.due_at - timezone.now()).total_seconds())
        pass_time()
        webhooks.ring_for_due()

    assert waits == [pytest.approx(30, abs=5), pytest.approx(120, abs=5), None]
    assert len({headers["whetstone-delivery"] for headers, _ in receiver.told}) == 1
    assert (delivery.tries, delivery.status, delivery.error) == (3, 200, "")


def test_it_is_given_up_after_the_last_pause_and_a_person_may_send_it_again(
    project: Project, hook: Webhook, receiver: Receiver
) -> None:
    receiver.answers = [500] * (len(Delivery.PAUSES) + 1)
    webhooks.tell(project, "release.made", release=1)
    while receiver.answers:
        deliver(project)
        pass_time()
        webhooks.ring_for_due()

    delivery = Delivery.objects.get()
    assert delivery.was_given_up
    assert delivery.error == "It answered 500."
    assert webhooks.ring_for_due() == 0

    webhooks.send_again(delivery)
    deliver(project)

    delivery.refresh_from_db()
    assert delivery.arrived_at is not None
    assert len({headers["whetstone-delivery"] for headers, _ in receiver.told}) == 1


def test_a_receiver_that_is_not_there_holds_up_nobody_else(project: Project, hook: Webhook, receiver: Receiver) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        gone = f"http://127.0.0.1:{free.getsockname()[1]}/"
    webhooks.make(project, make_member(project, "lead"), gone, ALL)
    webhooks.tell(project, "guard.live", guard=1)

    deliver(project)

    assert len(receiver.told) == 1
    assert Delivery.objects.get(webhook__url=gone).error == "It does not answer: ConnectError."


def test_an_address_that_is_switched_off_is_told_nothing_not_even_later(
    project: Project, hook: Webhook, receiver: Receiver
) -> None:
    lead = make_member(project, "lead")
    webhooks.tell(project, "guard.live", guard=1)
    webhooks.switch(hook, lead, on=False)
    webhooks.tell(project, "guard.live", guard=2)
    webhooks.switch(hook, lead, on=True)
    deliver(project)

    assert receiver.told == []
    assert [entry.action for entry in AuditEntry.objects.filter(subject=hook.subject).order_by("pk")] == [
        "webhook-made", "webhook-switched-off", "webhook-switched-on"
    ]  # fmt: skip


# Where it may go


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1/", "http://localhost:8000/", "http://10.0.0.7/", "http://192.168.1.1/", "http://0.0.0.0/",
        "http://169.254.169.254/latest/", "http://100.64.0.1/", "http://[::1]/", "http://[::ffff:10.0.0.1]/",
        "http://[fd00::1]/", "http://224.0.0.1/", "http://2130706433/",
    ],
)  # fmt: skip
def test_an_address_of_our_own_network_is_refused(url: str) -> None:
    with pytest.raises(Refused, match="inside the network"):
        webhooks.look_up(url)


@pytest.mark.parametrize(
    "url",
    ["", "ftp://example.org/", "https:///path", "https://a:b@example.org/", "http://[::1", "https://example.org:port/"],
)
def test_what_is_no_address_is_refused_with_what_is_expected(url: str) -> None:
    with pytest.raises(Refused, match="Expected an address such as"):
        webhooks.look_up(url)


def test_a_network_that_the_site_allows_may_be_told(settings: Any) -> None:
    settings.WEBHOOK_NETWORKS = [ip_network("10.1.0.0/16")]

    assert webhooks.look_up("http://10.1.2.3/") == "10.1.2.3"
    with pytest.raises(Refused):
        webhooks.look_up("http://10.2.2.3/")


def test_a_name_that_points_inside_later_is_not_followed(
    project: Project, hook: Webhook, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: [(0, 0, 0, "", ("10.0.0.1", 80))])
    webhooks.tell(project, "guard.live", guard=1)

    deliver(project)

    assert receiver.told == []
    assert Delivery.objects.get().error == webhooks.INSIDE


def test_the_connection_goes_to_the_address_that_was_looked_at(
    project: Project, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def answer(host: str, port: int, *_: Any, **__: Any) -> list[Any]:
        asked.append(host)
        # Only the first question about a name is answered with the receiver's own address.
        inside = host != "receiver.example" or asked.count(host) % 2 == 1
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1" if inside else "192.0.2.1", port))]

    monkeypatch.setattr(socket, "getaddrinfo", answer)
    hook = webhooks.make(project, make_member(project, "lead"), f"http://receiver.example:{receiver.server_port}/", ALL)
    asked.clear()

    status, error = webhooks.send(Delivery(webhook=hook, event="test", about={}, created_at=timezone.now()))

    assert (status, error) == (200, "")
    assert asked.count("receiver.example") == 1
    assert receiver.told[0][0]["host"] == f"receiver.example:{receiver.server_port}"


def test_a_redirect_is_not_followed(project: Project, hook: Webhook, receiver: Receiver) -> None:
    receiver.answers = [302]
    webhooks.tell(project, "guard.live", guard=1)

    deliver(project)

    assert len(receiver.told) == 1
    assert Delivery.objects.get().error == "It answered 302."


# The pages


def test_a_lead_adds_tries_and_deletes_an_address(client: Client, project: Project, receiver: Receiver) -> None:
    client.force_login(make_member(project, "lead"))
    place = f"/p/{project.slug}/webhooks/"

    refused = client.post(place, {"url": "http://10.0.0.1/", "families": ["guard"]})
    assert refused.status_code == 422
    assert "inside the network" in refused.content.decode()
    made = client.post(place, {"url": receiver.url, "families": ["guard"]})
    hook = Webhook.objects.get()
    assert made.headers["Location"] == f"{place}{hook.pk}/"
    client.post(f"{place}{hook.pk}/act", {"act": "try"})
    deliver(project)
    assert json.loads(receiver.told[0][1])["event"] == "test"
    page = client.get(f"{place}{hook.pk}/").content.decode()
    assert hook.secret in page
    assert "arrived" in page
    client.post(f"{place}{hook.pk}/act", {"act": "delete", "name": "something else"})
    assert Webhook.objects.exists()
    client.post(f"{place}{hook.pk}/act", {"act": "delete", "name": hook.url})
    assert not Webhook.objects.exists()


def test_another_projects_webhook_is_not_there(client: Client, project: Project, hook: Webhook) -> None:
    other = make_project()
    client.force_login(make_member(other, "owner"))
    webhooks.try_out(hook)
    delivery = Delivery.objects.get()

    for path in ("", "act", f"{delivery.pk}/again"):
        address = f"/p/{other.slug}/webhooks/{hook.pk}/{path}"
        assert (client.post(address) if path else client.get(address)).status_code == 404
