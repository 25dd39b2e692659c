"""Backup and restore: one file with the database's dump, the artifacts, and a list of what it should hold.

The dump comes first: everything that it names is among the artifacts by then. A restore changes nothing before the
whole file was verified, and puts the database back in one transaction.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from django.apps import apps
from django.conf import settings
from django.core.cache import cache
from django.db import connection, connections

from curation import services
from curation.models import AuditEntry
from curation.operations import Refused, audit, jobs

DUMP, LIST, ARTIFACTS = "database.dump", "backup.json", "artifacts"
BLOCK = 1 << 20
EMPTY = "DROP SCHEMA public CASCADE; CREATE SCHEMA public;"


def write(file: Path) -> dict[str, Any]:
    """Back everything up into one file and verify it; return its list.

    Raises:
        Refused: the database cannot be dumped.
    """
    AuditEntry.objects.create(action="backup-started")
    part = file.with_name(file.name + ".part")
    with tempfile.TemporaryDirectory(dir=file.parent) as scratch:
        dump = Path(scratch) / DUMP
        listed = {"counts": counts(), "audit": audit.verify().head, "migrations": _migrations()}
        _run("pg_dump", "--format=custom", "--no-owner", "--no-privileges", f"--file={dump}", *_named())
        with tarfile.open(part, "w") as archive:
            sums = dict(_add_all(archive, dump))
            _add_list(archive, Path(scratch) / LIST, listed | {"sums": sums})
    verify(part)
    part.replace(file)
    return listed | {"files": len(sums), "bytes": file.stat().st_size}


def _add_all(archive: tarfile.TarFile, dump: Path) -> Iterator[tuple[str, str]]:
    yield DUMP, _add(archive, dump, DUMP)
    home = settings.ARTIFACTS_DIR
    for file in sorted(home.rglob("*")) if home.is_dir() else ():
        if file.is_file() and not file.is_symlink():
            name = f"{ARTIFACTS}/{file.relative_to(home)}"
            try:
                yield name, _add(archive, file, name)
            except FileNotFoundError:
                continue  # of a run that tidied up meanwhile


class Copied:
    """A file as it was when it was opened: what grows stays out, what shrinks is filled up, and all of it is summed."""

    def __init__(self, file: IO[bytes], size: int) -> None:
        self._file, self._left = file, size
        self.sum = hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        wanted = min(self._left, size if size >= 0 else self._left)
        data = self._file.read(wanted).ljust(wanted, b"\0")
        self._left -= wanted
        self.sum.update(data)
        return data


def _add(archive: tarfile.TarFile, file: Path, name: str) -> str:
    with file.open("rb") as handle:
        entry = tarfile.TarInfo(name)
        entry.size, entry.mtime = os.fstat(handle.fileno()).st_size, int(file.stat().st_mtime)
        copied = Copied(handle, entry.size)
        archive.addfile(entry, copied)
    return copied.sum.hexdigest()


def _add_list(archive: tarfile.TarFile, file: Path, value: dict[str, Any]) -> None:
    file.write_text(json.dumps(value), encoding="utf-8")
    _add(archive, file, LIST)


def counts() -> dict[str, int]:
    """Rows of every table that a model has."""
    models = [model for model in apps.get_models() if model._meta.managed and not model._meta.proxy]
    return {model._meta.db_table: model._base_manager.count() for model in models}


def _migrations() -> list[str]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT app || '.' || name FROM django_migrations ORDER BY 1")
        return [name for (name,) in cursor.fetchall()]


def verify(file: Path) -> dict[str, Any]:
    """Read a backup to its end; return its list.

    Raises:
        Refused: it is no backup, it is cut off, or a file in it is not what was written.
    """
    found: dict[str, str] = {}
    listed: dict[str, Any] = {}
    try:
        with tarfile.open(file, "r:") as archive:
            for entry in archive:
                content = archive.extractfile(entry)
                if content is None or entry.name != os.path.normpath(entry.name) or entry.name.startswith(("/", "..")):
                    raise Refused(
                        f"The backup holds {entry.name!r}, which no backup of ours does.", "Use another file."
                    )
                if entry.name == LIST:
                    listed = json.loads(content.read())
                else:
                    found[entry.name] = hashlib.file_digest(content, "sha256").hexdigest()  # type: ignore[arg-type]
    except (OSError, tarfile.TarError, ValueError) as error:
        raise Refused(f"{file} cannot be read as a backup: {error}.", "Use another file.") from None
    if not listed or listed["sums"] != found:
        wrong = sorted(set(listed.get("sums", {}).items()) ^ set(found.items()))
        raise Refused(
            f"{file} is not whole: {wrong[0][0] if wrong else 'its list'} is missing or changed.", "Use another file."
        )
    return listed


def restore(file: Path, *, replace: bool = False) -> dict[str, Any]:
    """Put a backup in place of what is here; return its list.

    Raises:
        Refused: it is not whole, something is here already, somebody works, or the database takes it not.
    """
    listed = verify(file)
    _refuse_harm(replace)
    home = settings.ARTIFACTS_DIR
    home.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=home.parent) as scratch:
        with tarfile.open(file, "r:") as archive:
            archive.extractall(scratch, filter="data")
        (Path(scratch) / ARTIFACTS).mkdir(exist_ok=True)
        _restore_database(Path(scratch) / DUMP)
        if home.exists():
            home.rename(Path(scratch) / "before")
        (Path(scratch) / ARTIFACTS).rename(home)
        shutil.rmtree(Path(scratch) / "before", ignore_errors=True)
    cache.clear()
    _check(listed)
    AuditEntry.objects.create(action="backup-restored", detail={"head": listed["audit"]})
    return listed


def _refuse_harm(replace: bool) -> None:
    if jobs.workers_alive():
        raise Refused("A worker is alive.", "Stop everything (make up, and workers elsewhere) and try again.")
    if not replace and "curation_project" in connection.introspection.table_names() and counts()["curation_project"]:
        raise Refused(
            "There are projects here, and a restore replaces everything.", "Add --replace if that is what you want."
        )


def _restore_database(dump: Path) -> None:
    """Empty the database and fill it from the dump: both happen or neither does."""
    script = dump.with_suffix(".sql")
    _run("pg_restore", "--no-owner", "--no-privileges", f"--file={script}", str(dump))
    connections.close_all()
    _run(
        "psql", "--quiet", "--no-psqlrc", "--single-transaction", "--set=ON_ERROR_STOP=1", "--output=/dev/null",
        f"--command={EMPTY}", f"--file={script}", *_named(),
    )  # fmt: skip


def _check(listed: dict[str, Any]) -> None:
    found, chain = counts(), audit.verify(listed["audit"])
    wrong = [table for table, count in listed["counts"].items() if found.get(table, count) != count]
    if wrong or not chain.holds:
        raise Refused(
            f"The restored {wrong[0] if wrong else 'audit trail'} is not what was backed up.", "Restore another file."
        )


def _named() -> list[str]:
    return [f"--dbname={connection.settings_dict['NAME']}"]


@contextmanager
def _environment() -> Iterator[dict[str, str]]:
    """How the programs of PostgreSQL find the database: never a password on a command line."""
    told = connection.settings_dict
    names = {"PGHOST": "HOST", "PGPORT": "PORT", "PGUSER": "USER", "PGPASSWORD": "PASSWORD"}
    named = {name: str(told[key]) for name, key in names.items() if told.get(key)}
    options = {"PGSSLMODE": "sslmode", "PGSSLROOTCERT": "sslrootcert"}
    named |= {name: str(told["OPTIONS"][key]) for name, key in options.items() if told["OPTIONS"].get(key)}
    yield {**os.environ, **named}


def _run(program: str, *arguments: str) -> None:
    with _environment() as environment:
        done = subprocess.run(
            [str(services.binaries() / program), *arguments],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
    if done.returncode:
        # The last line says what went wrong; earlier ones may quote rows.
        said = done.stderr.strip().splitlines()[:1] or ["no word"]
        raise Refused(f"{program} ended with: {said[0][:200]}", "Nothing was changed. Put that right and try again.")
