"""Whether the site can work, and whether what it keeps would survive a crash."""

from __future__ import annotations

from pathlib import Path

import psutil
from django.conf import settings
from django.core.cache import cache
from django.db import connection
from django.db.migrations.executor import MigrationExecutor

FORGETFUL = ("tmpfs", "ramfs")  # file systems that a restart empties
LOOKED_EVERY = 60  # seconds
DURABLE = "SELECT current_setting('fsync'), current_setting('full_page_writes'), current_setting('synchronous_commit')"


def readiness() -> dict[str, str]:
    """What the site needs, by name: `ok`, or a word for what is wrong. Nothing of it tells addresses or secrets."""
    return {"database": _database(), "migrations": _migrations(), "redis": _redis()}


def _database() -> str:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except Exception:  # whatever it is, its message may hold the address
        return "does not answer"
    return "ok"


def _migrations() -> str:
    try:
        executor = MigrationExecutor(connection)
        missing = executor.migration_plan(executor.loader.graph.leaf_nodes())
    except Exception:
        return "unknown"
    return f"{len(missing)} to apply: run manage.py migrate" if missing else "ok"


def _redis() -> str:
    try:
        cache.get("readiness")
    except Exception:
        return "does not answer"
    return "ok"


def losses() -> list[str]:
    """What a crash of the machine would lose, a sentence each with what to do; looked at once a minute."""
    try:
        found: list[str] | None = cache.get("losses")
        if found is None:
            found = [*_of_database(), *_of_files()]
            cache.set("losses", found, LOOKED_EVERY)
    except Exception:  # Redis is away; other warnings say so
        found = []
    return found


def _of_database() -> list[str]:
    with connection.cursor() as cursor:
        cursor.execute(DURABLE)
        fsync, full_pages, commit = cursor.fetchone()
    wrong = [
        f"{name} = {value}" for name, value in (("fsync", fsync), ("full_page_writes", full_pages)) if value != "on"
    ]
    if commit == "off":
        wrong.append("synchronous_commit = off")
    if not wrong:
        return []
    return [f"PostgreSQL runs with {', '.join(wrong)}: a crash can lose what was saved. Switch it on."]


def _of_files() -> list[str]:
    folder = Path(settings.ARTIFACTS_DIR).resolve()
    kind = file_system(folder)
    if kind not in FORGETFUL:
        return []
    return [f"{folder} is on {kind}, in memory: guards and releases are gone after a restart. Move it to a disk."]


def file_system(folder: Path) -> str:
    """The kind of the file system that a folder is on, such as ext4."""
    mounts = [one for one in psutil.disk_partitions(all=True) if folder.is_relative_to(one.mountpoint)]
    return max(mounts, key=lambda one: len(one.mountpoint)).fstype if mounts else ""
