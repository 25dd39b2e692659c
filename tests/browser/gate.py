"""A gate before the live server: what a page sends as it is left must not meet the database while it is emptied."""

from __future__ import annotations

import threading
from typing import Any

from django.core.signals import request_finished, request_started

PATIENCE = 20.0  # seconds


class Gate:
    """While it is shut, requests are dropped before they have touched anything; shutting it waits for those inside."""

    def __init__(self) -> None:
        self.changed = threading.Condition()
        self.inside = 0
        self.is_open = True
        request_started.connect(self.entered)
        request_finished.connect(self.left)

    def entered(self, **_: Any) -> None:
        with self.changed:
            if not self.is_open:
                raise ConnectionAbortedError("the page that asked is of a test that has ended")  # wsgiref says nothing
            self.inside += 1

    def left(self, **_: Any) -> None:
        with self.changed:
            self.inside -= 1
            self.changed.notify_all()

    def open(self) -> None:
        self.is_open = True

    def shut(self) -> None:
        with self.changed:
            self.is_open = False
            assert self.changed.wait_for(lambda: self.inside == 0, PATIENCE), (
                f"{self.inside} requests were still being answered {PATIENCE:.0f} seconds after the test had ended"
            )

    def remove(self) -> None:
        request_started.disconnect(self.entered)
        request_finished.disconnect(self.left)
