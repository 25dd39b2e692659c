from __future__ import annotations

from datetime import timedelta
from typing import Any
from unittest import mock

import pytest
from django.utils import timezone

from curation.models import ExamAttempt, GoldQuestion, Project, ReviewRules, Verdict
from curation.operations import Refused, exams, reviews, wellbeing
from tests.factories import make_example, make_gold, make_member, make_project, make_rules

pytestmark = pytest.mark.django_db


@pytest.fixture
def project() -> Project:
    """Four questions of fraud, one of hate, three harmless ones; exams of six."""
    project = make_project()
    make_rules(project, exam_required=True, exam_size=6, exam_bar=0.8)
    for category in ("fraud", "fraud", "fraud", "fraud", "hate", "", "", ""):
        label, categories = ("unsafe", [category]) if category else ("safe", [])
        make_gold(make_example(project, state="accepted"), label=label, categories=categories)
    return project


@pytest.fixture
def rules(project: Project) -> ReviewRules:
    return project.review_rules


@pytest.fixture
def ana(project: Project) -> Any:
    return make_member(project, "annotator", "ana")


def take(project: Project, user: Any, wrong: int = 0) -> ExamAttempt:
    questions, paper = exams.paper(project, user, "fraud", project.review_rules)
    return exams.grade(project, user, project.review_rules, paper, answers(questions, wrong))[0]


def answers(questions: list[GoldQuestion], wrong: int = 0) -> dict[int, tuple[str, list[str]]]:
    given = {one.pk: (one.label, list(one.categories)) for one in questions}
    return {**given, **{one.pk: ("", []) for one in questions[:wrong]}}


def test_a_category_with_too_few_questions_has_no_exam(project: Project, rules: ReviewRules) -> None:
    assert exams.sizes(project, rules) == {"fraud": 6, "hate": 0, "child-exploitation": 0}


def test_before_the_first_exam_nothing_is_handed_out_except_to_leads(
    project: Project, ana: Any, rules: ReviewRules
) -> None:
    stop = wellbeing.pause(project, ana, rules)

    assert stop is not None and stop.kind == "exam"
    assert wellbeing.pause(project, make_member(project, "lead"), rules) is None


def test_without_any_questions_nobody_is_locked_out(project: Project, ana: Any, rules: ReviewRules) -> None:
    GoldQuestion.objects.update(active=False)

    assert wellbeing.pause(project, ana, rules) is None


def test_an_exam_is_about_half_of_the_category_and_half_harmless(
    project: Project, ana: Any, rules: ReviewRules
) -> None:
    questions, _ = exams.paper(project, ana, "fraud", rules)

    assert sorted(one.label for one in questions) == ["safe"] * 3 + ["unsafe"] * 3
    assert len({one.pk for one in questions}) == 6


def test_harmless_texts_that_were_taken_for_the_category_come_first(
    project: Project, ana: Any, rules: ReviewRules
) -> None:
    near = [
        make_gold(
            make_example(project, state="accepted", proposed_label="unsafe", proposed_categories=["fraud"]),
            label="safe",
            categories=[],
        )
        for _ in range(3)
    ]

    questions, _ = exams.paper(project, ana, "fraud", rules)

    assert {one.pk for one in near} <= {one.pk for one in questions}


def test_passing_opens_the_category_and_keeps_every_answer(project: Project, ana: Any, rules: ReviewRules) -> None:
    attempt = take(project, ana, wrong=1)  # five of six is above 0.8

    assert (attempt.right, attempt.total, attempt.passed) == (5, 6, True)
    assert wellbeing.pause(project, ana, rules) is None
    assert exams.missing(project, ana, rules) == set()
    assert Verdict.objects.filter(reviewer=ana, purpose="exam").count() == 6
    assert not Verdict.objects.counted().exists()


def test_answers_of_an_exam_cannot_be_taken_back_at_the_desk(project: Project, ana: Any, rules: ReviewRules) -> None:
    take(project, ana)

    assert reviews.undo(ana, project) is None


def test_other_categories_with_an_exam_stay_closed_until_it_is_passed(
    project: Project, ana: Any, rules: ReviewRules
) -> None:
    for _ in range(3):
        make_gold(make_example(project, state="accepted"), label="unsafe", categories=["hate"])
    take(project, ana)

    assert wellbeing.care_for(project, ana, rules).avoid == {"hate"}


def test_after_failing_one_waits_a_day(project: Project, ana: Any, rules: ReviewRules) -> None:
    assert take(project, ana, wrong=2).passed is False  # four of six is below 0.8

    with pytest.raises(Refused, match="cannot be taken now"):
        exams.paper(project, ana, "fraud", rules)
    with mock.patch("django.utils.timezone.now", return_value=timezone.now() + timedelta(hours=25)):
        assert take(project, ana).passed is True


def test_a_paper_is_handed_in_once(project: Project, ana: Any, rules: ReviewRules) -> None:
    questions, paper = exams.paper(project, ana, "fraud", rules)
    exams.grade(project, ana, rules, paper, answers(questions, wrong=6))

    with pytest.raises(Refused, match="handed in already"):
        exams.grade(project, ana, rules, paper, answers(questions))
    assert ExamAttempt.objects.count() == 1


def test_a_paper_of_somebody_else_or_a_forged_one_is_refused(project: Project, ana: Any, rules: ReviewRules) -> None:
    questions, paper = exams.paper(project, ana, "fraud", rules)
    ben = make_member(project, "annotator", "ben")

    for who, what in ((ben, paper), (ana, paper[:-2] + "xx"), (ana, "")):
        with pytest.raises(Refused, match="paper"):
            exams.grade(project, who, rules, what, answers(questions))
    assert not ExamAttempt.objects.exists()


def test_every_question_wants_an_answer(project: Project, ana: Any, rules: ReviewRules) -> None:
    questions, paper = exams.paper(project, ana, "fraud", rules)

    with pytest.raises(Refused, match="2 questions have no answer"):
        exams.grade(project, ana, rules, paper, answers(questions[2:]))


def test_a_passed_exam_and_a_missing_one_cannot_be_taken(project: Project, ana: Any, rules: ReviewRules) -> None:
    take(project, ana)

    for category in ("fraud", "hate", "no-such"):
        with pytest.raises(Refused):
            exams.paper(project, ana, category, rules)
