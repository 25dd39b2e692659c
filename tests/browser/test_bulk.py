"""Many at once: the same keys over cards, one confirmation above twenty, one undo for all."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from playwright.sync_api import Page, expect

from curation.models import BulkAct, Category, Example, Lease, Preferences, Project, Verdict
from tests.browser.conftest import Opened
from tests.browser.desk import Desk, examples
from tests.factories import make_example

SEVERE = {"proposed_label": "unsafe", "proposed_categories": ["hate"]}


def decided() -> dict[int, str]:
    return dict(Verdict.objects.current().by_people().values_list("example", "decision"))


@pytest.mark.parametrize("mode", ["letters", "alt"])
def test_chosen_cards_are_decided_by_one_key(opened: Opened, lead: User, project: Project, mode: str) -> None:
    Preferences.objects.create(user=lead, key_mode=mode)
    rows = examples(project, 6)
    desk = Desk(opened(lead), project, mode).open("bulk/")

    desk.press("select")
    desk.press("next")
    desk.press("next")
    desk.press("select")
    expect(desk.at("#chosen")).to_have_text("2 chosen")
    desk.press("approve")

    expect(desk.at("#cards li")).to_have_count(4)
    desk.saved()
    assert decided() == {rows[0].pk: "accept", rows[2].pk: "accept"}
    assert BulkAct.objects.count() == 1


def test_shift_takes_the_range_by_key_and_by_pointer(page: Page, project: Project) -> None:
    examples(project, 8)
    desk = Desk(page, project).open("bulk/")

    desk.press("select")
    for _ in range(3):
        desk.press("next")
    page.keyboard.press("Shift+X")
    expect(desk.at("#chosen")).to_have_text("4 chosen")
    page.locator("#cards input").nth(6).click(modifiers=["Shift"])

    expect(desk.at("#chosen")).to_have_text("7 chosen")


def test_without_a_choice_the_card_with_the_frame_is_decided(page: Page, project: Project) -> None:
    first, second = examples(project, 2)
    desk = Desk(page, project).open("bulk/")

    desk.press("next")
    desk.press("category-2")

    expect(desk.at("#cards li")).to_have_count(1)
    desk.saved()
    assert Verdict.objects.get().categories == ["hate"]
    assert decided() == {second.pk: "relabel"}
    assert first.pk not in decided()


def test_above_twenty_one_confirms_and_one_undo_takes_all_back(page: Page, project: Project) -> None:
    examples(project, 30)
    desk = Desk(page, project).open("bulk/")
    expect(desk.at("#cards li")).to_have_count(25)

    page.get_by_role("button", name="Choose all").click()
    desk.press("reject")
    expect(page.get_by_role("heading", name="Reject 25 examples?")).to_be_visible()
    page.keyboard.press("Escape")
    assert decided() == {}
    desk.press("reject")
    page.get_by_role("button", name="Yes, all of them").click()
    expect(desk.at("#cards li")).to_have_count(5)
    desk.saved()
    assert len(decided()) == 25

    desk.press("undo")

    expect(desk.at("#cards li")).to_have_count(30)
    assert decided() == {}


def test_who_is_asked_again_at_once_still_answers_the_question_that_stands_there(page: Page, project: Project) -> None:
    examples(project, 30)
    desk = Desk(page, project).open("bulk/")
    expect(desk.at("#cards li")).to_have_count(25)
    page.get_by_role("button", name="Choose all").click()
    desk.press("reject")
    expect(page.get_by_role("heading", name="Reject 25 examples?")).to_be_visible()

    # Closing and asking again before the browser has told anybody of the closing.
    page.evaluate(
        "() => { document.getElementById('confirm').close('no');"
        " document.dispatchEvent(new KeyboardEvent('keydown', {key: 'r', code: 'KeyR', bubbles: true})); }"
    )
    page.get_by_role("button", name="Yes, all of them").click()

    expect(desk.at("#cards li")).to_have_count(5)
    desk.saved()
    assert len(decided()) == 25


def test_finds_of_the_adversary_are_not_among_the_cards(page: Page, project: Project) -> None:
    find = make_example(project, origin="adversarial", priority=99)
    rows = examples(project, 2)
    desk = Desk(page, project).open("bulk/")

    expect(desk.at("#cards li")).to_have_count(2)
    assert desk.at(f"#cards [data-example='{find.pk}']").count() == 0
    assert desk.at(f"#cards [data-example='{rows[0].pk}']").count() == 1


def test_a_project_may_switch_it_off(page: Page, project: Project, expected: list[str]) -> None:
    expected.append("404")
    rules = project.review_rules
    rules.bulk_allowed = False
    rules.save()

    answer = page.goto(f"/p/{project.slug}/review/bulk/")

    assert answer is not None
    assert answer.status == 404


def test_veiled_cards_are_approved_only_when_they_were_read(page: Page, project: Project) -> None:
    Category.objects.filter(version=project.policy_version, key="hate").update(severity=4)
    veiled = make_example(project, text="what the veil covers", priority=9, **SEVERE)
    desk = Desk(page, project).open("bulk/")

    desk.press("approve")
    expect(page.get_by_text("veiled and unread")).to_be_visible()
    assert "what the veil covers" not in page.content()
    page.keyboard.down("v")
    expect(desk.at(f"[data-example='{veiled.pk}'] .text-block")).to_have_text("what the veil covers")
    page.keyboard.up("v")
    desk.press("approve")

    desk.saved()
    expect(desk.at("#void-title")).to_be_visible()
    assert decided() == {veiled.pk: "accept"}


def test_a_card_that_somebody_else_took_leaves_all_undecided(page: Page, project: Project, annotator: User) -> None:
    from curation.operations import reviews

    rows = examples(project, 3)
    desk = Desk(page, project).open("bulk/")
    Example.objects.get(pk=rows[1].pk).leases.open().end("released")
    reviews.submit(project, annotator, rows[1].pk, reviews.Answer("reject"))

    page.get_by_role("button", name="Choose all").click()
    desk.press("approve")

    expect(page.get_by_text("None of them was decided")).to_be_visible()
    expect(desk.at("#cards li")).to_have_count(2)
    assert decided() == {rows[1].pk: "reject"}


def test_whoever_leaves_by_the_address_keeps_no_cards_but_those_put_aside(page: Page, project: Project) -> None:
    first, *_ = examples(project, 6)
    desk = Desk(page, project).open()
    with page.expect_response(lambda response: response.url.endswith("/hold")):
        desk.press("hold")
    desk.open("bulk/")
    expect(desk.at("#cards li")).to_have_count(6)
    assert Lease.objects.open().count() == 6

    page.goto("/settings/")

    for _ in range(100):
        if Lease.objects.open().count() == 1:
            break
        page.wait_for_timeout(50)
    assert list(Lease.objects.open().values_list("example", flat=True)) == [first.pk]
