"""Dynamic batching: texts of many requests are scored together, and no request waits for the whole of another.

Each turn takes one text from every waiting request, again and again, until the turn is full; what is left waits for
the next. A request of a thousand texts so shares the guard with one of a single text, which is answered after one
turn. Within a turn the scorer sorts by length, so that a short text never pays for a long one's padding.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from classifier.moderation import TooBusy, Unavailable

TURN = 12_000  # characters, about 3,000 tokens: some 30 ms on a core, and enough to fill it
TEXT_COST = 40  # characters that a text costs beside its own: special tokens, and the call
LONGEST_WAIT = 5.0  # seconds that a request may have to wait for its turn; a caller in a hurry gave up before that
FIRST_RATE = 100_000.0  # characters a second, until the guard has shown its own

Score = Callable[[list[str]], list[dict[str, Any]]]


@dataclass(eq=False)
class Waiting:
    """A request in the queue."""

    texts: Sequence[str]
    future: Future[list[dict[str, Any]]] = field(default_factory=Future)
    results: list[dict[str, Any]] = field(default_factory=list)
    taken: int = 0
    since: float = field(default_factory=time.monotonic)

    def take(self, found: dict[str, Any] | Exception) -> None:
        """Note the answer for the next text; the last one, or the first failure, ends the waiting."""
        with suppress(InvalidStateError):  # the client has gone, or an earlier text failed
            if isinstance(found, Exception):
                # The message of an unknown exception may quote the text that it stumbled over: only its kind goes on.
                self.future.set_exception(Unavailable(f"The guard could not score this ({type(found).__name__})."))
            else:
                self.results.append(found)
                if len(self.results) == len(self.texts):
                    self.future.set_result(self.results)


def cost(text: str) -> int:
    """What a text weighs, in characters."""
    return len(text) + TEXT_COST


class Batcher:
    """A queue in front of one guard, and the thread that empties it."""

    def __init__(self, score: Score, *, longest_wait: float = LONGEST_WAIT) -> None:
        self._score, self._longest_wait = score, longest_wait
        self._queue: deque[Waiting] = deque()
        self._change = threading.Condition()
        self._stopping = False
        self._cost = 0  # of everything that waits or is being scored
        self._rate = FIRST_RATE
        self.turns = 0
        self._thread = threading.Thread(target=self._run, name="batcher", daemon=True)
        self._thread.start()

    @property
    def depth(self) -> int:
        """Texts that wait."""
        with self._change:
            return sum(len(waiting.texts) - waiting.taken for waiting in self._queue)

    def submit(self, texts: Sequence[str]) -> Future[list[dict[str, Any]]]:
        """Queue texts; the future holds an answer for each, in their order.

        Raises:
            TooBusy: what waits already would keep them waiting for too long.
            Unavailable: the guard is being stopped.
        """
        with self._change:
            if self._stopping:
                raise Unavailable("The guard is being stopped. Try again in a moment.")
            if (wait := self._cost / self._rate) > self._longest_wait:
                raise TooBusy(f"The guard is {wait:.0f} s behind. Try again after the time in Retry-After.", wait)
            waiting = Waiting(texts)
            self._queue.append(waiting)
            self._cost += sum(map(cost, texts))
            self._change.notify()
        return waiting.future

    def close(self) -> None:
        """Score what waits, then end the thread."""
        with self._change:
            self._stopping = True
            self._change.notify()
        self._thread.join()

    def _run(self) -> None:
        while True:
            with self._change:
                while not self._queue and not self._stopping:
                    self._change.wait()
                if not self._queue:
                    return
                turn = self._turn()
            self._serve(turn)

    def _turn(self) -> list[tuple[Waiting, str]]:
        """The next texts, one from each request in turn; called with the lock held."""
        turn: list[tuple[Waiting, str]] = []
        room = TURN
        while self._queue:
            waiting = self._queue.popleft()
            if waiting.future.done():  # the client has gone, or a text of it failed
                self._cost -= sum(map(cost, waiting.texts[waiting.taken :]))
                continue
            text = waiting.texts[waiting.taken]
            if turn and cost(text) > room:
                self._queue.appendleft(waiting)
                break
            room -= cost(text)
            waiting.taken += 1
            turn.append((waiting, text))
            if waiting.taken < len(waiting.texts):
                self._queue.append(waiting)
        return turn

    def _serve(self, turn: list[tuple[Waiting, str]]) -> None:
        start = time.monotonic()
        for (waiting, _), found in zip(turn, self._answers([text for _, text in turn]), strict=True):
            waiting.take(found)
        self._settle(sum(cost(text) for _, text in turn), time.monotonic() - start)

    def _answers(self, texts: list[str]) -> list[dict[str, Any] | Exception]:
        """An answer for each text; where the turn fails, each is tried alone, so that one cannot spoil the others."""
        try:
            return list(self._score(texts))
        except Exception as error:
            return [error] if len(texts) == 1 else [self._answers([text])[0] for text in texts]

    def _settle(self, done: int, seconds: float) -> None:
        with self._change:
            self._cost -= done
            self.turns += 1
            if done > TURN / 4:  # a turn that is nearly empty says little about how fast a full one is
                self._rate += 0.2 * (done / max(seconds, 1e-3) - self._rate)
