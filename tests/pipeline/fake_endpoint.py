"""A real HTTP server on this machine that answers as an OpenAI-compatible endpoint does, well or badly."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Reply = tuple[int, bytes] | tuple[int, bytes, dict[str, str]]


def says(content: str | None, *, used: tuple[int, int] | None = None, **message: Any) -> Reply:
    """A reply that says `content`, and how many tokens it read and wrote where `used` tells."""
    body: dict[str, Any] = {"choices": [{"message": {"content": content, **message}}]}
    if used:
        body["usage"] = {"prompt_tokens": used[0], "completion_tokens": used[1], "total_tokens": sum(used)}
    return 200, json.dumps(body).encode()


GOOD = says("hello there")


class FakeEndpoint:
    """Gives prepared replies, the last one again and again; or what `answer` makes of a prompt."""

    def __init__(self) -> None:
        self.replies: list[Reply] = []
        self.answer: Callable[[str], Reply] | None = None
        self.requests: list[dict[str, Any]] = []
        self.headers: list[str | None] = []
        fake = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                fake.requests.append(request)
                fake.headers.append(self.headers.get("Authorization"))
                status, body, *more = fake.reply(request["messages"][0]["content"])
                self.send_response(status)
                for name, value in more[0].items() if more else ():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(body) + (50 if body.endswith(b"...") else 0)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()

    def reply(self, prompt: str) -> Reply:
        if self.answer:
            return self.answer(prompt)
        return self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_port}/v1"


@contextmanager
def serving() -> Iterator[FakeEndpoint]:
    """An endpoint for the time of a test."""
    fake = FakeEndpoint()
    try:
        yield fake
    finally:
        fake.server.shutdown()
        fake.server.server_close()
