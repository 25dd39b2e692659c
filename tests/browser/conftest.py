"""Real Chromium for the run; a page fails its test where the browser had to complain."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

if TYPE_CHECKING:  # Django is not set up yet where pytest reads this file
    from django.contrib.auth.models import User

    from curation.models import Project
    from tests.browser.gate import Gate

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip
# A page says each of these on purpose: the desk shows what a refusal means, and goes on when nobody answers.
EXPECTED = ("409", "412", "422", "net::ERR_", "503")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything here needs a browser, and rows that other connections see."""
    missing = pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium on this machine")
    for item in items:
        if "tests/browser/" in str(item.path).replace(os.sep, "/"):
            for mark in (pytest.mark.browser, pytest.mark.django_db(transaction=True), missing):
                item.add_marker(mark)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    # Playwright's loop runs in this thread, and Django would refuse its database from within one.
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()
    del os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"]


@pytest.fixture(scope="package")
def gate() -> Iterator[Gate]:
    """Gone with the browser's tests: others ask the same server, and a shut gate would leave them waiting."""
    from tests.browser.gate import Gate

    gate = Gate()
    yield gate
    gate.remove()


@pytest.fixture(autouse=True)
def _nothing_under_way(gate: Gate, transactional_db: None) -> Iterator[None]:
    """The database is emptied when the server has answered what pages sent as they were closed, and not before."""
    gate.open()
    yield
    gate.shut()


@pytest.fixture
def project() -> Project:
    from tests.factories import make_project

    return make_project(content_note="")


@pytest.fixture
def lead(project: Project) -> User:
    from tests.factories import make_member

    return make_member(project, "lead", "lea")


@pytest.fixture
def annotator(project: Project) -> User:
    from tests.factories import make_member

    return make_member(project, "annotator", "ana")


def sign_in(context: BrowserContext, user: User, url: str) -> None:
    """Give the browser the session of somebody who signed in."""
    from django.conf import settings
    from django.test import Client

    client = Client()
    client.force_login(user)
    cookie = client.cookies[settings.SESSION_COOKIE_NAME]
    context.add_cookies([{"name": cookie.key, "value": cookie.value, "url": url}])


Opened = Callable[..., Page]


@pytest.fixture
def expected() -> list[str]:
    """What else the browser may complain of in this test."""
    return list(EXPECTED)


@pytest.fixture
def opened(browser: Browser, live_server: Any, expected: list[str]) -> Iterator[Opened]:
    """Open a browser of its own for a user: `opened(user, viewport=…)`; what it complained of fails the test."""
    contexts: list[BrowserContext] = []
    complaints: list[str] = []

    def open_for(user: User, base_url: str = "", **options: Any) -> Page:
        url = base_url or live_server.url
        context = browser.new_context(base_url=url, **options)
        contexts.append(context)
        sign_in(context, user, url)
        page = context.new_page()
        page.set_default_timeout(15_000)
        page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        return page

    yield open_for
    for context in contexts:
        context.close()
    assert not [text for text in complaints if not any(known in text for known in expected)]


@pytest.fixture
def page(opened: Opened, lead: User) -> Page:
    return opened(lead)
