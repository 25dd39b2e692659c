"""Nothing of a page that was closed reaches the database while it is emptied for the next test."""

from __future__ import annotations

import threading
import time

import pytest
from django.core.signals import request_finished, request_started

from tests.browser.gate import Gate


def test_shutting_waits_for_who_is_inside_and_drops_who_comes_later(gate: Gate) -> None:
    entered, leaves = threading.Event(), threading.Event()

    def request() -> None:
        request_started.send(sender=Gate)
        entered.set()
        leaves.wait(10)
        request_finished.send(sender=Gate)

    slow, shutting = threading.Thread(target=request), threading.Thread(target=gate.shut)
    slow.start()
    assert entered.wait(10)
    shutting.start()
    while gate.is_open:
        time.sleep(0.01)
    with pytest.raises(ConnectionAbortedError):
        request_started.send(sender=Gate)
    assert shutting.is_alive()

    leaves.set()
    shutting.join(10)
    slow.join(10)

    assert not shutting.is_alive()
    assert gate.inside == 0
