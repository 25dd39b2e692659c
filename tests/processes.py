"""Real processes for tests: start them on a `var/` of their own, find all of them, leave none."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import psutil

from curation import services

ROOT = Path(__file__).resolve().parent.parent
# Without a GPU `--multi_gpu` still means several processes.
IN_TWO_PROCESSES = [
    *("accelerate.commands.launch", "--multi_gpu", "--num_processes", "2", "--num_machines", "1"),
    *("--mixed_precision", "no", "--dynamo_backend", "no", "-m"),
]
PATIENCE = 60.0  # seconds; a busy machine is slow, and a test that waits in vain fails anyway


def processes_of(var: Path) -> list[psutil.Process]:
    """Everything alive that was started for this `var/`: its command line or its environment names the folder."""
    return [process for process in psutil.process_iter() if _mentions(process, str(var))]


def _mentions(process: psutil.Process, var: str) -> bool:
    try:
        alive = process.pid != os.getpid() and process.status() != psutil.STATUS_ZOMBIE
        return alive and (
            var in " ".join(process.cmdline()) or process.environ().get("WHETSTONE_VAR", "").startswith(var)
        )
    except psutil.Error:
        return False


def wipe(var: Path) -> None:
    """End whatever still runs there, however the test ended, and forget the folder."""
    for process in processes_of(var):
        process.kill()
    shutil.rmtree(services.socket_folder(var), ignore_errors=True)
    shutil.rmtree(var, ignore_errors=True)


def new_var() -> Path:
    var = Path(tempfile.mkdtemp(prefix="whetstone-services-")).resolve()
    var.chmod(0o755)
    return var


def python(*arguments: str, var: Path | None = None, **variables: str) -> subprocess.Popen[str]:
    """Start Python in the repository, with the embedded services of `var` and no others in its environment."""
    named = {"DATABASE_URL", "REDIS_URL", "DATABASE_URL_FILE", "REDIS_URL_FILE", "WHETSTONE_VAR"}
    kept = {name: value for name, value in os.environ.items() if name not in named}
    return subprocess.Popen(
        [sys.executable, *arguments], cwd=ROOT, env=kept | variables | ({"WHETSTONE_VAR": str(var)} if var else {}),
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip


def said_line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().rstrip()


def wait_until(true: Callable[[], object], what: str) -> None:
    until = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < until, f"waited {PATIENCE:.0f} s in vain until {what}"
        time.sleep(0.05)
