"""The run folder: how the site and a program talk to each other.

    request.json     what is wanted: program, settings, paths
    input.parquet    the rows to work on
    output.parquet   the rows that came of it            } written under another name,
    metrics.json     the figures that came of it         } then renamed: present means whole
    log.txt          what the libraries had to say; never a word of an example

Progress goes to standard output, a JSON object a line: `{"done", "total", "message", "metrics"}`; a program that
cannot go on prints `{"error", "remedy"}` and exits with 1. Lives in this lowest layer because both programs use it.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import redirect_stdout
from pathlib import Path
from typing import IO, Any, Protocol

PROGRESS_INTERVAL = 1.0  # seconds: a page polls once a second, more often is only noise


class ProgramError(Exception):
    """A failure that a person can act on: what was expected, what was found, and what to do."""

    def __init__(self, error: str, remedy: str = "") -> None:
        super().__init__(error)
        self.error = error
        self.remedy = remedy


class Report(Protocol):
    """Say how far the work is. Called as often as one likes: the receiver thins it out."""

    def __call__(
        self, done: int, total: int, message: str = "", metrics: Mapping[str, Any] | None = None, /
    ) -> None: ...


class RunFolder:
    """One folder of the protocol above."""

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)

    def __truediv__(self, name: str) -> Path:
        return self.path / name

    def request(self) -> dict[str, Any]:
        """Read what is wanted.

        Raises:
            ProgramError: the folder has no readable `request.json`.
        """
        file = self / "request.json"
        try:
            request = json.loads(file.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise ProgramError(
                f"{file} is missing.", "Give the folder that holds request.json and input.parquet."
            ) from None
        except ValueError as error:
            raise ProgramError(f"{file} is not JSON: {error}.", "Write the folder again.") from None
        if not isinstance(request, dict):
            raise ProgramError(f"{file} must hold a JSON object, found {type(request).__name__}.", "Write it again.")
        return request

    def rows(self, name: str = "input.parquet") -> list[dict[str, Any]]:
        """Read a Parquet file of the folder as a list of dictionaries."""
        import pyarrow.parquet as pq

        file = self / name
        if not file.exists():
            raise ProgramError(f"{file} is missing.", "Give the folder that holds request.json and input.parquet.")
        rows: list[dict[str, Any]] = pq.read_table(file).to_pylist()
        return rows

    def metrics(self) -> dict[str, Any]:
        """Read the figures that a program left."""
        metrics: dict[str, Any] = json.loads((self / "metrics.json").read_text(encoding="utf-8"))
        return metrics

    def write_request(self, request: Mapping[str, Any]) -> None:
        """Write `request.json`, making the folder where it is missing."""
        self.path.mkdir(parents=True, exist_ok=True)
        write_json(self / "request.json", request)

    def write_rows(self, rows: Sequence[Mapping[str, Any]], name: str = "output.parquet", schema: Any = None) -> None:
        """Write rows as Parquet under another name, fsync, then rename: a reader sees all or nothing."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        self.path.mkdir(parents=True, exist_ok=True)
        target = self / name
        target.parent.mkdir(parents=True, exist_ok=True)
        partial = target.with_name(target.name + ".part")
        pq.write_table(pa.Table.from_pylist(list(rows), schema=schema), partial)
        _settle(partial, target)


def write_json(file: Path, value: Any) -> None:
    """Write JSON under another name, fsync, then rename."""
    partial = file.with_name(file.name + ".part")
    partial.write_text(json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False), encoding="utf-8")
    _settle(partial, file)


def _settle(partial: Path, target: Path) -> None:
    with partial.open("rb") as handle:
        os.fsync(handle.fileno())
    partial.replace(target)
    sync_folder(target.parent)


def sync_folder(folder: Path) -> None:
    """Make a rename in this folder survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


class ProgressWriter:
    """Write progress lines, at most one a second, except a stage's first and last."""

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream
        self._last = 0.0
        self._message: str | None = None

    def __call__(self, done: int, total: int, message: str = "", metrics: Mapping[str, Any] | None = None, /) -> None:
        now = time.monotonic()
        news = message != self._message or done >= total
        if not news and now - self._last < PROGRESS_INTERVAL:
            return
        self._last, self._message = now, message
        self.line({"done": done, "total": total, "message": message, "metrics": dict(metrics or {})})

    def line(self, value: Mapping[str, Any]) -> None:
        """Write one JSON line at once."""
        print(json.dumps(value), file=self._stream, flush=True)


def run_program(work: Callable[[RunFolder, Report], None], folder: Path, *, watch_parent: bool = False) -> int:
    """Run `work` on a folder by the protocol and return the exit status: 0 done, 1 failed and said why."""
    progress = ProgressWriter(sys.stdout)
    if watch_parent:
        _end_with_parent()
    run = RunFolder(folder)
    try:
        # Libraries print; standard output belongs to the protocol.
        with redirect_stdout(sys.stderr):
            work(run, progress)
    except ProgramError as error:
        progress.line({"error": error.error, "remedy": error.remedy})
        return 1
    except MemoryError:
        progress.line({"error": "The program ran out of memory.", "remedy": "Lower the batch size and retry."})
        return 1
    except OSError as error:
        progress.line(
            {"error": f"{type(error).__name__}: {error}", "remedy": "Check disk space and paths, then retry."}
        )
        return 1
    except Exception as error:
        _log_traceback(run, error)
        progress.line({"error": f"{type(error).__name__} in the program.", "remedy": "See log.txt in the run folder."})
        return 1
    return 0


def _log_traceback(run: RunFolder, error: Exception) -> None:
    # Frames only: the message of an exception may quote the text it stumbled over.
    frames = "".join(traceback.format_tb(error.__traceback__))
    with (run / "log.txt").open("a", encoding="utf-8") as log:
        log.write(f"{frames}{type(error).__name__}\n")


def _end_with_parent() -> None:
    """Exit when standard input closes: the starter holds its other end, so its death, even by SIGKILL, ends us."""

    def wait() -> None:
        while os.read(0, 1024):
            pass
        os._exit(3)

    threading.Thread(target=wait, name="parent-watch", daemon=True).start()


def digest_rows(rows: Iterable[Mapping[str, Any]]) -> str:
    """Return the SHA-256 of rows in order, independent of how Parquet packs them."""
    import hashlib

    digest = hashlib.sha256()
    for row in rows:
        digest.update(json.dumps(row, sort_keys=True, ensure_ascii=False).encode())
        digest.update(b"\n")
    return digest.hexdigest()
