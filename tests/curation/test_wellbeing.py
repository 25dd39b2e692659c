from __future__ import annotations

from datetime import timedelta
from typing import Any
from unittest import mock

import pytest
from django.utils import timezone

from curation.models import Batch, BatchItem, OptOut, Preferences, Project, Verdict
from curation.operations import queue, wellbeing
from curation.operations.wellbeing import Limits, Read, overdone, run_of_severe, stricter
from tests.factories import make_example, make_gold, make_lease, make_member, make_project, make_rules, make_verdict

pytestmark = pytest.mark.django_db


@pytest.fixture
def project() -> Project:
    """Fraud is mild, hate is severe."""
    project = make_project()
    project.policy_version.categories.filter(key="hate").update(severity=4)
    project.policy_version.categories.exclude(key="hate").update(severity=2)
    return project


@pytest.fixture
def ana(project: Project) -> Any:
    return make_member(project, "annotator", "ana")


def read(project: Project, reviewer: Any, category: str = "", minutes_ago: float = 0, **fields: Any) -> Verdict:
    """A verdict of a while ago on a text proposed in this category."""
    unsafe = {"proposed_label": "unsafe", "proposed_categories": [category]} if category else {}
    then = timezone.now() - timedelta(minutes=minutes_ago)
    with mock.patch("django.utils.timezone.now", return_value=then):
        return make_verdict(make_example(project, **unsafe), reviewer, **{"active_seconds": 10, **fields})


@pytest.mark.parametrize(
    ("project", "own", "holds"), [(0, None, 0), (3, None, 3), (0, 2, 2), (3, 2, 2), (2, 9, 2), (3, 0, 3)]
)
def test_the_stricter_of_two_limits_holds_and_nobody_can_lift_the_projects(
    project: int, own: int | None, holds: int
) -> None:
    assert stricter(project, own) == holds


def test_break_nudges_are_the_persons_to_set(project: Project, ana: Any) -> None:
    rules = make_rules(project, break_after_minutes=45)

    assert Limits.of(rules, Preferences(break_after_minutes=90)).break_after_minutes == 90
    assert Limits.of(rules, Preferences(break_after_minutes=0)).break_after_minutes == 0
    assert Limits.of(rules, None).break_after_minutes == 45


def test_nobody_is_held_up_without_a_reason(project: Project, ana: Any) -> None:
    read(project, ana, "fraud")

    assert wellbeing.pause(project, ana, project.review_rules) is None


def test_the_daily_budget_stops_firmly_and_counts_active_time_of_today_in_all_projects(
    ana: Any, project: Project
) -> None:
    rules = make_rules(project, daily_budget_minutes=2)
    read(project, ana, active_seconds=70)
    read(project, ana, active_seconds=600, minutes_ago=26 * 60)

    assert wellbeing.pause(project, ana, rules) is None
    read(make_project(), ana, active_seconds=None, seconds=900)  # untracked time counts for two minutes at most

    stop = wellbeing.pause(project, ana, rules)
    assert stop is not None
    assert (stop.kind, "2 minutes" in stop.message) == ("budget", True)
    assert wellbeing.spent_today(ana) == 190


def test_a_person_may_stop_earlier_than_the_project_asks(project: Project, ana: Any) -> None:
    Preferences.objects.create(user=ana, daily_budget_minutes=1)
    read(project, ana, active_seconds=61)

    stop = wellbeing.pause(project, ana, make_rules(project, daily_budget_minutes=0))

    assert stop is not None and stop.kind == "budget"


BACK = timedelta(minutes=20)


@pytest.mark.parametrize(
    ("verdicts", "minutes"),
    [
        ((24, 20, 16, 12, 8, 4, 1), 24),
        ((24, 20, 12, 8, 4, 1), 12),  # eight minutes of rest before the third
        ((40, 36, 32, 28, 24, 20), 0),  # away by now
        ((), 0),
    ],
)
def test_a_sitting_lasts_since_the_last_rest(
    ana: Any, project: Project, verdicts: tuple[int, ...], minutes: int
) -> None:
    for ago in verdicts:
        read(project, ana, minutes_ago=ago)

    assert wellbeing.sitting_seconds(ana, BACK) == pytest.approx(60 * minutes, abs=50)


def test_the_desk_is_told_how_long_somebody_sat_there_already(project: Project, ana: Any) -> None:
    from curation.operations import desk

    make_rules(project, break_after_minutes=20)
    for ago in (12, 8, 4, 0):
        read(project, ana, minutes_ago=ago)

    told = desk.settings_for(project, ana)["wellbeing"]
    assert told["break_after_minutes"] == 20
    assert told["sitting_seconds"] == pytest.approx(720, abs=50)
    make_rules(project, break_after_minutes=0)
    assert desk.settings_for(project, ana)["wellbeing"]["sitting_seconds"] == 0


def test_opt_outs_are_left_out_and_are_nobody_elses(project: Project, ana: Any) -> None:
    OptOut.objects.create(user=ana, project=project, category="hate")
    OptOut.objects.create(user=ana, project=make_project(), category="fraud")

    assert wellbeing.care_for(project, ana, project.review_rules).avoid == {"hate"}
    ben = make_member(project, "annotator", "ben")
    assert wellbeing.care_for(project, ben, project.review_rules).avoid == set()


@pytest.mark.parametrize(("read", "run"), [("", 0), ("s", 1), ("ms", 1), ("ssm", 0), ("mss", 2), ("smsss", 3)])
def test_a_run_of_severe_texts_ends_with_a_milder_one(read: str, run: int) -> None:
    assert run_of_severe([["hate"] if one == "s" else ["fraud"] for one in read], frozenset(["hate"])) == run


def test_severe_texts_in_a_row_count_what_is_in_hand(project: Project, ana: Any) -> None:
    rules = make_rules(project, severe_in_row=3)
    read(project, ana, "hate", minutes_ago=3)
    make_lease(make_example(project, proposed_label="unsafe", proposed_categories=["hate"]), ana)

    assert wellbeing.care_for(project, ana, rules).severe_left == 1
    read(project, ana, "fraud", minutes_ago=1)
    assert wellbeing.care_for(project, ana, rules).severe_left == 2


def test_when_the_row_is_full_there_is_no_more_and_the_empty_queue_says_why(project: Project, ana: Any) -> None:
    rules = make_rules(project, severe_in_row=2)
    for minutes in (3, 2):
        read(project, ana, "hate", minutes_ago=minutes)

    said = wellbeing.explain(project, ana, rules)
    assert wellbeing.care_for(project, ana, rules).severe_left == 0
    assert said is not None and said.kind == "limit"


def test_after_a_rest_the_row_begins_anew(project: Project, ana: Any) -> None:
    rules = make_rules(project, severe_in_row=2)
    for minutes in (9, 8):
        read(project, ana, "hate", minutes_ago=minutes)

    assert wellbeing.care_for(project, ana, rules).severe_left == 2
    assert wellbeing.explain(project, ana, rules) is None


def test_severe_texts_of_the_day_count_each_once_even_when_taken_back(project: Project, ana: Any) -> None:
    rules = make_rules(project, severe_in_row=0, severe_per_day=5)
    first = read(project, ana, "hate")
    make_verdict(first.example, ana, "withdraw", supersedes=first)
    make_verdict(first.example, ana)
    read(project, ana, "hate")
    read(project, ana, "fraud")
    read(project, ana, "hate", minutes_ago=24 * 60 + 1)

    assert wellbeing.care_for(project, ana, rules).severe_left == 3


def test_without_severe_categories_or_limits_nothing_is_counted(project: Project, ana: Any) -> None:
    assert wellbeing.care_for(project, ana, make_rules(project, severe_in_row=0)).severe_left is None
    project.policy_version.categories.update(severity=1)
    project = Project.objects.get(pk=project.pk)
    assert wellbeing.care_for(project, ana, make_rules(project, severe_in_row=3)).severe_left is None


def test_the_last_texts_before_the_budget_ends_are_harmless(project: Project, ana: Any) -> None:
    rules = make_rules(project, daily_budget_minutes=2, end_on_harmless=3, severe_in_row=5)
    for _ in range(8):
        read(project, ana, "fraud", active_seconds=10)
    assert wellbeing.care_for(project, ana, rules).severe_left == 5

    read(project, ana, "fraud", active_seconds=10)  # 90 of 120 seconds: time for three more

    assert wellbeing.care_for(project, ana, rules).severe_left == 0


def test_a_category_that_took_most_of_the_time_rests() -> None:
    now = timezone.now()
    mostly = [Read(("fraud",), 40, now), Read(("hate",), 20, now), Read(("fraud",), 20, now)]

    assert overdone(mostly, 60) == {"fraud"}
    assert overdone(mostly, 90) == set()  # not yet so long at it
    assert overdone(mostly, 0) == set()  # rotation is off


def test_rotation_never_empties_a_queue(project: Project, ana: Any) -> None:
    rules = make_rules(project, rotate_after_minutes=1)
    for _ in range(4):
        read(project, ana, "fraud", active_seconds=20)
    make_example(project, proposed_label="unsafe", proposed_categories=["fraud"])

    project.examples.exclude(proposed_categories=["fraud"]).filter(state="queued").update(state="accepted")
    assert wellbeing.care_for(project, ana, rules).avoid == set()
    make_example(project)
    assert wellbeing.care_for(project, ana, rules).avoid == {"fraud"}


def test_severe_ones_from_known_questions_and_from_batches_count_against_one_limit(project: Project, ana: Any) -> None:
    rules = make_rules(project, severe_in_row=2, gold_rate=0.5)
    severe: dict[str, Any] = {"proposed_label": "unsafe", "proposed_categories": ["hate"]}
    lead = make_member(project, "lead")
    batch = Batch.objects.create(project=project, name="hers", created_by=lead)
    for _ in range(4):
        make_gold(make_example(project, state="accepted", **severe), label="unsafe", categories=["hate"])
        BatchItem.objects.create(batch=batch, assignee=ana, example=make_example(project, reserved=True, **severe))
        make_example(project, **severe)
        make_example(project)

    hand = queue.claim(project, ana, 8)

    assert rules.severe_in_row == 2
    assert sum(lease.example.proposed_categories == ["hate"] for lease in hand.leases) == 2
    assert len(hand.leases) == 6
