"""A real web server for the desk, on the run's database: it can be killed, also between commit and answer."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from django.db import connection

ROOT = Path(__file__).resolve().parent.parent.parent
PATIENCE = 30.0  # seconds
DIES = "WHETSTONE_TEST_DIES"  # path of a file; while it is there, a stored verdict is the server's last act


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def address_of_database() -> str:
    """The run's own database, as another process reaches it."""
    named = connection.settings_dict
    query = urlencode({"host": named["HOST"]})
    return f"postgresql://{named['USER']}@/{named['NAME']}?{query}"


class Server:
    """One gunicorn on a port that it keeps over restarts, so that a page finds it again."""

    def __init__(self, environment: dict[str, str], dies: Path | None = None) -> None:
        self.port = free_port()
        self.environment = os.environ | environment | ({DIES: str(dies)} if dies else {})
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        command = [
            sys.executable, "-m", "gunicorn", "tests.browser.server:application", "--bind", f"127.0.0.1:{self.port}",
            "--workers", "1", "--threads", "4", "--log-level", "critical",
        ]  # fmt: skip
        self.process = subprocess.Popen(command, cwd=ROOT, env=self.environment, start_new_session=True)
        until = time.monotonic() + PATIENCE
        while not self.answers():
            assert time.monotonic() < until, "the server did not come up"
            time.sleep(0.1)

    def answers(self) -> bool:
        try:
            urllib.request.urlopen(f"{self.url}/healthz", timeout=2).close()
        except (urllib.error.URLError, OSError):
            return False
        return True

    def kill(self) -> None:
        """End it as a power cut would, workers and all."""
        if self.process is not None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
            self.process = None

    @property
    def is_dead(self) -> bool:
        return self.process is None or self.process.poll() is not None


@contextmanager
def serving(environment: dict[str, str], dies: Path | None = None) -> Iterator[Server]:
    server = Server(environment, dies)
    server.start()
    try:
        yield server
    finally:
        server.kill()


def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """The site; where the test asks for it, the process group dies when a verdict is stored and not yet answered."""
    from curation.wsgi import application as site

    answer = site(environ, start_response)
    flag = Path(os.environ.get(DIES) or "/nonexistent")
    if environ["PATH_INFO"].endswith("/review/verdicts") and flag.exists():
        flag.unlink()
        os.killpg(os.getpgrp(), signal.SIGKILL)
    return answer
