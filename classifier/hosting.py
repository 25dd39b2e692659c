"""Guards by name, and how one takes another's place while requests come in.

A new guard is loaded and warmed beside the old one; then the name points to the new one. What was queued for the old
one is still answered by it. A guard that does not load changes nothing: the old one goes on, and `/healthz` says why.
"""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from classifier.answers import answers
from classifier.batcher import Batcher
from classifier.decide import Rules
from classifier.moderation import Unavailable, unknown_model
from classifier.runfolder import ProgramError

logger = logging.getLogger(__name__)

LOOK = 0.5  # seconds between looks at the file that names the guards
RETRY = 10.0  # seconds before a folder that did not load is tried again: checking digests is work
FILE = "the file that names the guards"
WARM = ["a short one", "a text of some length, so that every shape of work was done once " * 8]

Loader = Callable[[Path], Any]  # a folder -> a scorer


@dataclass
class Hosted:
    """A guard that answers under a name."""

    name: str
    folder: Path
    scorer: Any
    batcher: Batcher

    @property
    def about(self) -> dict[str, Any]:
        """What one may know of it."""
        card = self.scorer.card
        return {
            "model": self.name, "digest": card.get("digest", ""), "backend": card.get("backend", ""),
            "threshold": Rules.from_card(card).block,
        }  # fmt: skip


def host(name: str, folder: Path, load: Loader) -> Hosted:
    """Load a guard and let it score once, so that its first request is as fast as its second.

    Raises:
        ProgramError: the folder is not a whole guard.
    """
    scorer = load(folder)

    def score(texts: list[str]) -> list[dict[str, Any]]:
        return answers(scorer, texts)

    score(WARM)
    return Hosted(name, folder, scorer, Batcher(score))


class Shelf:
    """The guards that are served, by name."""

    def __init__(self, load: Loader) -> None:
        self._load = load
        self._hosted: dict[str, Hosted] = {}
        self._change = threading.Lock()
        self.failures: dict[str, str] = {}
        self.swaps = 0

    def __iter__(self) -> Any:
        return iter(list(self._hosted.values()))

    def get(self, name: str | None) -> Hosted:
        """The guard of a name; the only or first one where no name is given.

        Raises:
            BadRequest: there is none of that name.
            Unavailable: there is none at all.
        """
        if not self._hosted:
            raise Unavailable("No guard is loaded. Start the server with --model NAME=FOLDER, or promote a guard.")
        if name is None:
            return next(iter(self._hosted.values()))
        try:
            return self._hosted[name]
        except KeyError:
            raise unknown_model() from None

    def submit(self, name: str | None, texts: list[str]) -> tuple[Hosted, Any]:
        """Queue texts with the guard that has the name now; return it and the future of the answers.

        Raises:
            BadRequest: there is no such guard, or it is too far behind.
        """
        while True:
            hosted = self.get(name)
            try:
                return hosted, hosted.batcher.submit(texts)
            except Unavailable:
                if self._hosted.get(hosted.name, hosted) is hosted:
                    raise  # it was not replaced: the server stops
                # Between the look-up and the queue another guard took its place: ask that one.

    def show(self, wanted: Mapping[str, Path]) -> None:
        """Make the shelf hold exactly these guards; those that do not load leave what was there."""
        with self._change:
            for name, folder in wanted.items():
                hosted = self._hosted.get(name)
                if hosted is None or hosted.folder != folder:
                    self._replace(name, folder)
            for name in set(self._hosted) - set(wanted):
                self._hosted.pop(name).batcher.close()
            self.failures = {name: why for name, why in self.failures.items() if name in wanted}

    def _replace(self, name: str, folder: Path) -> None:
        old = self._hosted.get(name)
        try:
            self._hosted[name] = host(name, folder, self._load)
        except (ProgramError, OSError) as error:
            if self.failures.get(name) != str(error):
                logger.error("%s: %s %s", name, error, getattr(error, "remedy", ""))
            self.failures[name] = str(error)
            return
        self.failures.pop(name, None)
        if old is not None:
            self.swaps += 1
            old.batcher.close()  # after it has answered what it was asked

    def close(self) -> None:
        """Answer what waits, then let go of all."""
        with self._change:
            for hosted in list(self._hosted.values()):
                hosted.batcher.close()


def named_in(file: Path) -> dict[str, Path]:
    """The guards that a file names: `{"models": {NAME: FOLDER}}`; none where it is missing.

    Raises:
        ProgramError: it is there, but not of that shape.
    """
    try:
        models = json.loads(file.read_text(encoding="utf-8"))["models"]
        return {str(name): Path(folder) for name, folder in models.items()}
    except FileNotFoundError:
        return {}
    except (ValueError, KeyError, TypeError, AttributeError):
        raise ProgramError(
            f'{file} should hold {{"models": {{NAME: FOLDER}}}}.', "Write it again, by renaming."
        ) from None


class Follower:
    """A thread that keeps a shelf to what a file names."""

    def __init__(self, shelf: Shelf, file: Path) -> None:
        self._shelf, self._file = shelf, file
        self._asked, self._stopping = threading.Event(), False
        self._seen: dict[str, Path] | None = None
        self._again = 0.0  # when to try those that did not load once more
        self._thread = threading.Thread(target=self._run, name="follower", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def look_now(self) -> None:
        """Look at the file at once instead of at the next turn."""
        self._asked.set()

    def stop(self) -> None:
        self._stopping = True
        self._asked.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stopping:
            try:
                self._follow()
            except ProgramError as error:
                self._shelf.failures[FILE] = str(error)
            except Exception:
                logger.exception("following %s failed", self._file)
            self._asked.wait(LOOK)
            self._asked.clear()

    def _follow(self) -> None:
        wanted = named_in(self._file)
        if wanted != self._seen or (self._shelf.failures and time.monotonic() >= self._again):
            self._shelf.failures.pop(FILE, None)
            self._shelf.show(wanted)
            self._seen, self._again = wanted, time.monotonic() + RETRY


__all__ = ["Follower", "Hosted", "Shelf", "host", "named_in"]
