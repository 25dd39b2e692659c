"""One's own settings: keys that collide are refused, choices hold, others never learn of them."""

from __future__ import annotations

from django.contrib.auth.models import User
from playwright.sync_api import Page, expect

from curation.models import OptOut, Preferences, Project
from tests.browser.conftest import Opened
from tests.browser.desk import Desk, examples
from tests.factories import make_example


def save(page: Page) -> None:
    page.get_by_role("button", name="Save", exact=True).click()


def test_a_key_that_is_taken_is_told_while_one_types_and_refused_when_one_saves(page: Page, lead: User) -> None:
    page.goto("/settings/")
    field = page.locator("[data-key-for=approve]")

    field.fill("r")
    expect(page.get_by_text("is already the key of “Approve")).to_be_visible()
    save(page)

    expect(page.get_by_text("The key R is taken twice")).to_be_visible()
    assert not Preferences.objects.filter(user=lead).exists()


def test_a_new_key_works_at_the_desk_at_once(page: Page, project: Project, lead: User) -> None:
    examples(project, 2)
    page.goto("/settings/")
    page.locator("[data-key-for=approve]").fill("j")
    page.locator("[data-key-for=reject]").fill("a")
    save(page)
    expect(page.get_by_text("Your settings are saved.")).to_be_visible()
    assert Preferences.objects.get(user=lead).keymap == {"approve": "j", "reject": "a"}

    desk = Desk(page, project).open()
    desk.keys |= {"approve": "j", "reject": "a"}
    assert desk.verdict(desk.decide("reject")).decision == "reject"


def test_high_contrast_is_put_on_before_the_first_paint_and_stays(page: Page, project: Project) -> None:
    page.goto("/settings/")
    page.get_by_label("Theme").select_option("contrast")
    save(page)

    page.goto(f"/p/{project.slug}/")

    assert page.locator("html").get_attribute("data-theme") == "contrast"
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(0, 0, 0)"


def test_a_category_that_one_opted_out_of_does_not_come_up(opened: Opened, annotator: User, project: Project) -> None:
    make_example(project, priority=9, proposed_label="unsafe", proposed_categories=["hate"])
    mild = make_example(project)
    page = opened(annotator)
    page.goto("/settings/")
    page.get_by_label("Hate").check()
    save(page)
    expect(page.get_by_text("Your settings are saved.")).to_be_visible()
    assert list(OptOut.objects.values_list("user", "category")) == [(annotator.pk, "hate")]

    desk = Desk(page, project).open()

    assert desk.current == mild.pk
    page.goto("/settings/")
    page.get_by_label("Hate").uncheck()
    save(page)
    assert not OptOut.objects.exists()


def test_the_settings_fit_a_phone_and_work_without_scripts(opened: Opened, lead: User, project: Project) -> None:
    page = opened(lead, viewport={"width": 390, "height": 844}, java_script_enabled=False)
    page.goto("/settings/")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")

    page.get_by_label("Muted colours").check()
    page.locator("[data-key-for=skip]").fill("1")
    save(page)

    expect(page.get_by_text("A key is one letter")).to_be_visible()
    page.locator("[data-key-for=skip]").fill("")
    save(page)
    chosen = Preferences.objects.get(user=lead)
    assert (chosen.muted, chosen.keymap) == (True, {"skip": ""})
