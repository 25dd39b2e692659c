from __future__ import annotations

from datetime import timedelta
from typing import Any
from unittest import mock

import pytest
from django.utils import timezone

from curation.models import Project, Verdict
from curation.operations import adjudication, quality
from curation.operations.quality import Share, wilson
from tests.factories import make_example, make_gold, make_member, make_project, make_verdict

# Newcombe (1998), Statistics in Medicine 17, table I: 95 % limits of Wilson's score method.
PUBLISHED = [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)]


@pytest.mark.parametrize(("part", "whole", "low", "high"), PUBLISHED)
def test_wilsons_interval_is_the_published_one(part: int, whole: int, low: float, high: float) -> None:
    assert wilson(part, whole) == pytest.approx((low, high), abs=0.0001)


def test_of_none_there_is_no_share() -> None:
    assert (Share(0, 0).value, Share(0, 0).low, Share(0, 0).high) == (None, None, None)


@pytest.fixture
def project() -> Project:
    project = make_project()
    project.policy_version.categories.filter(key="hate").update(severity=4)
    return project


@pytest.fixture
def ana(project: Project) -> Any:
    return make_member(project, "annotator", "ana")


def ago(days: float) -> Any:
    return mock.patch("django.utils.timezone.now", return_value=timezone.now() - timedelta(days=days))


@pytest.mark.django_db
def test_speed_is_the_median_of_active_time_of_single_decisions(project: Project, ana: Any) -> None:
    for seconds in (2, 4, 6, 8, 100):
        make_verdict(make_example(project), ana, active_seconds=seconds, seconds=3600)
    make_verdict(make_example(project), ana, "skip", active_seconds=500)
    with ago(31):
        make_verdict(make_example(project), ana, active_seconds=900)

    work = quality.of(project, ana)

    assert (work.verdicts, work.quick, work.seconds, work.slow) == (5, 4, 6, 8)


@pytest.mark.django_db
def test_without_any_work_there_are_no_figures(project: Project, ana: Any) -> None:
    work = quality.of(project, ana)

    assert (work.verdicts, work.seconds, work.gold.value, work.settled.value) == (0, None, None, None)
    assert quality.days(project, ana) == quality.exposure(project, ana) == []


@pytest.mark.django_db
def test_right_is_measured_on_known_questions_and_on_what_was_decided(project: Project, ana: Any) -> None:
    ben, judge = make_member(project, "annotator", "ben"), make_member(project, "adjudicator")
    for right in (True, False):
        gold = make_gold(make_example(project, state="accepted"), label="safe", categories=[])
        make_verdict(gold.example, ana, "relabel", purpose="gold", label="safe" if right else "unsafe", categories=[])
    alone = make_example(project, state="accepted", label="safe")
    shared = make_example(project, state="accepted", label="safe")
    both = make_example(project, state="accepted", label="unsafe", categories=["fraud", "hate"])
    for reviewer in (ana, ben):
        make_verdict(both, reviewer, "relabel", label="unsafe", categories=["hate", "fraud"])
    disputed = make_example(project, state="disputed")
    for example in (alone, shared, disputed):
        make_verdict(example, ana, "relabel", label="safe", categories=[])
    for example in (shared, disputed):
        make_verdict(example, ben, "relabel", label="unsafe", categories=["hate"])
    case = adjudication.open_for(disputed)
    adjudication.settle(case, judge, "unsafe", ["hate"], cause="reviewer-error")

    hers, his = quality.of(project, ana), quality.of(project, ben)

    assert (hers.gold.part, hers.gold.whole) == (1, 2)
    assert (hers.settled.part, hers.settled.whole) == (2, 3)
    assert (hers.reversed.part, hers.reversed.whole) == (1, 1)
    assert (his.settled.part, his.settled.whole, his.reversed.part) == (2, 3, 0)
    assert [(own.example, own.label, held.pk) for own, held in quality.settled_otherwise(project, ana)] == [
        (disputed, "safe", case.pk)
    ]
    assert quality.settled_otherwise(project, ben) == []


@pytest.mark.django_db
def test_exposure_counts_severe_texts_and_minutes_by_week(project: Project, ana: Any) -> None:
    severe = {"proposed_label": "unsafe", "proposed_categories": ["hate"]}
    with ago(14):
        make_verdict(make_example(project, **severe), ana, active_seconds=60)
    taken_back = make_verdict(make_example(project, **severe), ana, active_seconds=90)
    make_verdict(taken_back.example, ana, "withdraw", supersedes=taken_back)
    make_verdict(make_example(project), ana, active_seconds=90)

    weeks = quality.exposure(project, ana)

    assert [(week.severe, week.minutes) for week in weeks] == [(1, 1.0), (1, 3.0)]  # what was read was read
    assert all(week.week.weekday() == 0 for week in weeks)


@pytest.mark.django_db
@pytest.mark.parametrize(("people", "shown"), [(4, 0), (5, 1)])
def test_leads_see_exposure_only_of_groups_of_five(project: Project, people: int, shown: int) -> None:
    for number in range(people):
        person = make_member(project, "annotator")
        for _ in range(number + 1):
            make_verdict(
                make_example(project, proposed_label="unsafe", proposed_categories=["hate"]), person, active_seconds=60
            )

    weeks = quality.group_exposure(project)

    assert len(weeks) == shown
    if shown:
        assert (weeks[0].people, weeks[0].severe, weeks[0].minutes) == (5, 3, 3.0)
    assert Verdict.objects.count() == sum(range(people + 1))
