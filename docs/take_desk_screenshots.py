"""Take the pictures of the review desk: desk, veil, diff, editing, bulk, settings; light and dark, wide and narrow.
Nothing has to run: services, rows and web server are its own, and leave with it.

python docs/take_desk_screenshots.py
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
FOLDER = ROOT / "docs" / "screenshots"
DESK = "/p/customer-chat/review/"


def pictures() -> dict[str, tuple[str, Callable[..., None]]]:
    """Of each picture: the address, and what is done there before it is taken."""

    def press(*keys: str) -> Callable[..., None]:
        def act(page: object) -> None:
            for key in keys:
                page.keyboard.press(key)  # type: ignore[attr-defined]

        return act

    def choose(page: object) -> None:
        for key in ("x", "n", "n", "x"):
            page.keyboard.press(key)  # type: ignore[attr-defined]

    return {
        "desk": (DESK, press()), "diff": (DESK, press("d")), "veil": (DESK, press("n")),
        "characters": (DESK, press("n", "n")), "right-to-left": (DESK, press("n", "n", "n")),
        "editing": (DESK, press("e")), "reasons": (DESK, press("w")), "keys": (DESK, press("?")),
        "bulk": (f"{DESK}bulk/", choose), "settings": ("/settings/", press()),
    }  # fmt: skip


def take(url: str) -> None:
    """Take all pictures of a running server."""
    from playwright.sync_api import sync_playwright

    from curation.operations import jobs
    from tests.browser.conftest import CHROMIUM, FLAGS

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        page = browser.new_page(base_url=url, color_scheme="light")
        page.goto("/login")
        page.locator("[name=username]").fill("lea")
        page.locator("[name=password]").fill("a long enough password")
        page.locator("[name=password]").press("Enter")
        page.wait_for_url(lambda address: "login" not in address)
        page.goto(f"{DESK}?understood=1")
        for name, (address, act) in pictures().items():
            for theme in ("light", "dark"):
                for width, height in ((1440, 900), (390, 844)):
                    page.emulate_media(color_scheme=theme)  # type: ignore[arg-type]
                    page.set_viewport_size({"width": width, "height": height})
                    jobs.worker_beat()  # no worker runs here, and no page need say so
                    page.goto(address)
                    if address.startswith(DESK):
                        page.wait_for_selector("html[data-desk=ready]")
                        page.wait_for_timeout(900)
                    act(page)
                    page.wait_for_timeout(200)
                    page.screenshot(path=FOLDER / f"desk-{name}-{theme}-{width}.png")
        browser.close()


def main() -> None:
    var = Path(tempfile.mkdtemp(prefix="whetstone-pictures-")).resolve()
    var.chmod(0o755)
    os.environ |= {"WHETSTONE_VAR": str(var), "DJANGO_SETTINGS_MODULE": "curation.settings"}
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"
    from curation import services

    try:
        with services.held(var):
            import django
            from django.core.management import call_command

            django.setup()
            call_command("migrate", verbosity=0)
            from tests.browser.scene import make_scene
            from tests.browser.server import serving

            make_scene()
            FOLDER.mkdir(exist_ok=True)
            with serving({}) as server:
                take(server.url)
    finally:
        shutil.rmtree(var, ignore_errors=True)


if __name__ == "__main__":
    main()
