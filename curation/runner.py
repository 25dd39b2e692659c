"""Start a program of pipeline/ or classifier/ on a run folder and listen to it.

The program runs in its own process group, with its standard input held open by us: when this process dies, however
suddenly, the program reads end-of-file and exits, and the next attempt goes on from its newest verified checkpoint.
"""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, Any

import psutil
from django.conf import settings

from classifier.runfolder import RunFolder, write_json

GRACE = 10.0  # seconds between asking a program to end and ending it
POLL = 0.2  # seconds

# Threads that sleep while they wait leave the cores to the web and the database: on two busy cores training ran five
# times as fast as with threads that spin. Memory that is kept instead of given back saves a tenth of a step.
THRIFTY = {
    "OMP_WAIT_POLICY": "PASSIVE",
    "MALLOC_MMAP_THRESHOLD_": str(2**32),
    "MALLOC_TRIM_THRESHOLD_": str(2**32),
}

Listener = Callable[[Mapping[str, Any]], None]


class ProgramFailed(Exception):
    """The program said why it cannot go on; trying again without a change would end the same way."""

    def __init__(self, error: str, remedy: str) -> None:
        super().__init__(error)
        self.error = error
        self.remedy = remedy


class ProgramKilled(Exception):
    """The program was ended from outside; trying again may well succeed."""


class Interrupted(Exception):
    """`keep_going` said stop: the program's group was ended."""


def run(program: list[str], folder: Path, *, on_line: Listener, keep_going: Callable[[], bool]) -> None:
    """Run `python -m *program FOLDER` to its end.

    Raises:
        ProgramFailed: it exited with a reason.
        ProgramKilled: a signal ended it.
        Interrupted: `keep_going` returned False.
    """
    end_leftover(folder)
    with (folder / "log.txt").open("ab") as log:
        process = _start(program, folder, log)
    said = _listen(process, on_line=on_line, keep_going=keep_going)
    (folder / "program.json").unlink(missing_ok=True)
    status = process.wait()
    if status < 0:
        raise ProgramKilled(_obituary(program, -status))
    if status:
        raise ProgramFailed(
            said.get("error") or f"{' '.join(program)} ended with status {status} and no reason.",
            said.get("remedy") or "See log.txt in the run folder.",
        )


def _start(program: list[str], folder: Path, log: IO[bytes]) -> subprocess.Popen[bytes]:
    process = subprocess.Popen(
        _command(program, folder),
        cwd=settings.BASE_DIR,
        env={**THRIFTY, **os.environ, "WHETSTONE_CACHE": str(settings.CACHE_DIR)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=log,
        start_new_session=True,
    )
    started = psutil.Process(process.pid).create_time()
    write_json(folder / "program.json", {"pid": process.pid, "started": started})
    return process


def _command(program: list[str], folder: Path) -> list[str]:
    """How a program is started: by Python, or by `accelerate launch` where a training names several devices."""
    devices = _devices(program, folder)
    # Without the first flag, a machine that counts fewer GPUs gets one process and not a word about it.
    flags = ["--multi_gpu", "--num_processes", str(devices), "--num_machines", "1"]
    several = ["accelerate.commands.launch", *flags, "-m"]
    return [sys.executable, "-m", *(several if devices > 1 else []), *program, str(folder), "--watch-parent"]


def _devices(program: list[str], folder: Path) -> int:
    if program not in (["classifier", "train"], ["pipeline", "adversary"]):
        return 1
    settings = RunFolder(folder).request().get("settings", {})
    if program == ["pipeline", "adversary"]:
        settings = (settings.get("method") or {}).get("settings") or {}
    return int(settings.get("devices", 1))


def _listen(
    process: subprocess.Popen[bytes], *, on_line: Listener, keep_going: Callable[[], bool]
) -> Mapping[str, Any]:
    """Pass lines on until the program ends; return the last one."""
    lines: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
    threading.Thread(target=_read, args=(process.stdout, lines), daemon=True).start()
    said: Mapping[str, Any] = {}
    try:
        while True:
            if not keep_going():
                raise Interrupted
            try:
                line = lines.get(timeout=POLL)
            except queue.Empty:
                continue
            if line is None:
                return said
            if (parsed := _parse(line)) is not None:
                said = parsed
                on_line(said)
    except BaseException:
        end_group(process.pid)
        process.wait()
        raise


def _read(stream: IO[bytes] | None, lines: queue.SimpleQueue[bytes | None]) -> None:
    assert stream is not None
    with stream:
        for line in stream:
            lines.put(line)
    lines.put(None)


def _parse(line: bytes) -> Mapping[str, Any] | None:
    try:
        value = json.loads(line)
    except ValueError:
        return None  # not of the protocol; the program keeps its prints on standard error
    return value if isinstance(value, dict) else None


def _obituary(program: list[str], number: int) -> str:
    name = signal.Signals(number).name
    hint = ", probably because memory ran out" if number == signal.SIGKILL else ""
    return f"The program {' '.join(program)} was ended by {name}{hint}."


def end_leftover(folder: Path) -> None:
    """End the program that an earlier attempt left on this folder: known by its pid and the time it started."""
    try:
        record = json.loads((folder / "program.json").read_text())
        process = psutil.Process(record["pid"])
        if abs(process.create_time() - record["started"]) < 1:
            end_group(process.pid)
    except (OSError, ValueError, KeyError, psutil.Error):
        return


def end_group(leader: int) -> None:
    """Ask the process group to end, and after `GRACE` seconds make it."""
    for number, patience in ((signal.SIGTERM, GRACE), (signal.SIGKILL, GRACE)):
        try:
            os.killpg(leader, number)
        except (ProcessLookupError, PermissionError):
            return
        if _gone(leader, patience):
            return


def _gone(leader: int, patience: float) -> bool:
    """Whether the whole group is gone: a member may outlive its leader."""
    until = time.monotonic() + patience
    while any(_is_member(process, leader) for process in psutil.process_iter()):
        if time.monotonic() > until:
            return False
        time.sleep(0.05)
    return True


def _is_member(process: psutil.Process, leader: int) -> bool:
    try:
        return os.getpgid(process.pid) == leader and process.status() != psutil.STATUS_ZOMBIE
    except (psutil.Error, ProcessLookupError):
        return False


def prepare(folder: Path, request: Mapping[str, Any], files: Mapping[str, list[dict[str, Any]]]) -> None:
    """Write the run folder of a job once: `request.json` comes last, so its presence means that all is there."""
    run_folder = RunFolder(folder)
    if (run_folder / "request.json").exists():
        return
    for name, rows in files.items():
        run_folder.write_rows(rows, name)
    run_folder.write_request(request)
