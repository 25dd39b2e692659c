from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from classifier.runfolder import ProgramError
from pipeline.context import silent
from pipeline.generators import Prompt
from pipeline.generators.endpoint import LARGEST_ANSWER, Endpoint

Reply = tuple[int, bytes]
GOOD: Reply = (200, json.dumps({"choices": [{"message": {"content": "hello there"}}]}).encode())


class FakeEndpoint:
    """An endpoint that gives prepared replies, the last one again and again."""

    def __init__(self) -> None:
        self.replies: list[Reply] = []
        self.requests: list[dict[str, Any]] = []
        self.headers: list[str | None] = []
        fake = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                fake.requests.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
                fake.headers.append(self.headers.get("Authorization"))
                status, body = fake.replies.pop(0) if len(fake.replies) > 1 else fake.replies[0]
                self.send_response(status)
                self.send_header("Content-Length", str(len(body) + (50 if body.endswith(b"...") else 0)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_port}/v1"


@pytest.fixture
def fake() -> Iterator[FakeEndpoint]:
    fake = FakeEndpoint()
    yield fake
    fake.server.shutdown()
    fake.server.server_close()


@pytest.fixture
def ask(fake: FakeEndpoint) -> Callable[..., list[str | None]]:
    def ask(*replies: Reply, prompts: int = 1, **settings: Any) -> list[str | None]:
        fake.replies = list(replies)
        endpoint = Endpoint(url=fake.url, model="m", pause=0.01, concurrency=1, attempts=3, timeout=5, **settings)
        return endpoint.generate([Prompt("Message: hi\nAnswer:")] * prompts, 1, silent)

    return ask


def test_an_answer_is_the_message(ask: Callable[..., Any], fake: FakeEndpoint) -> None:
    assert ask(GOOD) == ["hello there"]
    assert fake.requests[0]["model"] == "m"
    assert fake.requests[0]["messages"][0]["content"].endswith("Answer:")


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_passing_failure_is_tried_again(ask: Callable[..., Any], fake: FakeEndpoint, status: int) -> None:
    assert ask((status, b""), GOOD) == ["hello there"]
    assert len(fake.requests) == 2


def test_a_lasting_refusal_is_not_tried_again(ask: Callable[..., Any], fake: FakeEndpoint) -> None:
    with pytest.raises(ProgramError, match="status 401"):
        ask((401, b""))
    assert len(fake.requests) == 1


@pytest.mark.parametrize("body", [b"not json", b"{}", b'{"choices": []}', b"[1]", b'{"choices": [{"message": 3}]}'])
def test_garbage_abstains_and_the_others_go_on(ask: Callable[..., Any], body: bytes) -> None:
    assert ask((200, body), (200, body), (200, body), GOOD, prompts=2) == [None, "hello there"]


def test_an_empty_answer_abstains(ask: Callable[..., Any]) -> None:
    empty = json.dumps({"choices": [{"message": {"content": "  "}}]}).encode()

    assert ask((200, empty)) == [None]


def test_half_an_answer_abstains(ask: Callable[..., Any]) -> None:
    half = (200, GOOD[1][:20] + b"...")

    assert ask(half, half, half, GOOD, prompts=2) == [None, "hello there"]


def test_an_endless_answer_is_cut_off(ask: Callable[..., Any]) -> None:
    long = (200, b" " * (LARGEST_ANSWER + 10))

    assert ask(long, long, long, GOOD, prompts=2) == [None, "hello there"]


def test_when_nothing_is_answered_it_says_what_to_check(ask: Callable[..., Any]) -> None:
    with pytest.raises(ProgramError, match="none of 2 prompts; the last one with: status 500") as raised:
        ask((500, b"secret body"), prompts=2)

    assert "OPENAI_API_KEY" in raised.value.remedy
    assert "secret" not in str(raised.value)


def test_nobody_at_the_address_is_a_sentence() -> None:
    endpoint = Endpoint(url="http://127.0.0.1:9/v1", model="m", attempts=1)

    with pytest.raises(ProgramError, match="ConnectError"):
        endpoint.generate([Prompt("x")], 1, silent)


@pytest.mark.parametrize("given", [{}, {"url": "http://localhost/v1"}, {"model": "m"}])
def test_a_missing_address_or_model_is_a_sentence(given: dict[str, str]) -> None:
    with pytest.raises(ProgramError, match="needs a url and a model"):
        Endpoint(**given).generate([Prompt("x")], 1, silent)


def test_the_key_comes_from_the_environment_and_stays_out_of_lineage(
    ask: Callable[..., Any], fake: FakeEndpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MY_KEY", "sk-1")

    ask(GOOD, key_variable="MY_KEY")

    assert fake.headers == ["Bearer sk-1"]
    assert "sk-1" not in repr(Endpoint(key_variable="MY_KEY")) + Endpoint(model="m").digest()
