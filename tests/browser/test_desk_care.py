"""What one reads and how: the veil, masks, folding, hostile characters, breaks, pauses, languages, a phone."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from playwright.sync_api import Page, expect

from curation.models import Category, Example, Preferences, Project, Verdict
from tests.browser.conftest import Opened
from tests.browser.desk import Desk, examples
from tests.factories import make_example

SEVERE = {"proposed_label": "unsafe", "proposed_categories": ["hate"]}


@pytest.fixture
def veiled(project: Project) -> Example:
    Category.objects.filter(version=project.policy_version, key="hate").update(severity=4)
    return make_example(project, text="what the veil covers", priority=99, **SEVERE)


def test_a_severe_text_is_not_in_the_page_until_somebody_holds_the_key(
    page: Page, project: Project, veiled: Example
) -> None:
    Desk(page, project).open()

    expect(page.locator("#veil")).to_contain_text("Hate")
    expect(page.locator("#veil")).to_contain_text("severity 4 of 4")
    assert "what the veil covers" not in page.content()
    page.keyboard.down("v")
    expect(page.locator("#text")).to_have_text("what the veil covers")
    page.keyboard.up("v")
    assert "what the veil covers" not in page.content()


def test_a_veiled_text_can_be_skipped_and_rejected_unread_but_not_approved(
    page: Page, project: Project, veiled: Example
) -> None:
    examples(project, 2)
    desk = Desk(page, project).open()

    for act in ("approve", "category-1", "category-0"):
        desk.press(act)
    assert desk.current == veiled.pk
    expect(page.locator("#said")).to_contain_text("read it first")
    assert desk.verdict(desk.decide("reject")).decision == "reject"
    assert Verdict.objects.count() == 1


def test_the_veil_opens_by_pointer_while_pressed_and_by_keyboard_press_by_press(
    page: Page, project: Project, veiled: Example
) -> None:
    Desk(page, project).open()
    hold, text = page.locator("#veil-hold"), page.locator("#text")

    hold.hover()
    page.mouse.down()
    expect(text).to_have_text("what the veil covers")
    page.mouse.up()
    expect(text).to_be_hidden()
    hold.focus()
    page.keyboard.press("Enter")
    expect(text).to_have_text("what the veil covers")
    page.keyboard.press("Enter")
    expect(text).to_be_hidden()
    page.get_by_role("button", name="Leave it open").click()
    expect(text).to_have_text("what the veil covers")
    expect(page.locator("#veil")).to_be_hidden()


def test_whoever_wants_no_veil_has_none(opened: Opened, lead: User, project: Project, veiled: Example) -> None:
    Preferences.objects.create(user=lead, veil_severity=5)

    desk = Desk(opened(lead), project).open()

    expect(desk.at("#text")).to_have_text("what the veil covers")


def test_masked_words_show_while_the_key_is_held(page: Page, project: Project) -> None:
    make_example(project, text="my friend 😀 said something")

    def mask(route: object) -> None:
        response = route.fetch()  # type: ignore[attr-defined]
        body = response.json()
        body["items"][0]["masks"] = [[12, 16]]  # code points, as Python counts: the smiley is one
        route.fulfill(response=response, json=body)  # type: ignore[attr-defined]

    page.route("**/review/claim", mask)
    Desk(page, project).open()

    text = page.locator("#text")
    expect(text).to_have_text("my friend 😀 ▒▒▒▒ something")
    page.keyboard.down("v")
    expect(text).to_have_text("my friend 😀 said something")
    page.keyboard.up("v")
    expect(text).to_have_text("my friend 😀 ▒▒▒▒ something")


def test_what_does_not_show_or_pretends_is_made_visible_and_nothing_runs(page: Page, project: Project) -> None:
    make_example(
        project,
        text="p\u0430y\u200bpal \u202eevil z\u0361\u0362\u0363\u0364\u0365 "
        "<img src=x onerror=\"document.title='broken in'\">",
    )
    Desk(page, project).open()

    text = page.locator("#text")
    for code in ("U+200B", "U+202E", "+5"):
        expect(text.locator(".hidden-char", has_text=code)).to_be_visible()
    assert text.locator(".twin").get_attribute("title") == "U+0430 ≈ a"
    expect(text).to_contain_text("<img src=x")
    assert text.locator("img").count() == 0
    assert "broken in" not in page.title()
    assert "\u202e" not in (text.text_content() or "")


def test_words_of_another_alphabet_are_not_suspected(page: Page, project: Project) -> None:
    make_example(project, text="мама мыла раму, the cat sat: Ελλάδα, كيف حالك")
    Desk(page, project).open()

    expect(page.locator("#text")).to_contain_text("мама мыла раму")
    assert page.locator("#text .twin").count() == 0


def test_text_from_right_to_left_stands_at_the_right(page: Page, project: Project) -> None:
    make_example(project, text="كيف أسقي نباتاتي في الصيف؟")
    Desk(page, project).open()

    assert page.locator("#text").evaluate("element => getComputedStyle(element).direction") == "rtl"
    assert page.locator("#reading").evaluate("element => getComputedStyle(element).direction") == "ltr"


def test_the_difference_to_the_parent_is_told_word_by_word(page: Page, project: Project) -> None:
    parent = make_example(project, state="accepted", text="how do i water the plant today")
    make_example(project, text="how do you water a plant", parent=parent)
    desk = Desk(page, project).open()

    desk.press("diff")

    assert page.locator("#parent del").all_text_contents() == ["i", "the", " today"]
    assert page.locator("#parent ins").all_text_contents() == ["you", "a"]


def test_what_nearly_repeats_it_is_decided_with_it_in_one_act(page: Page, project: Project) -> None:
    vector = [1.0] + [0.0] * 383
    first = make_example(project, text="how do i water a cactus", priority=99, embedding=vector)
    examples(project, 6)
    copies = [
        make_example(project, text=f"how do i water a cactus{'!' * n}", embedding=vector, priority=-9) for n in (1, 2)
    ]
    desk = Desk(page, project).open()

    page.get_by_label("Decide alike the 2 that nearly repeat it").check()
    desk.decide("category-2")

    desk.saved()
    for one in (first, *copies):
        assert desk.verdict(one.pk).categories == ["hate"]
    assert Verdict.objects.count() == 3


def test_a_break_is_suggested_and_holds_nothing_back(opened: Opened, lead: User, project: Project) -> None:
    Preferences.objects.create(user=lead, break_after_minutes=1)
    examples(project, 3)
    page = opened(lead)
    page.clock.install()
    page.goto(f"/p/{project.slug}/review/")
    page.wait_for_selector("html[data-desk=ready]")
    for _ in range(62):  # touched each second, so the time is active
        page.mouse.move(10, 10)
        page.mouse.move(20, 20)
        page.clock.run_for(1_000)

    expect(page.get_by_text("You have read for a while")).to_be_visible()
    page.clock.resume()
    desk = Desk(page, project)
    assert desk.verdict(desk.decide("approve")).decision == "accept"
    page.get_by_role("button", name="I had a break").click()
    expect(page.get_by_text("You have read for a while")).to_have_count(0)


def test_a_stop_says_why_and_hands_out_nothing(opened: Opened, lead: User, project: Project) -> None:
    Preferences.objects.create(user=lead, daily_budget_minutes=1)
    first, *_ = examples(project, 5)
    Verdict.objects.create(
        example=make_example(project), reviewer=lead, maker="person", decision="accept", active_seconds=200,
        policy_version=project.policy_version,
    )  # fmt: skip
    page = opened(lead)
    page.goto(f"/p/{project.slug}/review/")
    page.wait_for_selector("html[data-desk=ready]")

    expect(page.locator("#void-title")).to_have_text("Enough for today")
    expect(page.locator("#void-text")).to_contain_text("1 minutes")
    assert first.text not in page.content()


def test_the_content_note_and_support_come_before_the_first_text(page: Page, project: Project) -> None:
    examples(project, 1)
    rules = project.review_rules
    rules.support = "Call 0800 111 0 111 at any hour."
    rules.save()
    page.goto(f"/p/{project.slug}/review/")

    expect(page.get_by_text("0800 111 0 111")).to_be_visible()
    assert "message number 0" not in page.content()
    page.get_by_role("button", name="I understand, begin").click()
    page.wait_for_selector("html[data-desk=ready]")
    expect(page.locator("#text")).to_have_text("message number 0 of many")


def test_the_desk_speaks_german_to_whoever_chose_it(opened: Opened, lead: User, project: Project) -> None:
    examples(project, 1)
    page = opened(lead)
    page.goto("/settings/")
    page.get_by_label("Language").select_option("de")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_role("heading", name="Deine Einstellungen")).to_be_visible()

    desk = Desk(page, project).open()

    assert page.locator("html").get_attribute("lang") == "de"
    expect(desk.at("[data-act=approve]")).to_contain_text("Annehmen")
    expect(desk.at("#saved-text")).to_have_text("gespeichert")
    expect(desk.at("#heading")).to_contain_text("Beispiel")


def test_a_phone_has_the_decision_at_the_thumb(opened: Opened, lead: User, project: Project) -> None:
    first, *_ = examples(project, 3, text="a" * 300)
    page = opened(lead, viewport={"width": 390, "height": 844}, has_touch=True)
    desk = Desk(page, project).open()

    approve = desk.at("#decide [data-act=approve]")
    box = approve.bounding_box()
    assert box is not None
    assert box["y"] > 844 * 2 / 3
    assert box["height"] >= 48
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    desk.at("#more").click()
    chip = desk.at("#decide [data-act=category-2]")
    expect(chip).to_be_visible()
    chip.click()
    desk.left(first.pk)
    assert desk.verdict(first.pk).categories == ["hate"]
    expect(chip).to_be_hidden()


def test_without_scripts_the_plain_form_judges(opened: Opened, lead: User, project: Project) -> None:
    first, second = examples(project, 2)
    page = opened(lead, java_script_enabled=False)
    page.goto(f"/p/{project.slug}/review/")

    text = page.locator(".plain-desk .text-block")  # Playwright's words skip what is inside noscript
    expect(text).to_have_text("message number 0 of many")
    page.locator(".plain-desk [value=accept]").click()
    expect(text).to_have_text("message number 1 of many")
    page.locator(".plain-desk form[action$=undo] button").click()
    expect(text).to_have_text("message number 0 of many")
    page.locator(".plain-desk [value=reject]").click()
    expect(text).to_have_text("message number 1 of many")

    assert Verdict.objects.current().get(example=first).decision == "reject"
    assert not Verdict.objects.filter(example=second).exists()
