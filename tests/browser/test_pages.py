"""The pages in a real Chromium: keys, no script errors, nothing that the content policy had to block."""

from __future__ import annotations

from playwright.sync_api import Page, expect

from curation.models import Project
from curation.operations import rounds
from tests.factories import make_example, make_seeds


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
