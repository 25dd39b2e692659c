"""A policy with more categories than digits: every one of them is reached by keys, on the desk and for many at once."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from playwright.sync_api import Page, expect

from curation.models import Category, Preferences, Project
from tests.browser.conftest import Opened
from tests.browser.desk import Desk, examples

MORE = ("Weapons", "Theft", "Drugs", "Cybercrime", "Harassment", "Self-harm", "Advice", "Privacy", "Désinformation")


@pytest.fixture(autouse=True)
def twelve(project: Project) -> None:
    """Fraud, hate and child exploitation come first; harassment is the eighth, privacy the eleventh."""
    for position, name in enumerate(MORE, 3):
        Category.objects.create(
            version=project.policy_version, key=name.lower().replace("é", "e"), name=name, position=position,
            definition=f"What {name} is.",
        )  # fmt: skip


def marked(desk: Desk) -> str:
    """The option that Enter would take, as a screen reader is told of it."""
    name = desk.at("#picker-find").get_attribute("aria-activedescendant") or ""
    option = desk.at(f"#{name}")
    expect(option).to_have_attribute("aria-selected", "true")
    assert desk.at("#picker-list [aria-selected=true]").count() == 1
    return option.locator(".picker-name").inner_text()


@pytest.mark.parametrize("mode", ["letters", "alt"])
@pytest.mark.parametrize("place", ["", "bulk/"])
def test_a_category_after_the_ninth_is_chosen_by_keys_alone(
    opened: Opened, lead: User, project: Project, mode: str, place: str
) -> None:
    Preferences.objects.create(user=lead, key_mode=mode)
    first, second = examples(project, 2)
    desk = Desk(opened(lead), project, mode).open(place)

    for example, typed in ((first, "priv"), (second, "11")):
        desk.press("pick")
        desk.page.keyboard.type(typed)
        assert marked(desk) == "Privacy"
        desk.page.keyboard.press("Enter")
        expect(desk.at("#picker")).to_be_hidden()
        verdict = desk.verdict(example.pk)
        assert (verdict.decision, verdict.label, verdict.categories) == ("relabel", "unsafe", ["privacy"])


def test_arrows_go_round_and_what_begins_a_word_comes_first(page: Page, project: Project) -> None:
    examples(project, 1)
    desk = Desk(page, project).open()

    desk.press("pick")
    assert marked(desk) == "Fraud"
    page.keyboard.press("ArrowUp")
    assert marked(desk) == "Désinformation"
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    assert marked(desk) == "Hate"
    page.keyboard.type("har")
    assert marked(desk) == "Harassment"
    page.keyboard.press("ArrowDown")
    assert marked(desk) == "Self-harm"
    desk.at("#picker-find").fill("desin")
    assert marked(desk) == "Désinformation"
    desk.at("#picker-find").fill("zebra")
    expect(page.get_by_role("status").get_by_text("No category is called that.")).to_be_visible()
    page.keyboard.press("Enter")
    expect(desk.at("#picker")).to_be_visible()


def test_escape_leaves_it_with_nothing_decided_and_the_focus_where_it_was(page: Page, project: Project) -> None:
    (example,) = examples(project, 1)
    desk = Desk(page, project).open()

    desk.press("relabel")
    desk.press("pick")
    page.keyboard.type("ark12")
    page.keyboard.press("Escape")

    expect(desk.at("#picker")).to_be_hidden()
    assert desk.current == example.pk
    expect(desk.at("#several")).to_be_visible()  # collecting goes on
    page.keyboard.press("Escape")
    expect(desk.at("#several")).to_be_hidden()
    expect(desk.at("#heading")).to_be_focused()


def test_it_adds_to_the_categories_that_are_being_collected(page: Page, project: Project) -> None:
    (example,) = examples(project, 1)
    desk = Desk(page, project).open()

    desk.press("relabel")
    desk.press("category-2")
    desk.press("pick")
    page.keyboard.type("desinf")
    page.keyboard.press("Enter")
    expect(desk.at("[data-category=desinformation][aria-pressed=true]")).to_be_focused()
    page.keyboard.press("Enter")

    assert desk.verdict(example.pk).categories == ["hate", "desinformation"]


@pytest.mark.parametrize("place", ["", "bulk/"])
def test_with_keys_off_its_button_opens_it_by_keyboard_and_by_pointer(
    opened: Opened, lead: User, project: Project, place: str
) -> None:
    Preferences.objects.create(user=lead, key_mode="off")
    first, second = examples(project, 2)
    desk = Desk(opened(lead), project).open(place)
    if place:
        desk.page.get_by_text("They are something else").click()

    desk.page.keyboard.press("g")
    expect(desk.at("#picker")).to_be_hidden()
    desk.page.get_by_role("button", name="By name").focus()
    desk.page.keyboard.press("Enter")
    desk.page.keyboard.type("advice")
    desk.page.keyboard.press("Enter")
    assert desk.verdict(first.pk).categories == ["advice"]
    desk.page.get_by_role("button", name="By name").click()
    desk.page.get_by_role("option", name="Cybercrime").click()
    assert desk.verdict(second.pk).categories == ["cybercrime"]


def test_on_a_phone_it_fits_and_is_pressed(opened: Opened, lead: User, project: Project) -> None:
    (example,) = examples(project, 1)
    desk = Desk(opened(lead, viewport={"width": 390, "height": 844}), project).open()

    desk.at("#more").click()
    desk.page.get_by_role("button", name="By name").click()
    assert desk.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    desk.page.get_by_role("option", name="Drugs").click()

    assert desk.verdict(example.pk).categories == ["drugs"]


def test_a_key_that_somebody_gave_to_another_act_stays_with_it(opened: Opened, lead: User, project: Project) -> None:
    Preferences.objects.create(user=lead, keymap={"approve": "g"})
    (example,) = examples(project, 1)
    desk = Desk(opened(lead), project).open()

    desk.page.keyboard.press("g")

    assert desk.verdict(example.pk).decision == "accept"
