"""Real web servers and real sockets: what a killed server, a lost answer and a real network leave behind."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import uuid
from collections.abc import Iterator
from typing import Any

import psutil
import pytest
from django.conf import settings
from django.contrib.auth.models import User
from django.db import connection

from curation.models import Example, Lease, Project, Verdict
from tests.curation.test_review_machine import Review, run
from tests.factories import make_example, make_member, make_project, make_token
from tests.processes import ROOT, wait_until

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.processes]


class Server:
    """Gunicorn on the test's database, started again on the same port after a death."""

    def __init__(self) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.start()

    def start(self) -> None:
        host, name = connection.settings_dict["HOST"], connection.settings_dict["NAME"]
        url = f"postgresql://{connection.settings_dict['USER']}@/{name}?host={host}"
        self.process = subprocess.Popen(
            [sys.executable, "-m", "gunicorn", "curation.wsgi", "--bind", f"127.0.0.1:{self.port}", "--workers", "2",
             "--threads", "4", "--log-level", "critical"],
            cwd=ROOT, env=os.environ | {"DATABASE_URL": url, "REDIS_URL": settings.REDIS_URL}, start_new_session=True,
        )  # fmt: skip
        wait_until(self.answers, "the web server answers")

    def answers(self) -> bool:
        try:
            asked = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
            asked.request("GET", "/healthz")
            return asked.getresponse().status == 200
        except OSError:
            return False

    def kill(self) -> None:
        """As the kernel does it when memory runs out: no goodbye to anybody."""
        family = psutil.Process(self.process.pid).children(recursive=True)
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        psutil.wait_procs(family, timeout=30)


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    yield server
    server.kill()


@pytest.fixture
def project() -> Project:
    return make_project()


class Person:
    """Somebody with a personal token."""

    def __init__(self, server: Server, project: Project) -> None:
        self.server, self.base = server, f"/api/v1/projects/{project.slug}/review/"
        self.token = make_token(make_member(project, "annotator"))

    def send(self, path: str, body: Any, key: str = "") -> http.client.HTTPConnection:
        asked = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=60)
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"}
        asked.request("POST", self.base + path, json.dumps(body), headers | ({"Idempotency-Key": key} if key else {}))
        return asked

    def post(self, path: str, body: Any, key: str = "") -> tuple[int, Any]:
        answer = self.send(path, body, key).getresponse()
        return answer.status, json.loads(answer.read())


def verdict(item: dict[str, Any], decision: str = "accept") -> dict[str, Any]:
    return {"lease": item["lease"], "example": item["example"], "version": item["version"], "decision": decision}


def test_a_server_killed_between_commit_and_answer_loses_and_doubles_nothing(server: Server, project: Project) -> None:
    """The answer is held up after the commit: the server stands still at that moment, and is killed there."""
    example, person = make_example(project), Person(server, project)
    _, hand = person.post("claim", {"n": 1})
    body, key = verdict(hand["items"][0]), str(uuid.uuid4())

    waiting = held_up_after_commit(server, person, body, key)
    assert Verdict.objects.count() == 1, "it is committed"
    server.kill()
    with pytest.raises((OSError, http.client.HTTPException)):
        waiting.getresponse()
    server.start()
    first, again = person.post("verdicts", body, key), person.post("verdicts", body, key)

    assert first == again
    assert first[0] == 200
    assert first[1]["verdict"] == Verdict.objects.get().pk
    example.refresh_from_db()
    assert example.state == "accepted"
    assert Lease.objects.get().ended == "verdict"


def held_up_after_commit(server: Server, person: Person, body: Any, key: str) -> http.client.HTTPConnection:
    """Send a verdict, and stop the server's processes as soon as it is committed, before the answer is read.

    The answer of a stopped server never comes; where it was on its way already, it is thrown away with the connection.
    """
    family = psutil.Process(server.process.pid).children(recursive=True)
    waiting = person.send("verdicts", body, key)
    wait_until(lambda: Verdict.objects.exists(), "the verdict is committed")
    for process in family:
        process.suspend()
    assert waiting.sock is not None
    waiting.sock.close()  # whatever was sent is lost on the way
    return waiting


def test_verdicts_in_flight_when_the_server_dies_count_once_after_they_are_sent_again(
    server: Server, project: Project
) -> None:
    """Ten people send at once and the server dies in the middle; each sends again under the same key."""
    people = [Person(server, project) for _ in range(10)]
    for _ in people:
        make_example(project)
    acts = []
    for person in people:
        _, hand = person.post("claim", {"n": 1})
        acts.append((person, verdict(hand["items"][0]), str(uuid.uuid4())))
    acknowledged: dict[str, Any] = {}

    def send(person: Person, body: Any, key: str) -> None:
        try:
            status, answer = person.post("verdicts", body, key)
            if status == 200:
                acknowledged[key] = answer
        except (OSError, http.client.HTTPException):
            pass  # nobody knows what became of it: that is what the key is for

    threads = [threading.Thread(target=send, args=act) for act in acts]
    for thread in threads:
        thread.start()
    wait_until(lambda: Verdict.objects.exists() or not any(thread.is_alive() for thread in threads), "one arrives")
    server.kill()
    for thread in threads:
        thread.join()
    server.start()
    answers = {key: person.post("verdicts", body, key) for person, body, key in acts}

    assert {status for status, _ in answers.values()} == {200}
    assert all(answers[key][1] == answer for key, answer in acknowledged.items())
    assert Verdict.objects.count() == 10
    assert set(Example.objects.values_list("state", flat=True)) == {"accepted"}


def test_many_people_over_real_sockets_share_the_queue_without_overlap(server: Server, project: Project) -> None:
    for _ in range(40):
        make_example(project)
    judged: list[int] = []

    def work(person: Person) -> None:
        while items := person.post("claim", {"n": 2})[1]["items"]:
            for item in items:
                status, answer = person.post("verdicts", verdict(item), str(uuid.uuid4()))
                assert status == 200
                judged.append(answer["example"])

    threads = [threading.Thread(target=work, args=[Person(server, project)]) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(judged) == len(set(judged)) == 40 == Verdict.objects.count()


def test_the_state_machine_holds_over_real_sockets_too(server: Server) -> None:
    """Every run in a project of its own: a real server cannot roll anything back."""

    class Live(Review):
        def client(self, user: User) -> str:
            return make_token(user)

        def send(self, person: int, path: str, body: Any, method: str, headers: dict[str, str]) -> tuple[int, Any]:
            asked = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
            named = {name.replace("_", "-"): value for name, value in headers.items()}
            named |= {"Authorization": f"Bearer {self.clients[person]}", "Content-Type": "application/json"}
            address = f"/api/v1/projects/{self.project.slug}/review/{path}"
            asked.request(method.upper(), address, json.dumps(body or {}), named)
            answer = asked.getresponse()
            content = answer.read()
            asked.close()
            return answer.status, json.loads(content)

    run(Live, examples=15, steps=12)
