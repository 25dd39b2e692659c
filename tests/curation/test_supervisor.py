from __future__ import annotations

import io
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil
import pytest

from curation import runner, services, supervisor
from tests.processes import new_var, processes_of, python, wait_until, wipe

SLEEP = "import time; time.sleep(600)"
SIGNS = {
    "web": "gunicorn", "worker": "--queues default", "compute": "--queues compute", "reconciler": "reconcile",
    "guard": "classifier serve",
}  # fmt: skip
DEAF = f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); {SLEEP}"


@pytest.fixture(autouse=True)
def place(settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A `var/` of its own, services that are somebody else's business, and little patience with the deaf."""
    settings.VAR_DIR = tmp_path
    monkeypatch.setenv("DATABASE_URL", settings.DATABASE_URL)
    monkeypatch.setenv("REDIS_URL", settings.REDIS_URL)
    monkeypatch.setattr(runner, "GRACE", 1.0)
    monkeypatch.setattr(supervisor, "LOOK", 0.05)
    return tmp_path


@contextmanager
def supervised(**programs: str) -> Iterator[tuple[supervisor.Supervisor, io.StringIO]]:
    """Supervise Python programs, by name, while the block lasts."""
    out = io.StringIO()
    one = supervisor.Supervisor({name: [sys.executable, "-c", code] for name, code in programs.items()}, out)
    thread = threading.Thread(target=one.run)
    thread.start()
    try:
        yield one, out
    finally:
        one.stop()
        thread.join(60)
    assert not thread.is_alive()


def noting(file: Path, then: str) -> str:
    """Code that adds its process id to a file and goes on."""
    return f"import os\nwith open({str(file)!r}, 'a') as f: print(os.getpid(), file=f)\n{then}"


def noted(file: Path) -> list[int]:
    return [int(line) for line in file.read_text().splitlines()] if file.exists() else []


def lives(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


# Commands


def test_a_procfile_is_read_with_its_port_filled_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WHETSTONE_PORT", "9000")
    text = "# who runs\n\nweb: serve --bind 127.0.0.1:$PORT\nworker:  work 'two words'\n"

    assert supervisor.procfile(text) == {"web": ["serve", "--bind", "127.0.0.1:9000"], "worker": ["work", "two words"]}


def test_a_procfile_is_told_where_the_guards_are(settings: Any) -> None:
    settings.GUARDS_FILE, settings.GUARD_SOCKET = Path("/a place/guards.json"), Path("/run/guard.sock")

    found = supervisor.procfile("guard: serve --follow $GUARDS --socket $GUARD_SOCKET")

    assert found == {"guard": ["serve", "--follow", "/a place/guards.json", "--socket", "/run/guard.sock"]}


def test_each_line_is_printed_with_its_speakers_name() -> None:
    with supervised(ana=f"print('good day', flush=True); {SLEEP}") as (_, out):
        wait_until(lambda: "good day" in out.getvalue(), "ana speaks")

    assert "       ana | good day\n" in out.getvalue()


def test_children_are_told_the_addresses(settings: Any, place: Path) -> None:
    code = "import json, os; json.dump([os.environ['DATABASE_URL'], os.environ['REDIS_URL']], open('{}', 'w'))"
    file = place / "told"
    with supervised(ana=f"{code.format(file)}; {SLEEP}"):
        wait_until(lambda: file.exists() and file.read_text().endswith("]"), "ana has looked")

    assert json.loads(file.read_text()) == [settings.DATABASE_URL, settings.REDIS_URL]


# Keeping alive


def test_what_dies_is_started_again_and_the_rest_is_left_alone(place: Path) -> None:
    ana, ben = place / "ana", place / "ben"
    with supervised(ana=noting(ana, SLEEP), ben=noting(ben, SLEEP)) as (_, out):
        wait_until(lambda: noted(ana) and noted(ben), "both run")

        os.kill(noted(ana)[0], signal.SIGKILL)
        wait_until(lambda: len(noted(ana)) == 2, "ana runs again")

        assert lives(noted(ana)[1])
        assert lives(noted(ben)[0])
        assert "ana ended with status -9" in out.getvalue()

    assert len(noted(ben)) == 1
    assert not any(map(lives, noted(ana) + noted(ben)))


def test_what_keeps_dying_is_started_with_growing_pauses() -> None:
    with supervised(ana="raise SystemExit(3)") as (one, out):
        wait_until(lambda: out.getvalue().count("ana ended with status 3") == 2, "ana died twice")

        assert one.children[0].pause == 4 * supervisor.FIRST_PAUSE

    assert out.getvalue().index("again in 1 s") < out.getvalue().index("again in 2 s")


def test_a_program_that_is_missing_is_named_and_does_not_end_the_others(place: Path) -> None:
    file = place / "ben"
    with supervised(ben=noting(file, SLEEP)) as (one, out):
        one.children.append(supervisor.Child("ana", ["/no/such/program"]))
        wait_until(lambda: "ana did not start" in out.getvalue(), "ana is told of")

        assert "/no/such/program" in out.getvalue()
        wait_until(lambda: noted(file), "ben runs")
        assert lives(noted(file)[0])


def test_what_a_dead_leader_left_in_its_group_is_ended_before_it_is_started_again(place: Path) -> None:
    child, leader = place / "child", place / "leader"
    code = f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {noting(child, DEAF)!r}]); {SLEEP}"
    with supervised(ana=noting(leader, code)):
        wait_until(lambda: noted(child) and noted(leader), "both run")
        first = noted(child)[0]

        os.kill(noted(leader)[0], signal.SIGKILL)
        wait_until(lambda: len(noted(child)) == 2, "ana's next child runs")

        assert not lives(first)


# Stopping


def test_what_children_say_while_they_are_ended_is_not_printed() -> None:
    last_words = "import signal, sys; signal.signal(signal.SIGTERM, lambda *_: sys.exit('lost what was in hand'))"
    with supervised(ana=f"{last_words}; print('good day', flush=True); {SLEEP}") as (_, out):
        wait_until(lambda: "good day" in out.getvalue(), "ana speaks")

    assert "lost" not in out.getvalue()
    assert "stopping" in out.getvalue()


def test_stopping_ends_the_deaf_and_those_in_groups_of_their_own(place: Path) -> None:
    deaf, far = place / "deaf", place / "far"
    code = "import subprocess, sys; "
    code += f"subprocess.Popen([sys.executable, '-c', {noting(far, DEAF)!r}], start_new_session=True); {DEAF}"
    with supervised(ana=noting(deaf, code)):
        wait_until(lambda: noted(deaf) and noted(far), "both run")

    assert not any(map(lives, noted(deaf) + noted(far)))
    assert not (place / "up.json").exists()


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen([sys.executable, "-c", SLEEP], start_new_session=True)
    yield process
    process.kill()
    process.wait()


def record(place: Path, pid: int, started: float) -> None:
    (place / "up.json").write_text(json.dumps([{"pid": pid, "started": started}]))


def test_what_a_killed_supervisor_left_is_ended(place: Path, sleeper: subprocess.Popen[bytes]) -> None:
    record(place, sleeper.pid, psutil.Process(sleeper.pid).create_time())

    supervisor.end_leftovers()

    assert not lives(sleeper.pid)


def test_a_process_that_got_the_number_of_a_leftover_is_spared(place: Path, sleeper: subprocess.Popen[bytes]) -> None:
    record(place, sleeper.pid, psutil.Process(sleeper.pid).create_time() - 100)

    supervisor.end_leftovers()

    assert lives(sleeper.pid)


@pytest.mark.parametrize("text", ["", "[{"])
def test_a_record_of_leftovers_that_was_cut_off_is_passed_over(place: Path, text: str) -> None:
    (place / "up.json").write_text(text)

    supervisor.end_leftovers()


# Alone


def test_a_second_supervisor_is_told_where_the_first_is() -> None:
    with supervisor._alone(), pytest.raises(supervisor.Busy, match=r"up already, at http://127\.0\.0\.1:8000"):
        supervisor.run()


def test_a_taken_port_is_named_with_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        monkeypatch.setenv("WHETSTONE_PORT", str(port))

        with pytest.raises(supervisor.Busy, match=f"Port {port} is taken. Set WHETSTONE_PORT"):
            supervisor.run()


# The whole site, with real processes


@pytest.fixture(scope="module")
def var() -> Iterator[Path]:
    var = new_var()
    yield var
    wipe(var)


@pytest.fixture
def port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        number: int = free.getsockname()[1]
    return number


@contextmanager
def site(var: Path, port: int) -> Iterator[subprocess.Popen[str]]:
    """`manage.py up` while the block lasts, from its first good answer on."""
    process = python("manage.py", "up", var=var, WHETSTONE_PORT=str(port))
    threading.Thread(target=process.stdout.read, daemon=True).start()  # type: ignore[union-attr]
    try:
        wait_until(lambda: answers(port) or process.poll() is not None, "the site answers")
        assert process.poll() is None
        yield process
    finally:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(60)


def answers(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/login", timeout=5) as page:
            return bool(page.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def leaders(var: Path) -> dict[str, int]:
    """The Procfile's processes that run, by name."""
    found = {}
    for entry in json.loads((var / "up.json").read_text()):
        with suppress(psutil.Error):
            command = " ".join(psutil.Process(entry["pid"]).cmdline())
            found.update({name: entry["pid"] for name, sign in SIGNS.items() if sign in command})
    return found


@pytest.mark.processes
def test_whatever_is_killed_comes_back_and_ctrl_c_ends_it_all(var: Path, port: int) -> None:
    with site(var, port) as up:
        wait_until(lambda: len(leaders(var)) == 5, "all of the Procfile runs")
        killed = {**leaders(var), **services.status(var)}

        for pid in killed.values():
            assert pid is not None
            os.kill(pid, signal.SIGKILL)
        wait_until(lambda: len(leaders(var)) == 5 and all(services.status(var).values()), "all of it runs again")
        wait_until(lambda: answers(port), "the site answers again")
        back = {**leaders(var), **services.status(var)}
        up.send_signal(signal.SIGINT)

        assert up.wait(60) == 0
        assert killed.keys() == back.keys()
        assert not set(killed.values()) & set(back.values())
    assert processes_of(var) == []


@pytest.mark.processes
def test_a_second_up_says_who_is_up_and_the_first_is_not_disturbed(var: Path, port: int) -> None:
    with site(var, port):
        second = python("manage.py", "up", var=var, WHETSTONE_PORT=str(port))
        said, _ = second.communicate(timeout=60)

        assert second.returncode == 1
        assert f"up already, at http://127.0.0.1:{port}" in said
        assert "Traceback" not in said
        assert answers(port)
    assert processes_of(var) == []


@pytest.mark.processes
def test_what_a_killed_up_left_is_ended_by_the_next_which_then_leaves_nothing(var: Path, port: int) -> None:
    with site(var, port) as first:
        wait_until(lambda: len(leaders(var)) == 5, "all of the Procfile runs")
        orphans = set(leaders(var).values())
        first.kill()
        first.wait()

    with site(var, port):
        wait_until(lambda: not any(map(lives, orphans)), "the orphans are gone")
        wait_until(lambda: len(leaders(var)) == 5 and answers(port), "all of the Procfile runs again")
    assert processes_of(var) == []
