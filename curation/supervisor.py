"""`make up`: the services, and what the Procfile names, kept alive until Ctrl-C.

Each process runs in its own process group and is started again, with a growing pause, when it dies; the embedded
services are looked after as well. honcho, the usual runner of Procfiles, ends everything when one process ends, and
supervisord wants a configuration of its own and cannot bring the services back, so this small one stands here.
"""

from __future__ import annotations

import fcntl
import os
import shlex
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

import psutil
from django.conf import settings

from classifier.runfolder import write_json
from curation import env, runner, services

LOOK = 0.5  # seconds between looks at the processes
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 20.0  # seconds before a process that died is started again
STEADY = 30.0  # seconds after which a process counts as well, and its next death is a first one again
HEALTH_LOOK = 2.0  # seconds between looks at the services


class Busy(Exception):
    """Another supervisor runs on this `var/`, or the port is taken; the message says what to do."""


@dataclass
class Child:
    """One line of the Procfile."""

    name: str
    command: list[str]
    process: subprocess.Popen[bytes] | None = None
    started: float = 0.0
    pause: float = FIRST_PAUSE
    due: float = field(default_factory=time.monotonic)


def procfile(text: str) -> dict[str, list[str]]:
    """Commands by name; `$PORT`, `$GUARDS` and `$GUARD_SOCKET` are filled in."""
    values = {
        "$PORT": str(env.integer("WHETSTONE_PORT", 8000, least=1)),
        "$GUARD_SOCKET": shlex.quote(str(settings.GUARD_SOCKET)), "$GUARDS": shlex.quote(str(settings.GUARDS_FILE)),
    }  # fmt: skip
    for name, value in values.items():
        text = text.replace(name, value)
    lines = (line.partition(":") for line in text.splitlines() if line.strip() and not line.startswith("#"))
    return {name.strip(): shlex.split(command) for name, _, command in lines}


class Supervisor:
    """Keeps children and services alive."""

    def __init__(self, commands: dict[str, list[str]], out: IO[str] = sys.stdout) -> None:
        self.children = [Child(name, command) for name, command in commands.items()]
        self._out = out
        self._stopping = threading.Event()
        self._looked = 0.0

    def run(self) -> None:
        """Keep everything alive until `stop`."""
        end_leftovers()
        try:
            while not self._stopping.wait(LOOK):
                self._look_at_services()
                for child in self.children:
                    self._look_at(child)
        finally:
            self._end_children()

    def stop(self, *_: object) -> None:
        """Let `run` end; also a signal handler."""
        self._stopping.set()

    @property
    def is_stopping(self) -> bool:
        return self._stopping.is_set()

    def _look_at(self, child: Child) -> None:
        if child.process is None:
            if time.monotonic() >= child.due:
                self._start(child)
        elif (status := child.process.poll()) is not None:
            runner.end_group(child.process.pid)  # its own children, where it left some
            self._put_off(child, f"{child.name} ended with status {status}")

    def _put_off(self, child: Child, why: str) -> None:
        """Start it again after a pause that grows while it keeps dying."""
        now = time.monotonic()
        child.pause = FIRST_PAUSE if now - child.started > STEADY else min(LONGEST_PAUSE, child.pause * 2)
        self.say("up", f"{why}; starting it again in {child.pause:.0f} s")
        child.process, child.due = None, now + child.pause

    def _start(self, child: Child) -> None:
        child.started = time.monotonic()
        try:
            child.process = subprocess.Popen(
                child.command, cwd=settings.BASE_DIR, env=_environment(), start_new_session=True,
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            )  # fmt: skip
        except OSError as error:
            self._put_off(child, f"{child.name} did not start: {error}")
            return
        threading.Thread(target=self._repeat, args=(child.name, child.process.stdout), daemon=True).start()
        self._record()

    def _repeat(self, name: str, stream: IO[bytes]) -> None:
        for line in stream:  # read to the end, so that nobody waits for room in a pipe
            if not self.is_stopping:  # a worker that loses the job in hand would tell of it in a traceback
                self.say(name, line.decode(errors="replace").rstrip())

    def say(self, name: str, text: str) -> None:
        """Print a line with its speaker's name."""
        with suppress(ValueError, OSError):  # the terminal may be gone while things end
            print(f"{name:>10} | {text}", file=self._out, flush=True)

    def _record(self) -> None:
        running = [child.process.pid for child in self.children if child.process and child.process.poll() is None]
        write_json(_record_file(), [{"pid": pid, "started": psutil.Process(pid).create_time()} for pid in running])

    def _look_at_services(self) -> None:
        if _named_services() or time.monotonic() - self._looked < HEALTH_LOOK:
            return
        self._looked = time.monotonic()
        if None in services.status(settings.VAR_DIR).values():
            self.say("up", "an embedded service is down; starting it again")
            try:
                services.ensure(settings.VAR_DIR)
            except services.ServiceError as error:
                self.say("up", str(error))

    def _end_children(self) -> None:
        self.say("up", "stopping; what is running goes on from its last checkpoint at the next start")
        running = [child.process for child in self.children if child.process and child.process.poll() is None]
        for process in running:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGTERM)
        for process in running:
            _end_tree(process.pid)
            process.wait()
        _record_file().unlink(missing_ok=True)


def _end_tree(leader: int) -> None:
    """End a process group, and the groups of its descendants: programs of a worker have groups of their own."""
    try:
        family = psutil.Process(leader).children(recursive=True)
    except psutil.NoSuchProcess:
        family = []
    runner.end_group(leader)
    _, stubborn = psutil.wait_procs(family, timeout=runner.GRACE)
    for process in stubborn:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(stubborn, timeout=runner.GRACE)


def _record_file() -> Path:
    file: Path = settings.VAR_DIR / "up.json"
    return file


def end_leftovers() -> None:
    """End what a supervisor that was killed left running, known by pid and start time."""
    import json

    with suppress(OSError, ValueError):
        for record in json.loads(_record_file().read_text()):
            with suppress(psutil.NoSuchProcess):
                if abs(psutil.Process(record["pid"]).create_time() - record["started"]) < 1:
                    _end_tree(record["pid"])


def _named_services() -> bool:
    return bool(env.secret("DATABASE_URL") and env.secret("REDIS_URL"))


def _environment() -> dict[str, str]:
    """Children are told the addresses, so that they do not hold the embedded services themselves."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    return {
        **os.environ, "PATH": path, "DATABASE_URL": settings.DATABASE_URL, "REDIS_URL": settings.REDIS_URL,
        "PYTHONUNBUFFERED": "1",
    }  # fmt: skip


@contextmanager
def _alone() -> Iterator[None]:
    """Be the only supervisor of this `var/`.

    Raises:
        Busy: another one runs.
    """
    with (settings.VAR_DIR / "up.lock").open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Busy(f"Whetstone is up already, at {address()}. Stop it there with Ctrl-C first.") from None
        yield


def address() -> str:
    """Where the site answers."""
    return f"http://127.0.0.1:{env.integer('WHETSTONE_PORT', 8000, least=1)}"


def _check_port() -> None:
    port = env.integer("WHETSTONE_PORT", 8000, least=1)
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            raise Busy(f"Port {port} is taken. Set WHETSTONE_PORT to a free one and start again.") from None


def run(on_ready: Callable[[Supervisor], None] | None = None) -> None:
    """Run what the Procfile names until Ctrl-C or SIGTERM; call `on_ready` in a thread once the site answers.

    Raises:
        Busy: another supervisor runs, or the port is taken.
    """
    with _alone():
        end_leftovers()
        _check_port()
        supervisor = Supervisor(procfile((settings.BASE_DIR / "Procfile").read_text()))
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, supervisor.stop)
        if on_ready:
            threading.Thread(target=_when_ready, args=(supervisor, on_ready), daemon=True).start()
        supervisor.run()


def _when_ready(supervisor: Supervisor, on_ready: Callable[[Supervisor], None]) -> None:
    while not supervisor.is_stopping:
        try:
            urllib.request.urlopen(f"{address()}/healthz", timeout=2)  # noqa: S310 - our own address
            break
        except (urllib.error.URLError, OSError):
            time.sleep(0.3)
    if not supervisor.is_stopping:
        on_ready(supervisor)
