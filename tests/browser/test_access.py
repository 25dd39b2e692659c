"""Everyone: axe-core finds nothing serious on any page of the desk, in light, dark and high contrast."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.contrib.auth.models import User
from django.urls import reverse
from playwright.sync_api import Page, expect

from curation.models import Project
from tests.browser.conftest import Opened
from tests.browser.desk import Desk
from tests.browser.scene import make_scene

SERIOUS = ("serious", "critical")
RULES = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}
LOOKS = ("light", "dark", "contrast")


def serious(page: Page) -> list[dict[str, Any]]:
    """What axe finds, in few words: rule, and where."""
    found = Axe().run(page, options=RULES).response["violations"]
    return [_brief(one) for one in found if one["impact"] in SERIOUS]


def _brief(one: dict[str, Any]) -> dict[str, Any]:
    nodes = one["nodes"]
    return {"rule": one["id"], "at": [node["target"] for node in nodes][:3], "why": nodes[0].get("failureSummary")}


@pytest.fixture
def scene() -> Project:
    return make_scene()


def on_the_desk(act: Callable[[Desk], None]) -> Callable[[Page, Project], None]:
    def show(page: Page, project: Project) -> None:
        begin(page, project)
        desk = Desk(page, project)
        desk.wait_until_ready()
        act(desk)

    return show


def every_panel(desk: Desk) -> None:
    for act in ("diff", "policy", "similar"):
        desk.press(act)
    desk.press("comment")
    expect(desk.at("#comments .comment")).to_be_visible()


def edited(desk: Desk) -> None:
    desk.press("edit")
    desk.at("#edit-text").fill("something else")


def empty(desk: Desk) -> None:
    desk.page.route("**/review/claim", lambda route: route.fulfill(json={"items": [], "counts": {}, "pause": None}))
    desk.open()
    expect(desk.at("#void-title")).to_be_visible()


def begin(page: Page, project: Project) -> None:
    page.goto(f"/p/{project.slug}/review/?understood=1")


def note(page: Page, project: Project) -> None:
    page.goto(f"/p/{project.slug}/review/")
    expect(page.get_by_role("button", name="I understand, begin")).to_be_visible()


def settings(page: Page, project: Project) -> None:
    page.goto(reverse("settings"))


def bulk(page: Page, project: Project) -> None:
    Desk(page, project).open("bulk/")
    page.get_by_role("button", name="Choose all").click()


def phone(page: Page, project: Project) -> None:
    page.set_viewport_size({"width": 390, "height": 844})
    Desk(page, project).open()
    page.locator("#more").click()


PAGES: dict[str, Callable[[Page, Project], None]] = {
    "settings": settings,
    "content note": note,
    "desk with every panel": on_the_desk(every_panel),
    "help sheet": on_the_desk(lambda desk: desk.press("help")),
    "editing": on_the_desk(edited),
    "reasons": on_the_desk(lambda desk: desk.press("reject-because")),
    "several categories": on_the_desk(lambda desk: desk.press("relabel")),
    "veil": on_the_desk(lambda desk: desk.press("next")),
    "bulk": bulk,
    "phone": phone,
    "nothing left": on_the_desk(empty),
}


def test_axe_finds_nothing_serious_on_any_page_of_the_desk(opened: Opened, scene: Project) -> None:
    page = opened(User.objects.get(username="lea"))
    found: dict[str, Any] = {}
    for name, show in PAGES.items():
        show(page, scene)
        for look in LOOKS:
            wear(page, look)
            if bad := serious(page):
                found[f"{name}, {look}"] = bad

    assert found == {}


def wear(page: Page, look: str) -> None:
    """Put the theme on, as the server does for whoever chose it, and wait until nothing fades any more."""
    page.evaluate(
        "look => { const root = document.documentElement; root.dataset.theme = look;"
        " root.dataset.bsTheme = look === 'light' ? 'light' : 'dark'; }",
        look,
    )
    page.wait_for_timeout(250)


def test_the_desk_is_reached_and_left_by_tab_alone(page: Page, project: Project) -> None:
    from tests.browser.desk import examples

    examples(project, 2)
    desk = Desk(page, project).open()
    expect(desk.at("#heading")).to_be_focused()

    names = set()
    for _ in range(60):
        page.keyboard.press("Tab")
        names.add(page.evaluate("document.activeElement.dataset.act ?? document.activeElement.id"))

    assert {"approve", "reject", "skip", "exit", "undo", "category-1", "edit"} <= names


def test_what_happens_is_said_to_whoever_does_not_see_it(page: Page, project: Project) -> None:
    from tests.browser.desk import examples

    first, second = examples(project, 2)
    desk = Desk(page, project).open()

    desk.decide("approve")
    expect(desk.at("#heading")).to_be_focused()
    expect(desk.at("#heading")).to_have_text(f"Example {second.pk}")
    desk.saved()
    desk.press("undo")

    expect(desk.at("#said")).to_have_text("Taken back.")
    expect(desk.at("#heading")).to_have_text(f"Example {first.pk}")
