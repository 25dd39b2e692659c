"""A lead's pages in a real Chromium: charts are drawn, the slider answers, nothing is wider than the window."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import Page, expect

from curation.operations import plans
from tests.browser.conftest import Opened
from tests.curation.fake_programs import FakePrograms
from tests.curation.lead_scene import make_programs, make_two_rounds, work_all
from tests.factories import make_member


@pytest.fixture
def programs(monkeypatch: pytest.MonkeyPatch) -> FakePrograms:
    return make_programs(monkeypatch)


@pytest.fixture
def seen(opened: Opened, programs: FakePrograms) -> tuple[Page, Any, int]:
    programs.torn = True  # so that there are contrast pairs
    project = make_two_rounds(programs)
    lead = make_member(project, "lead", "lea")
    plan = plans.make(project, lead)
    plans.look(plan, lead)
    work_all(project)
    return opened(lead), project, plan.pk


def test_the_leads_pages_draw_their_charts_and_fit(seen: tuple[Page, Any, int]) -> None:
    page, project, plan = seen
    for width in (1440, 390):
        page.set_viewport_size({"width": width, "height": 900})
        for address, charts in (
            ("", 0), ("rounds/1/", 1), ("guards/", 0), ("guards/2/", 3), ("guards/2/against/1/", 3),
            ("guards/rules/", 0), (f"rounds/plans/{plan}/source/", 0), (f"rounds/plans/{plan}/recipe/", 0),
            (f"rounds/plans/{plan}/preview/", 0), (f"rounds/plans/{plan}/launch/", 0), ("rounds/recipes/", 0),
            ("people/", 0), ("people/audit/", 0),
        ):  # fmt: skip
            page.goto(f"/p/{project.slug}/{address}")
            expect(page.locator("h1").first).to_be_attached()
            expect(page.locator("[data-chart] canvas")).to_have_count(charts)
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), f"{address} at {width}"


def test_moving_the_threshold_shows_what_it_would_change(seen: tuple[Page, Any, int]) -> None:
    page, project, _ = seen
    page.goto(f"/p/{project.slug}/guards/2/")

    page.locator("#at").fill("0.75")

    expect(page.locator("#moved")).to_contain_text("more pass")


def test_a_guard_goes_live_against_a_rule_with_a_reason_alone(seen: tuple[Page, Any, int]) -> None:
    page, project, _ = seen
    page.goto(f"/p/{project.slug}/guards/2/")
    button = page.get_by_role("button", name="Promote against the rules")

    button.click()
    expect(page.get_by_text("does not hold what this project asks").first).to_be_visible()
    page.locator("#gate textarea").fill("The twins of this set are mislabelled.")
    button.click()

    expect(page.get_by_text("Guard 2 is active.")).to_be_visible()
