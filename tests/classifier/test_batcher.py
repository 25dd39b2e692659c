from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest

from classifier.batcher import TURN, Batcher
from classifier.moderation import TooBusy, Unavailable

PATIENCE = 30.0


class Gate:
    """A guard that scores only when it is let, and remembers its turns."""

    def __init__(self) -> None:
        self.turns: list[list[str]] = []
        self.entered, self.open = threading.Event(), threading.Event()

    def __call__(self, texts: list[str]) -> list[dict[str, Any]]:
        self.turns.append(texts)
        self.entered.set()
        assert self.open.wait(PATIENCE)
        if "spoilt" in texts:
            raise ValueError("spoilt: a text that must not reach anybody")
        return [{"text": text} for text in texts]


@pytest.fixture
def gate() -> Iterator[Gate]:
    gate = Gate()
    yield gate
    gate.open.set()


def held(gate: Gate, **options: Any) -> Batcher:
    """A batcher whose first turn is under way, so that what comes now waits."""
    batcher = Batcher(gate, **options)
    batcher.submit(["first"])
    assert gate.entered.wait(PATIENCE)
    return batcher


def test_what_waits_together_is_scored_together(gate: Gate) -> None:
    batcher = held(gate)

    futures = [batcher.submit([f"text {number}"]) for number in range(20)]
    gate.open.set()

    assert [future.result(PATIENCE) for future in futures] == [[{"text": f"text {n}"}] for n in range(20)]
    assert len(gate.turns) == 2


def test_a_long_request_does_not_hold_up_a_short_one(gate: Gate) -> None:
    batcher = held(gate, longest_wait=1e9)
    long = batcher.submit(["x" * 1000] * 100)

    short = batcher.submit(["short"])
    gate.open.set()

    assert short.result(PATIENCE) == [{"text": "short"}]
    assert "short" in gate.turns[1]
    assert len(long.result(PATIENCE)) == 100
    assert len(gate.turns) > 100_000 / TURN


def test_answers_keep_the_order_of_their_texts(gate: Gate) -> None:
    batcher = held(gate)
    texts = [f"{'long ' * (number % 7)}{number}" for number in range(50)]

    future = batcher.submit(texts)
    gate.open.set()

    assert [found["text"] for found in future.result(PATIENCE)] == texts


def test_a_text_that_breaks_the_guard_spoils_no_other(gate: Gate) -> None:
    batcher = held(gate)
    good, bad, other = batcher.submit(["good"]), batcher.submit(["fine", "spoilt"]), batcher.submit(["other"])
    gate.open.set()

    assert good.result(PATIENCE) == [{"text": "good"}]
    assert other.result(PATIENCE) == [{"text": "other"}]
    with pytest.raises(Unavailable) as no:
        bad.result(PATIENCE)
    assert "must not reach anybody" not in no.value.message


def test_more_than_can_be_answered_in_time_is_refused_with_the_time_to_wait(gate: Gate) -> None:
    batcher = held(gate, longest_wait=0.5)
    batcher.submit(["x" * 90_000])

    with pytest.raises(TooBusy) as no:
        batcher.submit(["one more"])

    assert int(no.value.headers["Retry-After"]) >= 1
    assert no.value.status == 429


def test_a_request_that_nobody_waits_for_is_not_scored(gate: Gate) -> None:
    batcher = held(gate)
    gone, kept = batcher.submit(["gone"]), batcher.submit(["kept"])

    gone.cancel()
    gate.open.set()

    assert kept.result(PATIENCE) == [{"text": "kept"}]
    assert all("gone" not in turn for turn in gate.turns)


def test_closing_answers_what_was_asked_and_takes_no_more(gate: Gate) -> None:
    batcher = held(gate)
    waiting = batcher.submit(["waiting"])
    closing = threading.Thread(target=batcher.close)
    closing.start()

    gate.open.set()
    closing.join(PATIENCE)

    assert waiting.result(0) == [{"text": "waiting"}]
    assert batcher.depth == 0
    with pytest.raises(Unavailable):
        batcher.submit(["too late"])
