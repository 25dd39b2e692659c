"""The pages of quality in a real browser: accessible, readable on a phone, usable by keyboard."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.urls import reverse
from playwright.sync_api import Page, expect

from curation.models import Example, Project
from tests.browser.test_access import LOOKS, serious, wear
from tests.curation.quality_scene import fill, make_reviewed_project
from tests.factories import make_member

PAGES = (
    "quality", "quality-disputes", "quality-gold", "quality-gold-write", "quality-exams", "quality-people",
    "quality-rules",
)  # fmt: skip


@pytest.fixture
def project() -> Project:
    return make_reviewed_project()


@pytest.fixture
def filled(project: Project) -> dict[str, Any]:
    return fill(project)


@pytest.fixture
def lead(project: Project) -> User:
    return make_member(project, "lead", "lea")


def addresses(project: Project, filled: dict[str, Any]) -> list[str]:
    slug = project.slug
    return [
        *(reverse(name, args=[slug]) for name in PAGES),
        reverse("quality-dispute", args=[slug, filled["case"].pk]),
        reverse("quality-exam", args=[slug, "fraud"]),
        reverse("quality-person", args=[slug, filled["people"][0].pk]),
    ]


@pytest.mark.parametrize("look", LOOKS)
def test_axe_finds_nothing_serious_on_any_page_of_quality(
    page: Page, project: Project, filled: dict[str, Any], look: str
) -> None:
    found = {}
    for address in addresses(project, filled):
        page.goto(address)
        wear(page, look)
        if bad := serious(page):
            found[address] = bad

    assert found == {}


def test_no_page_is_wider_than_a_phone(page: Page, project: Project, filled: dict[str, Any]) -> None:
    page.set_viewport_size({"width": 390, "height": 844})
    wide = []
    for address in addresses(project, filled):
        page.goto(address)
        if page.evaluate("document.documentElement.scrollWidth > innerWidth"):
            wide.append(address)

    assert wide == []


def test_a_case_is_settled_by_keyboard_alone(page: Page, project: Project, filled: dict[str, Any]) -> None:
    page.goto(reverse("quality-dispute", args=[project.slug, filled["case"].pk]))
    categories = page.get_by_role("group", name="Categories")
    expect(categories).to_be_hidden()  # nothing asks for a category of harm before somebody says that there is one

    page.get_by_role("radio", name="Safe", exact=True).focus()
    page.keyboard.press("ArrowDown")
    expect(categories).to_be_visible()
    page.keyboard.press("Tab")
    page.keyboard.press("Space")
    page.get_by_role("radio", name="Edge case").focus()
    page.keyboard.press("Space")
    page.get_by_role("button", name="Settle, next case").focus()
    page.keyboard.press("Enter")

    expect(page.get_by_text("is settled")).to_be_visible()
    example = Example.objects.get(pk=filled["case"].example_id)
    assert (example.state, example.label, example.categories) == ("accepted", "unsafe", ["fraud"])


def test_hostile_text_runs_nowhere(page: Page, project: Project, filled: dict[str, Any]) -> None:
    ran: list[str] = []
    page.on("dialog", lambda dialog: (ran.append(dialog.message), dialog.dismiss()))
    for address in addresses(project, filled):
        page.goto(address)

    assert ran == []
