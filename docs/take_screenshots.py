"""Take the pictures of the README's tour: every page, light and dark, wide; the main ones narrow too.

WHETSTONE_PASSWORD=… python docs/take_screenshots.py --url http://127.0.0.1:8000 --user lea --project demo
"""

from __future__ import annotations

import argparse
import os
import shutil
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

FOLDER = Path(__file__).parent / "screenshots"
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]
PAGES = {
    "overview": "", "examples": "examples/", "import": "import/", "rounds": "rounds/", "round-start": "rounds/start/",
    "recipes": "rounds/recipes/", "queue": "queue/", "guard-rules": "guards/rules/", "threshold": "guards/1/#threshold",
    "peer": "guards/peers/1/",
    "review": "review/?understood=1", "agreement": "quality/", "disputes": "quality/disputes/",
    "known-questions": "quality/known/", "exams": "quality/exams/", "people": "quality/people/",
    "rules": "quality/rules/", "guards": "guards/", "traffic": "guards/live/", "releases": "releases/",
    "members": "people/", "audit": "people/audit/", "webhooks": "webhooks/",
}  # fmt: skip
FIRST_OF = {
    "dispute": "quality/disputes/",
    "example": "examples/",
    "round": "rounds/",
    "guard": "guards/",
    "release": "releases/",
}
NARROW = (
    "overview",
    "examples",
    "import",
    "queue",
    "round",
    "review",
    "guards",
    "guard",
    "agreement",
    "dispute",
    "release",
    "members",
    "audit",
    "sessions",
    "invitation",
)


ELSEWHERE = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) Version/18.5 Mobile/15E148 Safari/604.1"
PERSONAL = {"sessions": "/settings/sessions/", "tokens": "/settings/tokens/"}


def sign_in(page: Page, user: str) -> None:
    page.goto("/login")
    page.screenshot(path=FOLDER / "login-light-1440.png")
    page.get_by_label("Name").fill(user)
    page.get_by_label("Password").fill(os.environ["WHETSTONE_PASSWORD"])
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url(lambda url: "login" not in url)


def addresses(page: Page, project: str) -> dict[str, str]:
    """Addresses of all pages; of lists, the first entry too."""
    found = {name: f"/p/{project}/{address}" for name, address in PAGES.items()} | PERSONAL
    for name, address in FIRST_OF.items():
        page.goto(f"/p/{project}/{address}" + ("?state=filtered" if name == "example" else ""))
        # A draft that only holds finds has little to show; the round before it has.
        links = page.locator("tbody tr", has_not_text="draft").locator("a")
        if links.count():
            found[name] = links.first.get_attribute("href") or ""
    return found


def invite(page: Page, project: str) -> str:
    """Make a link, as the page shows it once."""
    page.goto(f"/p/{project}/people/")
    page.get_by_label("Whom").fill("dan")
    page.get_by_role("button", name="Make a link").click()
    return page.locator("[data-secret]").inner_text()


def take(page: Page, name: str, address: str) -> None:
    """One page in both themes, in one width or two."""
    for theme in ("light", "dark"):
        for width in (1440, 390) if name in NARROW else (1440,):
            page.emulate_media(color_scheme=theme, reduced_motion="reduce")  # type: ignore[arg-type]
            page.set_viewport_size({"width": width, "height": 900 if width > 400 else 844})
            page.goto("about:blank")  # else a place on the same page would be no new page
            page.goto(address)
            if name == "review":
                page.wait_for_selector("html[data-desk=ready]")
            page.wait_for_load_state("networkidle")
            page.screenshot(path=FOLDER / f"{name}-{theme}-{width}.png")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", default="http://127.0.0.1:8000")
    parser.add_argument("--user", default="lea")
    parser.add_argument("--project", default="demo")
    parser.add_argument("--only", nargs="+", default=[], help="names of pages; all without it")
    options = parser.parse_args()
    FOLDER.mkdir(exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
        page = browser.new_page(base_url=options.url, viewport={"width": 1440, "height": 900}, color_scheme="light")
        sign_in(page, options.user)
        sign_in(browser.new_page(base_url=options.url, user_agent=ELSEWHERE), options.user)
        for name, address in addresses(page, options.project).items():
            if options.only and name not in options.only:
                continue
            take(page, name, address)
        if not options.only or "invitation" in options.only:
            link = invite(page, options.project)
            take(browser.new_page(base_url=options.url), "invitation", link)
        browser.close()


if __name__ == "__main__":
    main()
