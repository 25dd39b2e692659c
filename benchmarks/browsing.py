"""The site as a benchmark meets it: the web server of the Procfile, and a browser that keeps its connection."""

from __future__ import annotations

import http.client
import os
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO
from urllib.parse import urlencode

import psutil

ROOT = Path(__file__).resolve().parent.parent
FORM = "application/x-www-form-urlencoded"


@contextmanager
def serving() -> Iterator[tuple[int, int]]:
    """Run the web server with the Procfile's own command line; yields its port and its process id."""
    from curation.supervisor import procfile

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    os.environ["WHETSTONE_PORT"] = str(port)
    command = procfile((ROOT / "Procfile").read_text())["web"]
    server = subprocess.Popen([sys.executable, "-m", *command], cwd=ROOT)
    try:
        _wait_for(port)
        yield port, server.pid
    finally:
        server.terminate()
        server.wait(30)


def _wait_for(port: int) -> None:
    for _ in range(300):
        try:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
            connection.request("GET", "/healthz")
            if connection.getresponse().status == 200:
                return
        except OSError:
            time.sleep(0.2)
    raise SystemExit("the web server does not answer")


def peak_mb(pid: int) -> int:
    """The most memory that any process of a family has had at once, in MB."""
    root = psutil.Process(pid)
    status = [Path(f"/proc/{process.pid}/status").read_text() for process in (root, *root.children(recursive=True))]
    return (
        max(int(line.split()[1]) for text in status for line in text.splitlines() if line.startswith("VmHWM")) // 1024
    )


class Browser:
    """One person's connection that is kept, and cookies."""

    def __init__(self, port: int) -> None:
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        self.cookies: dict[str, str] = {}
        self.reconnects = 0

    def ask(
        self, method: str, path: str, body: bytes | IO[bytes] = b"", into: IO[bytes] | None = None, **headers: str
    ) -> tuple[int, bytes]:
        """Send a request; a connection that the server closed meanwhile is opened again, as browsers do.

        Return the status and the content; `into` takes a content that is too large to hold.
        """
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        named["Cookie"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        for last in (False, True):
            try:
                self.connection.request(method, path, body or None, named)
                answer = self.connection.getresponse()
                content = b"" if into else answer.read()
                break
            except (http.client.HTTPException, OSError):
                self.connection.close()
                self.reconnects += 1
                if last:
                    raise
        for name, value in answer.getheaders():
            if name.lower() == "set-cookie":
                self.cookies.update([value.split(";", 1)[0].split("=", 1)])
        if into:
            shutil.copyfileobj(answer, into, 2**20)
        return answer.status, content

    def sign_in(self, name: str, password: str) -> None:
        _, page = self.ask("GET", "/login")
        found = re.search(rb'name="csrfmiddlewaretoken" value="([^"]+)"', page)
        assert found, "the sign-in page has no token"
        form = {"csrfmiddlewaretoken": found[1].decode(), "username": name, "password": password}
        status, _ = self.ask("POST", "/login", urlencode(form).encode(), Content_Type=FORM)
        assert status == 302, f"signing in was answered {status}"
