from __future__ import annotations

from typing import Any

import pytest

from curation.models import Adjudication, Example, Project
from curation.operations import Refused, adjudication
from curation.operations.adjudication import apartness, sides
from tests.factories import make_example, make_member, make_project, make_verdict

pytestmark = pytest.mark.django_db
TEXT = "how do i get into a house when i lost the key of it"


@pytest.fixture
def project() -> Project:
    return make_project()


@pytest.fixture
def people(project: Project) -> Any:
    return {name: make_member(project, "annotator", name) for name in ("ana", "ben")}


@pytest.fixture
def judge(project: Project) -> Any:
    return make_member(project, "adjudicator", "judge")


@pytest.fixture
def case(project: Project, people: Any) -> Adjudication:
    """Ana says safe, after no time at all; Ben says fraud."""
    example = make_example(project, text=TEXT, state="disputed", proposed_label="unsafe", proposed_categories=["fraud"])
    make_verdict(example, people["ana"], "relabel", label="safe", categories=[], active_seconds=0.4, confidence=3)
    make_verdict(example, people["ben"], seconds=30, active_seconds=9.5)
    return adjudication.open_for(example)


def test_verdicts_stand_side_by_side_without_names(case: Adjudication) -> None:
    found = sides(case)

    assert [side.letter for side in found] == ["A", "B"]
    assert {(side.label, side.seconds, side.too_fast) for side in found} == {
        ("safe", 0.4, True),
        ("unsafe", 9.5, False),
    }
    assert "ana" not in repr(found) and "ben" not in repr(found)
    assert apartness(found) == 1.0


def test_the_letters_say_nothing_of_who_was_first_and_stay_the_same(project: Project, people: Any) -> None:
    firsts = []
    for _ in range(20):
        example = make_example(project, state="disputed")
        make_verdict(example, people["ana"], "relabel", label="safe", categories=[])
        make_verdict(example, people["ben"], "relabel", label="unsafe", categories=["hate"])
        opened = adjudication.open_for(example)
        assert sides(opened) == sides(opened)
        firsts.append(sides(opened)[0].label)

    assert 2 <= firsts.count("safe") <= 18


def test_a_long_text_judged_in_few_seconds_was_not_read(project: Project, people: Any) -> None:
    example = make_example(project, text="word " * 90, state="disputed")
    make_verdict(example, people["ana"], active_seconds=5.0)
    make_verdict(example, people["ben"], active_seconds=7.0)

    assert sorted(side.too_fast for side in sides(adjudication.open_for(example))) == [False, True]


def test_how_far_answers_are_apart_is_the_share_of_pairs_that_differ(case: Adjudication, project: Project) -> None:
    for label in ("safe", "safe"):
        make_verdict(case.example, make_member(project, "annotator"), "relabel", label=label, categories=[])

    assert apartness(sides(case)) == 0.5  # three of six pairs
    assert apartness([]) == 0.0


def test_whoever_judged_or_passed_on_an_example_does_not_settle_it(
    case: Adjudication, project: Project, judge: Any
) -> None:
    lead = make_member(project, "lead")
    other = adjudication.open_for(make_example(project, state="disputed"), by=lead)
    verdict = make_verdict(case.example, lead)
    make_verdict(case.example, lead, "withdraw", supersedes=verdict)  # taking it back does not make one impartial

    assert list(adjudication.waiting(project, lead)) == []
    assert list(adjudication.waiting(project, judge)) == [case, other]


def test_a_skip_is_no_judgement(case: Adjudication, project: Project, judge: Any) -> None:
    make_verdict(case.example, judge, "skip")

    assert list(adjudication.waiting(project, judge)) == [case]


def test_settling_decides_the_example_and_closes_the_case(case: Adjudication, judge: Any) -> None:
    verdict = adjudication.settle(
        case, judge, "unsafe", ["hate", "fraud"], cause="guideline-gap", confidence=2, note=" both ", seconds=12.0
    )

    case.refresh_from_db()
    example = Example.objects.get(pk=case.example_id)
    assert (example.state, example.label, example.categories) == ("accepted", "unsafe", ["fraud", "hate"])
    assert (case.verdict, case.cause, case.confidence, case.note) == (verdict, "guideline-gap", 2, "both")
    assert case.closed_at is not None
    assert (verdict.purpose, verdict.decision, verdict.reviewer) == ("adjudication", "relabel", judge)
    assert example.moves().last().note == "adjudicated"


@pytest.mark.parametrize(
    ("label", "categories", "decision", "state"),
    [
        ("unsafe", ["fraud"], "accept", "accepted"),
        ("safe", ["fraud"], "relabel", "accepted"),
        ("", [], "reject", "rejected"),
    ],
)
def test_what_holds_may_be_the_proposal_another_label_or_a_rejection(
    case: Adjudication, judge: Any, label: str, categories: list[str], decision: str, state: str
) -> None:
    verdict = adjudication.settle(case, judge, label, categories, cause="edge-case")

    assert verdict.decision == decision
    assert Example.objects.get(pk=case.example_id).state == state


def test_a_case_is_settled_once(case: Adjudication, project: Project, judge: Any) -> None:
    adjudication.settle(case, judge, "safe", [], cause="subjective")

    with pytest.raises(Refused, match="Somebody else"):
        adjudication.settle(case, make_member(project, "lead"), "unsafe", ["fraud"], cause="subjective")
    assert Example.objects.get(pk=case.example_id).label == "safe"


def test_the_person_who_judged_is_refused_even_if_they_ask(case: Adjudication, people: Any) -> None:
    with pytest.raises(Refused):
        adjudication.settle(case, people["ana"], "safe", [], cause="subjective")


@pytest.mark.parametrize(
    ("label", "categories", "cause", "field"),
    [
        ("maybe", [], "edge-case", "label"), ("unsafe", [], "edge-case", "categories"),
        ("unsafe", ["no-such"], "edge-case", "categories"), ("safe", [], "because", "cause"),
    ],
)  # fmt: skip
def test_bad_answers_are_refused_with_the_field(
    case: Adjudication, judge: Any, label: str, categories: list[str], cause: str, field: str
) -> None:
    with pytest.raises(Refused) as refused:
        adjudication.settle(case, judge, label, categories, cause=cause)

    assert refused.value.field == field
    assert Example.objects.get(pk=case.example_id).state == "disputed"


def test_a_disagreement_that_was_taken_back_leaves_no_case(case: Adjudication, project: Project, judge: Any) -> None:
    adjudication.withdraw(case.example)

    assert list(adjudication.waiting(project, judge)) == []


def test_a_text_that_was_only_passed_on_is_settled_without_a_cause(project: Project, people: Any, judge: Any) -> None:
    example = make_example(project, state="disputed")
    make_verdict(example, people["ana"], "escalate")
    make_verdict(example, people["ben"], "accept", label="safe", categories=[])
    passed_on = adjudication.open_for(example, by=people["ana"])

    verdict = adjudication.settle(passed_on, judge, "safe", [])

    assert verdict.cause == ""
    assert Example.objects.get(pk=example.pk).state == "accepted"


def test_where_people_disagreed_the_cause_is_asked_for(case: Adjudication, judge: Any) -> None:
    with pytest.raises(Refused, match="why the verdicts disagreed"):
        adjudication.settle(case, judge, "safe", [])
