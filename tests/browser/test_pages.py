"""The pages in a real Chromium: keys, no script errors, nothing that the content policy had to block."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.auth.models import User
from playwright.sync_api import Browser, Page, expect, sync_playwright

from curation.models import Example, Project, Verdict
from curation.operations import rounds
from tests.factories import make_example, make_member, make_project, make_seeds

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip
pytestmark = [
    pytest.mark.browser,
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium on this machine"),
]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    # Playwright's loop runs in this thread, and Django would refuse its database from within one.
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()
    del os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"]


@pytest.fixture
def project() -> Project:
    return make_project(content_note="")


@pytest.fixture
def lead(project: Project) -> User:
    return make_member(project, "lead", "lea")


@pytest.fixture
def page(browser: Browser, live_server: Any, lead: User) -> Iterator[Page]:
    """A page of somebody who signed in; fails the test where the browser had to complain."""
    page = browser.new_page(base_url=live_server.url)
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto("/login")
    page.get_by_label("Name").fill("lea")
    page.get_by_label("Password").fill("a long enough password")
    page.get_by_role("button", name="Sign in").click()
    yield page
    page.close()
    assert not [text for text in complaints if "409" not in text]


def examples(project: Project, count: int) -> list[Example]:
    return [make_example(project, text=f"message number {n} of many", priority=count - n) for n in range(count)]


def test_twenty_examples_are_judged_by_keyboard_alone(page: Page, project: Project) -> None:
    examples(project, 20)
    page.goto(f"/p/{project.slug}/review/")

    for number in range(20):
        expect(page.get_by_text(f"message number {number} of many")).to_be_visible()
        page.keyboard.press("ars"[number % 3])

    expect(page.get_by_text("Nothing left for you")).to_be_visible()
    decisions = list(Verdict.objects.order_by("pk").values_list("decision", flat=True))
    assert decisions == [["accept", "reject", "skip"][number % 3] for number in range(20)]
    assert all(verdict.seconds is not None for verdict in Verdict.objects.all())


def test_relabelling_works_by_keyboard(page: Page, project: Project) -> None:
    first, _ = examples(project, 2)
    page.goto(f"/p/{project.slug}/review/")

    page.keyboard.press("l")
    page.keyboard.press("2")
    page.keyboard.press("Enter")

    expect(page.get_by_text("message number 1 of many")).to_be_visible()
    first.refresh_from_db()
    assert (first.label, first.categories) == ("unsafe", ["hate"])


def test_undo_brings_the_last_one_back(page: Page, project: Project) -> None:
    examples(project, 2)
    page.goto(f"/p/{project.slug}/review/")
    page.keyboard.press("a")
    expect(page.get_by_text("message number 1 of many")).to_be_visible()

    page.keyboard.press("u")

    expect(page.get_by_text("message number 0 of many")).to_be_visible()
    assert not Verdict.objects.current().exists()


@pytest.mark.parametrize("chord", ["Control+a", "Alt+r", "Meta+s", "Backspace"])
def test_keys_with_modifiers_and_backspace_decide_nothing(page: Page, project: Project, chord: str) -> None:
    examples(project, 1)
    page.goto(f"/p/{project.slug}/review/")

    page.keyboard.press(chord)
    page.keyboard.press("Escape")

    expect(page.get_by_text("message number 0 of many")).to_be_visible()
    assert not Verdict.objects.exists()


def test_keys_sleep_in_fields_and_dialogs(page: Page, project: Project) -> None:
    examples(project, 1)
    page.goto(f"/p/{project.slug}/review/")

    page.locator("select[name=reason]").focus()
    page.keyboard.press("a")
    page.locator("body").click(position={"x": 2, "y": 2})
    page.keyboard.press("?")
    expect(page.get_by_role("heading", name="Keys")).to_be_visible()
    page.keyboard.press("r")

    assert not Verdict.objects.exists()


def test_the_keys_are_printed_on_their_buttons(page: Page, project: Project) -> None:
    examples(project, 1)
    page.goto(f"/p/{project.slug}/review/")

    for button in page.locator("[data-key]").all():
        assert (button.locator("kbd").text_content() or "").lower() == button.get_attribute("data-key")


def test_no_page_makes_the_browser_complain_and_no_text_runs(page: Page, project: Project) -> None:
    make_seeds(project, 6)
    round = rounds.start(project, None)
    example = make_example(project, round=round, text="<img src=x onerror=\"document.title='broken in'\"><b>bold</b>")
    slug = project.slug
    for address in ("", "examples/", f"examples/{example.pk}/", "import/", "rounds/", "rounds/start/",
                    f"rounds/{round.number}/", "review/", "guards/", "releases/"):  # fmt: skip
        page.goto(f"/p/{slug}/{address}")
        expect(page.locator("h1").first).to_be_attached()
        assert "broken in" not in page.title()
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), (
            f"{address} is wider than the window"
        )


def test_pages_fit_a_phone(page: Page, project: Project) -> None:
    page.set_viewport_size({"width": 390, "height": 844})
    example = make_example(project, text="a" * 300)
    for address in (
        "",
        "examples/",
        f"examples/{example.pk}/",
        "import/",
        "rounds/",
        "review/",
        "guards/",
        "releases/",
    ):
        page.goto(f"/p/{project.slug}/{address}")
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), f"{address} is wider than the phone"


def test_the_theme_is_remembered(page: Page, project: Project) -> None:
    page.emulate_media(color_scheme="light")
    page.goto(f"/p/{project.slug}/")
    assert page.locator("html").get_attribute("data-bs-theme") == "light"

    page.locator("[data-theme-toggle]").first.click()
    page.reload()

    assert page.locator("html").get_attribute("data-bs-theme") == "dark"
