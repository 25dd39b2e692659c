"""What people ask a lead to look at, and what waits for whom."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from curation.models import Example, Flag, Project, Verdict
from curation.models.project import Role
from curation.operations import adjudication, edits, overview
from tests.factories import make_example, make_member, make_project, make_rules, make_verdict

pytestmark = pytest.mark.django_db


@pytest.fixture
def project() -> Project:
    return make_project()


def page_of(client: Client, example: Example) -> str:
    return client.get(reverse("example", args=[example.project.slug, example.pk])).content.decode()


def test_a_lead_is_told_of_a_flag_finds_it_and_takes_it_down(client: Client, project: Project) -> None:
    example, ana, lead = make_example(project), make_member(project, "annotator", "ana"), make_member(project, "lead")
    make_example(project)
    edits.flag(example, ana, "is this fraud or <b>privacy</b>")
    edits.comment(example, ana, "I saw it elsewhere")
    client.force_login(lead)

    (told,) = [one for one in overview.decisions(project, Role.LEAD) if "flagged" in one.words]
    listed = client.get(told.address)
    page = page_of(client, example)

    assert told.words == "1 flagged example"
    assert [row.pk for row in listed.context["rows"]] == [example.pk]
    assert "ana flagged it" in page
    assert "is this fraud or &lt;b&gt;privacy" in page
    assert "I saw it elsewhere" in page
    client.post(reverse("example-unflag", args=[project.slug, example.pk]))
    assert Flag.objects.get().resolved_by == lead
    assert not [one for one in overview.decisions(project, Role.LEAD) if "flagged" in one.words]
    page = page_of(client, example)
    assert "I have looked at it" not in page
    assert "looked at the flag" in page


def test_nobody_is_sent_where_they_may_not_go(client: Client, project: Project) -> None:
    make_example(project, state="disputed")
    edits.flag(make_example(project), make_member(project, "annotator"))

    told = {role: {one.words for one in overview.decisions(project, role)} for role in Role}

    assert told[Role.LEAD] == {"1 disputed example", "1 flagged example"}
    assert told[Role.ADJUDICATOR] == {"1 disputed example"}
    assert told[Role.ANNOTATOR] == told[Role.VIEWER] == set()


def test_the_list_of_disputes_says_that_one_was_passed_on(client: Client, project: Project) -> None:
    example = make_example(project, state="disputed")
    make_verdict(example, make_member(project, "annotator"), Verdict.Decision.ESCALATE)
    adjudication.open_for(example)
    client.force_login(make_member(project, "adjudicator"))

    page = client.get(reverse("quality-disputes", args=[project.slug])).content.decode()

    assert "passed on" in page
    assert "rejected" not in page


@pytest.mark.parametrize(
    ("blind", "role", "state", "seen"),
    [(True, "annotator", "queued", False), (False, "annotator", "queued", True), (True, "lead", "queued", True),
     (True, "annotator", "accepted", True)],
)  # fmt: skip
def test_who_judges_blind_reads_no_score_on_the_examples_page_either(
    blind: bool, role: str, state: str, seen: bool, client: Client, project: Project
) -> None:
    make_rules(project, blind=blind)
    scores: dict[str, Any] = {"guard": 0.4625, "novelty": 0.3125}
    example = make_example(project, scores=scores, state=state, label="safe" if state == "accepted" else "")
    client.force_login(make_member(project, role))

    page = page_of(client, example)

    assert ("0.46" in page) is seen
    assert "0.31" in page
