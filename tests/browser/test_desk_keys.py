"""Every key of the keymap does what the help sheet says, in both keymap modes, and only while it should."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.contrib.auth.models import User
from playwright.sync_api import Page, Route, expect

from curation import keymap
from curation.models import Category, Example, Flag, Lease, Preferences, Project, Verdict
from tests.browser.conftest import Opened
from tests.browser.desk import Desk, examples
from tests.factories import make_example

SEVERE = {"proposed_label": "unsafe", "proposed_categories": ["hate"]}
LONG = "a very long message, as some people write them. " * 60


def decides(decision: str) -> Callable[[Desk, str], None]:
    def check(desk: Desk, act: str) -> None:
        assert desk.verdict(desk.decide(act)).decision == decision

    return check


def reject_because(desk: Desk, act: str) -> None:
    before = desk.current
    desk.press(act)
    expect(desk.at("#because")).to_be_visible()
    desk.press("category-2")
    desk.left(before)
    assert desk.verdict(before).reason == "Meaning is unclear"


def relabel(desk: Desk, act: str) -> None:
    before = desk.current
    desk.press(act)
    desk.press("category-1")
    desk.press("category-2")
    desk.page.keyboard.press("Enter")
    desk.left(before)
    verdict = desk.verdict(before)
    assert (verdict.decision, verdict.label, verdict.categories) == ("relabel", "unsafe", ["fraud", "hate"])


def pick(desk: Desk, act: str) -> None:
    before = desk.current
    desk.press(act)
    expect(desk.at("#picker-find")).to_be_focused()
    desk.page.keyboard.type("hat")
    desk.page.keyboard.press("Enter")
    desk.left(before)
    verdict = desk.verdict(before)
    assert (verdict.decision, verdict.label, verdict.categories) == ("relabel", "unsafe", ["hate"])


def undo(desk: Desk, act: str) -> None:
    decided = desk.decide("approve")
    desk.saved()
    desk.press(act)
    expect(desk.at("#heading")).to_have_text(f"Example {decided}")
    assert not Verdict.objects.current().by_people().filter(example=decided).exists()


def unsure(desk: Desk, act: str) -> None:
    desk.press(act)
    desk.pressed("#unsure")
    assert desk.verdict(desk.decide("approve")).confidence == 1
    assert desk.verdict(desk.decide("approve")).confidence is None


def edit(desk: Desk, act: str) -> None:
    before = desk.current
    desk.press(act)
    field = desk.at("#edit-text")
    expect(field).to_be_focused()
    field.fill("it says something else now")
    expect(desk.at("#edit-diff ins").first).to_be_visible()
    with desk.page.expect_response(lambda response: response.url.endswith("/text")):
        desk.page.keyboard.press("Control+Enter")
    expect(desk.at("#text")).to_have_text("it says something else now")
    example = Example.objects.get(pk=before)
    assert (example.text, example.version) == ("it says something else now", 2)
    assert desk.verdict(desk.decide("approve")).version == 2


def flag(desk: Desk, act: str) -> None:
    with desk.page.expect_response(lambda response: response.url.endswith("/flag")):
        desk.press(act)
    desk.pressed("#flag")
    assert Flag.objects.filter(example=desk.current, resolved_at=None).exists()
    with desk.page.expect_response(lambda response: response.url.endswith("/flag")):
        desk.press(act)
    assert not Flag.objects.filter(example=desk.current, resolved_at=None).exists()


def comment(desk: Desk, act: str) -> None:
    before = desk.current
    desk.press(act)
    expect(desk.at("#comment-text")).to_be_focused()
    desk.page.keyboard.type("is it a joke?")
    desk.page.keyboard.press("Control+Enter")
    expect(desk.at("#comments .comment")).to_contain_text("is it a joke?")
    assert Example.objects.get(pk=before).comments.count() == 1
    desk.page.keyboard.press("Escape")
    expect(desk.at("#heading")).to_be_focused()


def hold(desk: Desk, act: str) -> None:
    before = desk.current
    desk.press(act)
    desk.left(before)
    assert Lease.objects.open().get(example=before).held


def reveal(desk: Desk, act: str) -> None:
    veiled = Example.objects.filter(proposed_categories=["hate"], state="queued").latest("priority")
    assert desk.current == veiled.pk
    expect(desk.at("#veil")).to_be_visible()
    assert veiled.text not in desk.page.content()
    key = desk.keys[act]
    for name in ["Alt"] * (desk.mode == "alt") + [key]:
        desk.page.keyboard.down(name)
    expect(desk.at("#text")).to_have_text(veiled.text)
    desk.page.keyboard.up(key)
    expect(desk.at("#text")).to_be_hidden()
    assert veiled.text not in desk.page.content()
    if desk.mode == "alt":
        desk.page.keyboard.up("Alt")
    desk.decide("approve")


def unfold(desk: Desk, act: str) -> None:
    expect(desk.at("#text")).to_contain_text("…")
    desk.press(act)
    expect(desk.at("#text")).to_have_text(LONG.strip())
    desk.press(act)
    expect(desk.at("#text")).to_contain_text("…")


def opens(panel: str) -> Callable[[Desk, str], None]:
    def check(desk: Desk, act: str) -> None:
        desk.press(act)
        expect(desk.at(f"#{panel}[open]")).to_be_visible()
        desk.press(act)
        expect(desk.at(f"#{panel}[open]")).to_have_count(0)

    return check


def digits(desk: Desk, act: str) -> None:
    """They are no act of the keymap, but keys all the same."""
    unsafe = desk.verdict(desk.decide("category-2"))
    safe = desk.verdict(desk.decide("category-0"))
    assert (unsafe.decision, unsafe.label, unsafe.categories) == ("relabel", "unsafe", ["hate"])
    assert (safe.decision, safe.label, safe.categories) == ("accept", "safe", [])  # what was proposed


def help_sheet(desk: Desk, act: str) -> None:
    """It names every key as this person has it."""
    desk.press(act)
    expect(desk.page.get_by_role("heading", name="Keys")).to_be_visible()
    for one in keymap.ACTS:
        badge = desk.at(f"#keys-help kbd[data-key-of={one.name}]")
        expect(badge).to_have_text(f"{'Alt+' if desk.mode == 'alt' else ''}{one.key.upper()}")
    desk.page.keyboard.press("Escape")


def move(desk: Desk, act: str) -> None:
    order = desk.at("#ahead .mono").all_text_contents()
    desk.press(act)
    expect(desk.at("#heading")).to_have_text(f"Example {order[1 if act == 'next' else -1]}")


def leave(desk: Desk, act: str) -> None:
    desk.press(act)
    desk.page.wait_for_url(f"**/p/{desk.project.slug}/")
    held = Lease.objects.filter(project=desk.project)
    assert not held.open().filter(held=False).exists()
    assert held.filter(ended="returned").exists()


CHECKS: dict[str, Callable[[Desk, str], None]] = {
    "approve": decides("accept"), "reject": decides("reject"), "skip": decides("skip"), "escalate": decides("escalate"),
    "reject-because": reject_because, "relabel": relabel, "pick": pick, "undo": undo,
    "unsure": unsure, "edit": edit, "flag": flag,
    "comment": comment, "hold": hold, "reveal": reveal, "unfold": unfold, "diff": opens("panel-diff"),
    "similar": opens("panel-similar"), "policy": opens("panel-policy"), "next": move, "back": move,
    "digits": digits, "help": help_sheet,
    "exit": leave,  # the last one: it leaves the desk
}  # fmt: skip
IN_BULK = {"select"}
FIXED = {"digits", "help"}


def test_every_act_of_the_keymap_is_checked() -> None:
    assert (set(CHECKS) - FIXED) | IN_BULK == keymap.NAMES


@pytest.fixture
def many(project: Project) -> list[Example]:
    """Enough for every key: each long and written from another one, two of them veiled."""
    Category.objects.filter(version=project.policy_version, key="hate").update(severity=4)
    parent = make_example(project, state="accepted", label="safe", text="a message of a seed")
    veiled = examples(project, 2, **SEVERE, priority=100, text="a veiled one")
    return [*veiled, *examples(project, 34, parent=parent, text=LONG)]


@pytest.mark.parametrize("mode", ["letters", "alt"])
def test_every_key_does_its_act(opened: Opened, lead: User, project: Project, many: list[Example], mode: str) -> None:
    Preferences.objects.create(user=lead, key_mode=mode)
    desk = Desk(opened(lead), project, mode).open()
    desk.page.keyboard.press(desk.keys["next"] if mode == "alt" else f"Alt+{desk.keys['next']}")
    assert desk.current == many[0].pk, "the other mode's key did something"
    for act, check in CHECKS.items():
        if act not in ("reveal", "exit"):  # on one that lies open
            while desk.at("#veil").is_visible():
                desk.decide("skip")
        if act == "reveal":
            make_veiled(project)
            desk.open()
        check(desk, act)


def make_veiled(project: Project) -> None:
    """One more veiled example, first in the queue; room for it in the hand."""
    Lease.objects.filter(project=project).end("returned")
    make_example(project, **SEVERE, priority=500, text="one more veiled one")


def send_key(page: Page, event: str) -> None:
    """A key event that this keyboard cannot make."""
    page.evaluate(f"document.body.dispatchEvent(new KeyboardEvent('keydown', {event}))")


def test_with_keys_off_no_letter_does_anything_but_the_buttons_do(opened: Opened, lead: User, project: Project) -> None:
    Preferences.objects.create(user=lead, key_mode="off")
    examples(project, 2)
    desk = Desk(opened(lead), project).open()
    first = desk.current

    for act in keymap.ACTS:
        for chord in (act.key, f"Alt+{act.key}"):
            desk.page.keyboard.press(chord)
    for key in ("1", "0", "?"):
        desk.page.keyboard.press(key)
    assert desk.current == first
    expect(desk.at("#keys-help")).to_be_hidden()
    expect(desk.at("#decide kbd[data-key-of=approve]")).to_be_hidden()

    desk.at("#decide [data-act=approve]").click()
    desk.left(first)
    desk.saved()
    desk.page.keyboard.press("Control+z")
    expect(desk.at("#heading")).to_have_text(f"Example {first}")


def test_a_remapped_key_works_and_its_old_place_is_dead(opened: Opened, lead: User, project: Project) -> None:
    Preferences.objects.create(user=lead, keymap={"approve": "ö", "undo": ""})
    examples(project, 3)
    desk = Desk(opened(lead), project).open()
    first = desk.current

    desk.page.keyboard.press("a")
    desk.page.keyboard.press("u")
    assert desk.current == first
    expect(desk.at("#decide kbd[data-key-of=approve]")).to_have_text("Ö")
    expect(desk.at("#decide kbd[data-key-of=undo]")).to_be_hidden()
    send_key(desk.page, "{key: 'ö', bubbles: true}")
    desk.left(first)
    assert desk.verdict(first).decision == "accept"


def test_other_chords_decide_nothing(page: Page, project: Project) -> None:
    examples(project, 1)
    desk = Desk(page, project).open()
    first = desk.current

    for chord in ("Control+a", "Alt+r", "Meta+k", "Shift+a", "Backspace", "Delete", "Enter", "Tab"):
        page.keyboard.press(chord)
        assert desk.current == first, chord
    desk.saved()
    assert not Verdict.objects.exists()


def test_keys_sleep_in_fields_dialogs_and_while_a_word_is_composed(page: Page, project: Project) -> None:
    examples(project, 2)
    desk = Desk(page, project).open()
    first = desk.current

    desk.press("comment")
    page.keyboard.type("ark 123 ?")
    expect(desk.at("#comment-text")).to_have_value("ark 123 ?")
    page.keyboard.press("Escape")
    desk.press("help")
    page.keyboard.press("r")
    page.keyboard.press("Escape")
    for composed in ("isComposing: true", "keyCode: 229", "repeat: true"):
        page.evaluate(
            f"document.body.dispatchEvent(new KeyboardEvent('keydown', {{key: 'a', bubbles: true, {composed}}}))"
        )

    assert desk.current == first
    assert not Verdict.objects.exists()


def test_on_a_keyboard_whose_digits_need_shift_they_still_choose(page: Page, project: Project) -> None:
    examples(project, 2)
    desk = Desk(page, project).open()
    first = desk.current

    page.evaluate(
        "document.body.dispatchEvent(new KeyboardEvent('keydown', {key: '&', code: 'Digit1', bubbles: true}))"
    )

    desk.left(first)
    assert desk.verdict(first).categories == ["fraud"]


def test_where_alt_writes_another_letter_the_place_of_the_key_counts(
    opened: Opened, lead: User, project: Project
) -> None:
    Preferences.objects.create(user=lead, key_mode="alt")
    examples(project, 2)
    desk = Desk(opened(lead), project, "alt").open()
    first = desk.current

    send_key(desk.page, "{key: 'å', code: 'KeyA', altKey: true, bubbles: true}")

    desk.left(first)
    assert desk.verdict(first).decision == "accept"


def test_the_keys_on_the_buttons_are_those_of_the_keymap(page: Page, project: Project) -> None:
    examples(project, 1)
    Desk(page, project).open()

    for button in page.locator("#decide [data-act]").all():
        act = button.get_attribute("data-act") or ""
        badge = button.locator("kbd")
        if badge.count():
            key = act[9:] if act.startswith("category-") else keymap.keys({})[act].upper()
            assert badge.text_content() == key, act


def hold_back(page: Page, pattern: str) -> list[Route]:
    """Keep the requests to an address waiting; the test answers them."""
    held: list[Route] = []
    page.route(pattern, lambda route: held.append(route))
    return held


def start_to_save(desk: Desk, text: str) -> int:
    before = desk.current
    desk.press("edit")
    desk.at("#edit-text").fill(text)
    desk.page.keyboard.press("Control+Enter")
    expect(desk.at("#edit")).to_be_hidden()
    return before


def test_a_key_pressed_while_an_edit_is_saved_decides_the_edited_text(page: Page, project: Project) -> None:
    examples(project, 3)
    desk = Desk(page, project).open()
    held = hold_back(page, "**/text")
    first = start_to_save(desk, "it says something else now")

    desk.press("approve")
    desk.press("reject")
    assert desk.current == first
    held[0].continue_()
    desk.left(first)

    verdict = desk.verdict(first)
    assert (verdict.decision, verdict.version) == ("accept", 2)
    assert Verdict.objects.filter(decision="reject").exclude(example=first).count() == 1


def test_an_edit_that_is_not_saved_stands_in_the_editor_again_and_nothing_was_decided(
    page: Page, project: Project
) -> None:
    examples(project, 3)
    desk = Desk(page, project).open()
    held = hold_back(page, "**/text")
    first = start_to_save(desk, "it says something else now")

    desk.press("approve")
    held[0].abort()

    expect(desk.at("#edit-text")).to_have_value("it says something else now")
    expect(desk.at("#edit-problem")).to_contain_text("What you pressed meanwhile was not done")
    assert desk.current == first
    assert not Verdict.objects.by_people().exists()
