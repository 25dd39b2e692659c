"""The desk as a test uses it: open it, press what a person presses, read what stands there."""

from __future__ import annotations

import re
from typing import Any

from playwright.sync_api import Locator, Page, expect

from curation import keymap
from curation.models import Example, Project, Verdict
from tests.factories import make_example


def examples(project: Project, count: int, **fields: Any) -> list[Example]:
    """Waiting examples, the first of them first."""
    return [
        make_example(project, **{"text": f"message number {n} of many", "priority": count - n} | fields)
        for n in range(count)
    ]


class Desk:
    def __init__(self, page: Page, project: Project, mode: str = "letters") -> None:
        self.page, self.project, self.mode = page, project, mode
        self.keys = keymap.keys({})

    def open(self, place: str = "") -> Desk:
        self.page.goto(f"/p/{self.project.slug}/review/{place}")
        self.wait_until_ready()
        return self

    def wait_until_ready(self) -> None:
        self.page.wait_for_selector("html[data-desk=ready]", timeout=20_000)

    def at(self, selector: str) -> Locator:
        return self.page.locator(selector)

    @property
    def current(self) -> int:
        """The example on the desk."""
        return int(re.sub(r"\D", "", self.at("#heading").text_content() or ""))

    def press(self, act: str) -> None:
        """Press the key of an act, as the person's settings have it."""
        key = "?" if act == "help" else act[9:] if act.startswith("category-") else self.keys[act]
        self.page.keyboard.press(f"Alt+{key}" if self.mode == "alt" else key)

    def decide(self, act: str) -> int:
        """Press a key that decides, and wait until the next one stands there; return the example decided."""
        before = self.current
        self.press(act)
        self.left(before)
        return before

    def left(self, example: int) -> None:
        expect(self.at("#heading")).not_to_have_text(re.compile(rf"\D{example}$"))

    def stocked(self) -> int:
        """Wait until some are there beyond the current one; return how many can be judged without the server."""
        expect(self.at("#ahead li").nth(3)).to_be_attached(timeout=20_000)
        return self.at("#ahead li").count() - 1

    def saved(self) -> None:
        """Wait until nothing is under way."""
        expect(self.at("#saved")).to_have_attribute("data-state", "saved", timeout=30_000)

    def verdict(self, example: int) -> Verdict:
        """The verdict that stands for an example."""
        self.saved()
        return Verdict.objects.current().by_people().get(example=example)

    def pressed(self, selector: str) -> None:
        expect(self.at(selector)).to_have_attribute("aria-pressed", "true")
