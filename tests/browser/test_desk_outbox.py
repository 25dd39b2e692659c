"""Nothing lost: verdicts survive a cut network, a closed tab and a dead server, and each counts once."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from django.contrib.auth.models import User
from playwright.sync_api import Page, Route, expect

from curation.models import Example, Lease, Project, Verdict
from tests.browser.conftest import Opened
from tests.browser.desk import Desk, examples
from tests.browser.server import address_of_database, serving

CUT = float(os.environ.get("WHETSTONE_TEST_CUT_SECONDS", "6"))  # the whole minute is for a run by hand
HUNDRED = 100


def judge(desk: Desk, count: int) -> dict[int, str]:
    """Judge so many by keyboard alone, as fast as texts appear; return what was decided of which."""
    acts = ("approve", "reject", "category-2", "approve", "category-0")
    said = {"approve": "accept", "reject": "reject", "category-2": "relabel", "category-0": "accept"}
    decided = {}
    for number in range(count):
        act = acts[number % len(acts)]
        decided[desk.decide(act)] = said[act]
    return decided


def stored() -> dict[int, str]:
    """What the database has, and that nothing is there twice."""
    rows = list(Verdict.objects.by_people().order_by("pk").values_list("example", "decision", "idempotency_key"))
    assert len({example for example, _, _ in rows}) == len(rows)
    assert len({key for _, _, key in rows}) == len(rows)
    return {example: decision for example, decision, _ in rows}


def test_a_hundred_are_judged_by_keyboard_alone_and_each_counts_once(page: Page, project: Project) -> None:
    examples(project, HUNDRED)
    desk = Desk(page, project).open()

    decided = judge(desk, HUNDRED - 1)
    decided[desk.current] = "accept"
    desk.press("approve")

    expect(desk.at("#void-title")).to_have_text("Nothing left for you")
    desk.saved()
    assert stored() == decided
    assert len(decided) == HUNDRED
    assert all(verdict.active_seconds is not None for verdict in Verdict.objects.all())
    assert not Example.objects.filter(project=project, state="queued").exists()


def test_a_cut_network_costs_nothing(page: Page, project: Project) -> None:
    examples(project, HUNDRED)
    desk = Desk(page, project).open()
    decided = judge(desk, 40)

    few = desk.stocked()
    page.context.set_offline(True)
    decided |= judge(desk, few)  # what is prefetched can be judged on
    expect(desk.at("#saved-text")).to_have_text(re.compile(r"\d+ waiting"))
    expect(page.get_by_text("The server does not answer").first).to_be_visible(timeout=20_000)
    page.wait_for_timeout(CUT * 1000)
    assert len(stored()) < len(decided)
    page.context.set_offline(False)

    decided |= judge(desk, 30)
    desk.saved()
    assert stored() == decided
    expect(desk.at("[data-notice=offline]")).to_have_count(0)


def test_a_closed_tab_sends_what_waited_when_the_desk_is_opened_again(page: Page, project: Project) -> None:
    examples(project, 30)
    desk = Desk(page, project).open()
    decided = judge(desk, 3)
    desk.saved()
    page.context.set_offline(True)
    decided |= judge(desk, 3)
    expect(desk.at("#saved-text")).to_have_text("3 waiting")

    context = page.context
    page.close()
    context.set_offline(False)
    again = Desk(context.new_page(), project).open()

    again.saved()
    assert stored() == decided
    assert again.current not in decided
    expect(again.at("#recent li")).to_have_count(6)


def test_a_server_that_dies_between_commit_and_answer_loses_and_doubles_nothing(
    opened: Opened, lead: User, project: Project, tmp_path: Path
) -> None:
    examples(project, HUNDRED)
    dies = tmp_path / "dies"
    with serving({"DATABASE_URL": address_of_database()}, dies) as server:
        desk = Desk(opened(lead, server.url), project).open()
        decided = {}
        for _ in range(3):
            decided |= judge(desk, 25)
            desk.saved()
            few = desk.stocked()
            dies.touch()
            decided |= judge(desk, few)
            wait_for(lambda: server.is_dead, desk)
            assert len(stored()) >= len(decided) - few + 1  # the one after which it died was stored
            expect(desk.at("#saved")).to_have_attribute("data-state", "stuck", timeout=20_000)
            server.start()
            desk.saved()
        decided |= judge(desk, HUNDRED - len(decided) - 1)
        decided[desk.current] = "reject"
        desk.press("reject")
        desk.saved()

        assert stored() == decided
        assert len(decided) == HUNDRED


def wait_for(true: Callable[[], bool], desk: Desk) -> None:
    for _ in range(400):
        if true():
            return
        desk.page.wait_for_timeout(50)
    raise AssertionError("waited in vain")


def test_an_answer_that_gets_lost_does_not_double_the_verdict(page: Page, project: Project) -> None:
    examples(project, 3)
    cut: list[int] = []

    def lose(route: Route) -> None:
        if len(cut) < 2:
            cut.append(route.fetch().status)  # the server has it; the browser never hears so
            route.abort()
        else:
            route.continue_()

    page.route("**/review/verdicts", lose)
    desk = Desk(page, project).open()
    decided = judge(desk, 2)
    desk.saved()

    assert cut == [200, 200]
    assert stored() == decided


def test_a_lost_lease_keeps_the_decision_and_says_so(page: Page, project: Project, annotator: User) -> None:
    first, *_ = examples(project, 3)
    desk = Desk(page, project).open()
    Lease.objects.filter(example=first).end("released")
    judged_by(annotator, first)

    desk.decide("reject")

    notice = page.get_by_role("status").filter(has_text=f"Example {first.pk}")
    expect(notice).to_contain_text("already")
    expect(notice).to_contain_text("Your decision is kept here")
    page.reload()
    desk.wait_until_ready()
    expect(notice).to_contain_text("Your decision is kept here")
    notice.get_by_role("button", name="Let it go").click()
    expect(notice).to_have_count(0)
    page.reload()
    desk.wait_until_ready()
    expect(notice).to_have_count(0)
    assert Verdict.objects.get(example=first).reviewer == annotator


def test_a_text_that_somebody_changed_meanwhile_comes_back_to_be_read(
    page: Page, project: Project, annotator: User
) -> None:
    from curation.operations import edits

    first, *_ = examples(project, 3)
    desk = Desk(page, project).open()
    edits.edit(project, annotator, first.pk, 1, "it reads otherwise now")

    desk.press("approve")

    expect(desk.at("#text")).to_have_text("it reads otherwise now")
    expect(page.get_by_text("The text was changed meanwhile")).to_be_visible()
    assert not Verdict.objects.exists()
    assert desk.verdict(desk.decide("approve")).version == 2


def judged_by(user: User, example: Example) -> None:
    from curation.operations import reviews

    reviews.submit(example.project, user, example.pk, reviews.Answer("accept"))


def test_undo_of_what_was_never_sent_sends_nothing(page: Page, project: Project) -> None:
    examples(project, 8)
    desk = Desk(page, project).open()
    page.context.set_offline(True)
    sent = desk.decide("approve")
    expect(desk.at("#saved")).to_have_attribute("data-state", "stuck", timeout=20_000)
    unsent = desk.decide("approve")

    desk.press("undo")
    expect(desk.at("#heading")).to_have_text(f"Example {unsent}")
    desk.decide("reject")
    page.context.set_offline(False)

    desk.saved()
    assert stored() == {sent: "accept", unsent: "reject"}


def test_undo_of_what_may_have_arrived_takes_it_back_once_it_is_confirmed(page: Page, project: Project) -> None:
    examples(project, 4)
    desk = Desk(page, project).open()
    page.context.set_offline(True)
    sent = desk.decide("approve")
    expect(desk.at("#saved")).to_have_attribute("data-state", "stuck", timeout=20_000)

    desk.press("undo")
    expect(desk.at("#recent .is-withdrawing")).to_be_visible()
    page.context.set_offline(False)

    expect(desk.at("#heading")).to_have_text(f"Example {sent}", timeout=20_000)
    assert not Verdict.objects.current().by_people().exists()
    assert desk.verdict(desk.decide("reject")).decision == "reject"


def test_ten_decisions_can_be_taken_back_from_the_list(page: Page, project: Project) -> None:
    examples(project, 14)
    desk = Desk(page, project).open()
    decided = list(judge(desk, 12))
    desk.saved()
    expect(desk.at("#recent li")).to_have_count(10)

    desk.at("#recent").get_by_role("button", name=str(decided[4])).click()

    expect(desk.at("#heading")).to_have_text(f"Example {decided[4]}")
    expect(desk.at("#recent li")).to_have_count(9)
    assert set(Verdict.objects.current().by_people().values_list("example", flat=True)) == set(decided) - {decided[4]}


def test_whoever_was_signed_out_keeps_what_they_decided(page: Page, project: Project, expected: list[str]) -> None:
    expected += ["401", "403"]
    examples(project, 4)
    desk = Desk(page, project).open()
    cookies = page.context.cookies()
    page.context.clear_cookies()
    decided = judge(desk, 2)

    expect(page.get_by_text("You were signed out")).to_be_visible()
    assert stored() == {}
    page.context.add_cookies(cookies)  # type: ignore[arg-type]
    page.reload()
    desk.wait_until_ready()

    desk.saved()
    assert stored() == decided


def test_another_person_on_the_same_browser_sends_nothing_of_the_first(
    page: Page, project: Project, annotator: User, live_server: Any
) -> None:
    from tests.browser.conftest import sign_in

    examples(project, 6)
    desk = Desk(page, project).open()
    page.context.set_offline(True)
    judge(desk, 2)
    expect(desk.at("#saved-text")).to_have_text("2 waiting")
    page.close()

    context = page.context
    context.set_offline(False)
    context.clear_cookies()
    sign_in(context, annotator, live_server.url)
    other = Desk(context.new_page(), project).open()

    expect(other.at("#saved-text")).to_have_text("saved")
    other.page.wait_for_timeout(1_500)
    assert stored() == {}


def test_without_storage_verdicts_go_out_all_the_same(page: Page, project: Project) -> None:
    page.add_init_script("Object.defineProperty(window, 'indexedDB', {value: undefined})")
    examples(project, 3)
    desk = Desk(page, project).open()

    decided = judge(desk, 2)

    desk.saved()
    assert stored() == decided
