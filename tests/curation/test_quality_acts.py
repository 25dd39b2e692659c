"""Disputes, known questions and exams: what their pages take and refuse."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from curation.models import ExamAttempt, Example, GoldQuestion, Preferences, Project, ReviewRules
from curation.operations import adjudication
from tests.curation.quality_scene import fill, make_reviewed_project
from tests.factories import make_example, make_member, make_project, make_verdict

pytestmark = pytest.mark.django_db


@pytest.fixture
def project() -> Project:
    return make_reviewed_project()


@pytest.fixture
def filled(project: Project) -> dict[str, Any]:
    return fill(project)


# Disputes


def settle(client: Client, project: Project, case: Any, **fields: Any) -> Any:
    body = {"label": "unsafe", "categories": ["fraud"], "cause": "edge-case", "confidence": "3", "note": ""}
    return client.post(reverse("quality-dispute", args=[project.slug, case.pk]), {**body, **fields})


def test_a_case_shows_no_names_and_warns_of_fast_decisions(
    client: Client, project: Project, filled: dict[str, Any]
) -> None:
    client.force_login(make_member(project, "adjudicator", "judge"))

    body = client.get(reverse("quality-dispute", args=[project.slug, filled["case"].pk])).content.decode()

    assert all(name not in body for name in ("ana", "ben", "cem"))
    assert "Verdict A" in body and "Verdict C" in body
    assert "faster than reading" in body


def test_settling_opens_the_next_case(client: Client, project: Project, filled: dict[str, Any]) -> None:
    client.force_login(make_member(project, "adjudicator"))
    second = adjudication.open_for(make_example(project, state="disputed"))
    opened = re.search(
        r'name="opened" value="([^"]+)"',
        client.get(reverse("quality-dispute", args=[project.slug, filled["case"].pk])).content.decode(),
    )

    assert opened is not None
    response = settle(client, project, filled["case"], opened=opened[1])
    assert response["Location"] == reverse("quality-dispute", args=[project.slug, second.pk])
    case = filled["case"]
    case.refresh_from_db()
    assert (case.cause, case.confidence) == ("edge-case", 3)
    assert case.verdict.seconds is not None and 0 <= case.verdict.seconds < 60

    client.force_login(filled["people"][0])
    learnt = client.get(reverse("quality-person", args=[project.slug, filled["people"][0].pk])).content.decode()
    assert "What was settled otherwise?" in learnt and "Edge case" in learnt
    client.force_login(case.verdict.reviewer)
    assert settle(client, project, second, label="reject")["Location"] == reverse(
        "quality-disputes", args=[project.slug]
    )
    assert Example.objects.get(pk=second.example_id).state == "rejected"


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"label": "unsafe", "categories": []}, "needs at least one category"),
        ({"categories": ["no-such"]}, "no-such is not one of the available choices"),
        ({"cause": ""}, "This field is required"),
        ({"label": "maybe"}, "maybe is not one of the available choices"),
        ({"note": "x" * 501}, "at most 500 characters"),
    ],
)
def test_what_is_missing_is_said_beside_its_field(
    client: Client, project: Project, filled: dict[str, Any], fields: dict[str, Any], words: str
) -> None:
    client.force_login(make_member(project, "adjudicator"))

    response = settle(client, project, filled["case"], **fields)

    assert response.status_code == 422
    assert words in response.content.decode()


def test_whoever_judged_it_or_comes_late_is_sent_back_with_a_sentence(
    client: Client, project: Project, filled: dict[str, Any]
) -> None:
    lead = make_member(project, "lead")
    make_verdict(filled["case"].example, lead)
    client.force_login(lead)

    assert client.get(reverse("quality-dispute", args=[project.slug, filled["case"].pk])).status_code == 404
    response = client.post(reverse("quality-dispute", args=[project.slug, filled["case"].pk]), {}, follow=True)
    assert "settled this one" in response.content.decode()
    assert Example.objects.get(pk=filled["case"].example_id).state == "disputed"


def test_severe_texts_of_a_case_are_covered_until_asked_for(
    client: Client, project: Project, filled: dict[str, Any]
) -> None:
    project.policy_version.categories.filter(key="fraud").update(severity=4)
    client.force_login(make_member(project, "adjudicator"))
    address = reverse("quality-dispute", args=[project.slug, filled["case"].pk])

    assert "Severity 4 of 4: show the text" in client.get(address).content.decode()
    ReviewRules.objects.update(veil_severity=5)
    assert "show the text" not in client.get(address).content.decode()


def test_another_projects_case_is_not_there(client: Client, project: Project, filled: dict[str, Any]) -> None:
    other = make_project()
    client.force_login(make_member(other, "owner"))

    assert settle(client, other, filled["case"]).status_code == 404


# Known questions and exams


def test_a_lead_takes_agreed_examples_as_questions(client: Client, project: Project, filled: dict[str, Any]) -> None:
    agreed = make_example(project, state="accepted", label="safe")
    for person in filled["people"][:2]:
        make_verdict(agreed, person, "relabel", label="safe", categories=[])
    client.force_login(make_member(project, "lead"))
    address = reverse("quality-gold-take", args=[project.slug])

    assert client.post(address, {"wanted": "x"}).status_code == 422
    assert "1 known questions made" in client.post(address, {"wanted": 5}, follow=True).content.decode()
    assert "No example was judged alike" in client.post(address, {"wanted": 5}, follow=True).content.decode()
    assert agreed.gold.source == "agreed"


def write(client: Client, project: Project, **fields: Any) -> Any:
    body = {
        "text": "can i kill the lights in the hall", "example": "", "shown_label": "unsafe",
        "shown_categories": ["hate"], "label": "safe", "explanation": "Lamps.",
    }  # fmt: skip
    return client.post(reverse("quality-gold-write", args=[project.slug]), {**body, **fields})


def test_a_lead_writes_a_question(client: Client, project: Project) -> None:
    client.force_login(make_member(project, "lead"))

    assert write(client, project).status_code == 302
    made = GoldQuestion.objects.get()
    assert (made.label, made.example.proposed_categories, made.explanation) == ("safe", ["hate"], "Lamps.")


def test_a_lead_makes_a_question_of_an_example(client: Client, project: Project) -> None:
    client.force_login(make_member(project, "lead"))
    example = make_example(project, state="rejected")

    assert write(client, project, text="", example=example.pk, label="reject").status_code == 302
    assert (example.gold.label, example.gold.source) == ("", "lead")


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"text": ""}, "one of the two"),
        ({"example": "999999"}, "This project has no example 999999"),
        ({"label": "unsafe"}, "needs at least one category"),
        ({"shown_categories": []}, "needs at least one category"),
        ({"label": ""}, "This field is required"),
        ({"text": "x" * 32_001}, "at most 32000 characters"),
    ],
)
def test_a_question_that_cannot_be_is_refused_beside_its_field(
    client: Client, project: Project, fields: dict[str, Any], words: str
) -> None:
    client.force_login(make_member(project, "lead"))

    response = write(client, project, **fields)

    assert response.status_code == 422
    assert words in response.content.decode()
    assert not GoldQuestion.objects.exists()


def test_another_projects_example_is_no_question_here(client: Client, project: Project) -> None:
    client.force_login(make_member(project, "lead"))

    assert write(client, project, text="", example=make_example(state="accepted").pk).status_code == 422


def test_a_question_is_switched_off_and_on(client: Client, project: Project, filled: dict[str, Any]) -> None:
    client.force_login(make_member(project, "lead"))
    address = reverse("quality-gold-switch", args=[project.slug, filled["question"].pk])
    states = []
    for _ in range(2):
        client.post(address)
        states.append(GoldQuestion.objects.get(pk=filled["question"].pk).active)

    assert states == [False, True]


def test_an_exam_is_taken_from_the_first_page_to_the_result(
    client: Client, project: Project, filled: dict[str, Any]
) -> None:
    dee = make_member(project, "annotator", "dee")
    client.force_login(dee)
    address = reverse("quality-exam", args=[project.slug, "fraud"])
    paper = re.search(r'name="paper" value="([^"]+)"', client.get(address).content.decode())
    assert paper is not None
    answers = {f"label-{one.pk}": one.label for one in GoldQuestion.objects.all()}

    body = client.post(
        address, {**answers, f"categories-{filled['question'].pk}": "fraud", "paper": paper[1]}
    ).content.decode()

    assert "Passed: Fraud" in body and "2 of 2 right" in body
    assert ExamAttempt.objects.get().passed
    assert "passed" in client.get(reverse("quality-exams", args=[project.slug])).content.decode()
    assert client.get(address).status_code == 302  # it cannot be taken again


def test_all_texts_of_a_severe_exam_are_covered_so_that_the_cover_gives_no_answer_away(
    client: Client, project: Project, filled: dict[str, Any]
) -> None:
    dee = make_member(project, "annotator", "dee")
    client.force_login(dee)
    address = reverse("quality-exam", args=[project.slug, "fraud"])

    assert client.get(address).content.decode().count('class="veil"') == 0
    project.policy_version.categories.filter(key="fraud").update(severity=3)
    assert client.get(address).content.decode().count('class="veil"') == 2
    Preferences.objects.create(user=dee, veil_severity=4)
    assert client.get(address).content.decode().count('class="veil"') == 0


def test_an_exam_without_answers_or_with_a_forged_paper_is_refused(
    client: Client, project: Project, filled: dict[str, Any]
) -> None:
    client.force_login(make_member(project, "annotator", "dee"))
    address = reverse("quality-exam", args=[project.slug, "fraud"])

    response = client.post(address, {"paper": "forged", "label-99999999999999999999": "safe"}, follow=True)

    assert "too old or was changed" in response.content.decode()
    assert not ExamAttempt.objects.exists()
    assert (
        "has no exam" in client.get(reverse("quality-exam", args=[project.slug, "hate"]), follow=True).content.decode()
    )
