"""`python -m classifier scan`: score the lines of files or of a pipe with a guard.

    python -m classifier scan --model FOLDER messages.jsonl chats.txt --out scores.jsonl --jobs 2
    tail -f log.txt | python -m classifier scan --model FOLDER --flagged

A line is a text, or JSON with a text under `--field`. Each gives one JSON line `{"file", "line", "flagged", "decision",
"unsafe", "categories", "category_scores"}`, in order, and never the text itself. With `--out`, a scan that was broken
off goes on after the last whole line that it wrote. Jobs are processes with a guard each.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import sys
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import IO, Any

from classifier.answers import answers
from classifier.runfolder import ProgramError

CHUNK = 256  # lines a job takes at a time; from a pipe, what there is
AHEAD = 4  # chunks a job may be ahead of the one that is written
STDIN = "-"


@dataclass(frozen=True)
class Line:
    """One line to score; `text` is None where it held none, and `problem` says why."""

    file: str
    number: int
    text: str | None
    problem: str = ""


def main(arguments: list[str]) -> int:
    """The command line."""
    command = argparse.ArgumentParser(prog="python -m classifier scan", description=(__doc__ or "").split("\n")[0])
    command.add_argument("files", nargs="*", default=[STDIN], help="text or JSON lines, gzipped or not; - is the pipe")
    command.add_argument("--model", type=Path, required=True, help="a guard's folder")
    command.add_argument("--field", help="lines are JSON, and the text is under this key; by ending without it")
    command.add_argument("--out", type=Path, help="a file to write to, and to go on with; standard output without it")
    command.add_argument("--jobs", type=int, default=1, help="processes")
    command.add_argument("--flagged", action="store_true", help="write only what is flagged")
    command.add_argument("--quiet", action="store_true", help="no progress")
    options = command.parse_args(arguments)
    if options.jobs < 1:
        command.error("--jobs should be at least 1")
    return scan(options)


def scan(options: argparse.Namespace) -> int:
    """Scan, and return 0, or 1 where some lines held no text.

    Raises:
        ProgramError: the guard does not load, a file is not there, or `--out` was written by another scan.
    """
    lines = _lines(options.files, options.field)
    with ExitStack() as stack:
        out: IO[str] = sys.stdout
        if options.out:
            skip = _written(options.out, options.flagged)
            out = stack.enter_context(options.out.open("a", encoding="utf-8"))
            lines = (line for at, line in enumerate(lines) if at >= skip)
        bar = stack.enter_context(_bar(options.quiet))
        bad = 0
        for line, found in _scored(options.model, lines, options.jobs, streamed=STDIN in options.files):
            bad += line.text is None
            if not options.flagged or found.get("flagged"):
                out.write(json.dumps({"file": line.file, "line": line.number, **found}) + "\n")
            bar.update()
            if STDIN in options.files:
                out.flush()
    if bad:
        sys.stderr.write(f"{bad:,} lines held no text; each is in the output with its reason.\n")
    return 1 if bad else 0


def _written(out: Path, flagged: bool) -> int:
    """How many lines an earlier scan finished; what it was writing when it broke off is cut away.

    Raises:
        ProgramError: only flagged lines were written, so how far it came is not known.
    """
    if not out.exists() or out.stat().st_size == 0:
        return 0
    if flagged:
        raise ProgramError(f"{out} is there already, and --flagged cannot go on.", "Give another --out.")
    with out.open("rb+") as file:
        whole, end = 0, 0
        for line in file:
            if not line.endswith(b"\n"):
                break
            whole, end = whole + 1, end + len(line)
        file.truncate(end)
    return whole


def _lines(files: Iterable[str], field: str | None) -> Iterator[Line]:
    for name in files:
        path = Path(name)
        if name != STDIN and not path.is_file():
            raise ProgramError(f"There is no file {name}.", "Check the path.")
        key = field or ("text" if path.name.removesuffix(".gz").endswith((".jsonl", ".ndjson")) else None)
        with _opened(name) as stream:
            for number, raw in enumerate(stream, start=1):
                yield _line(name, number, raw, key)


def _opened(name: str) -> Any:
    if name == STDIN:
        return os.fdopen(os.dup(0), "rb")
    return gzip.open(name, "rb") if name.endswith(".gz") else Path(name).open("rb")


def _line(name: str, number: int, raw: bytes, key: str | None) -> Line:
    text = raw.decode("utf-8", "replace").rstrip("\r\n")
    if key is not None:
        try:
            found = json.loads(text)[key]
        except (ValueError, KeyError, TypeError, RecursionError):
            return Line(name, number, None, f'expected a JSON object with "{key}"')
        if not isinstance(found, str):
            return Line(name, number, None, f'"{key}" should be a string')
        text = found
    return Line(name, number, text, "") if text.strip() else Line(name, number, None, "empty")


def _chunks(lines: Iterable[Line], streamed: bool) -> Iterator[list[Line]]:
    """Lines in chunks; from a pipe one at a time, so that each is answered when it comes."""
    chunk: list[Line] = []
    for line in lines:
        chunk.append(line)
        if streamed or len(chunk) == CHUNK:
            yield chunk
            chunk = []
    if chunk:
        yield chunk


def _scored(folder: Path, lines: Iterable[Line], jobs: int, streamed: bool) -> Iterator[tuple[Line, dict[str, Any]]]:
    """Each line with its answer, in order."""
    chunks = _chunks(lines, streamed)
    if jobs == 1:
        _begin(str(folder), 0)
        for chunk in chunks:
            yield from zip(chunk, _answers(chunk), strict=True)
        return
    _begin(str(folder), 1)  # here too, so that a guard that does not load is a sentence and not a broken pool
    pool = ProcessPoolExecutor(jobs, get_context("spawn"), _begin, (str(folder), 1))
    with pool:
        waiting: list[tuple[list[Line], Future[list[dict[str, Any]]]]] = []
        for chunk in chunks:
            waiting.append((chunk, pool.submit(_answers, chunk)))
            if len(waiting) >= jobs * AHEAD:
                yield from _next(waiting)
        while waiting:
            yield from _next(waiting)


def _next(waiting: list[tuple[list[Line], Future[list[dict[str, Any]]]]]) -> Iterator[tuple[Line, dict[str, Any]]]:
    chunk, future = waiting.pop(0)
    yield from zip(chunk, future.result(), strict=True)


_scorer: Any = None  # a process's own guard


def _begin(folder: str, threads: int) -> None:
    global _scorer
    from classifier.score import load_scorer

    _scorer = load_scorer(folder, threads=threads)


def _answers(chunk: list[Line]) -> list[dict[str, Any]]:
    texts = [line.text for line in chunk if line.text is not None]
    found = iter(answers(_scorer, texts))
    return [{"error": line.problem} if line.text is None else next(found) for line in chunk]


def _bar(quiet: bool) -> Any:
    from tqdm import tqdm

    return tqdm(unit=" lines", disable=quiet, file=sys.stderr, mininterval=0.5)
