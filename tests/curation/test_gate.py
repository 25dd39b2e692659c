"""What stands between a guard and going live."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from curation.models import AuditEntry, Evaluation, EvaluationSet, Guard, Project, RowScores
from curation.operations import Refused, guards, measuring, scored
from tests.curation.fake_programs import FakePrograms
from tests.curation.lead_scene import go, make_programs, make_two_rounds, work_all
from tests.factories import make_member, make_project, make_seeds

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def programs(monkeypatch: pytest.MonkeyPatch) -> FakePrograms:
    return make_programs(monkeypatch)


@pytest.fixture
def project(programs: FakePrograms) -> Project:
    return make_two_rounds(programs)


def newest(project: Project) -> Guard:
    return Guard.objects.get(project=project, number=2)


def broken(guard: Guard) -> set[str]:
    return {check.rule for check in guards.checks(guard) if check.passed is False}


def test_a_guard_that_breaks_a_rule_does_not_go_live_by_itself(project: Project) -> None:
    assert newest(project).state == Guard.State.CANDIDATE
    assert broken(newest(project)) == {"Harmless twins", "Harm found at 1 % false alarms"}


def test_against_the_rules_it_takes_a_persons_reason(project: Project) -> None:
    lead = make_member(project, "lead")

    for by, reason in ((None, "a machine has no reasons"), (lead, ""), (lead, "because")):
        with pytest.raises(Refused, match="does not hold what this project asks"):
            guards.promote(newest(project), by, reason=reason)

    assert newest(project).state == Guard.State.CANDIDATE
    assert not AuditEntry.objects.filter(action="guard-promoted-against-rules").exists()


def test_who_overruled_what_and_why_is_kept(project: Project) -> None:
    lead = make_member(project, "lead")

    guards.promote(newest(project), lead, reason="The twins of this set are mislabelled.")

    entry = AuditEntry.objects.get(action="guard-promoted-against-rules")
    assert entry.actor == lead
    assert entry.detail["reason"] == "The twins of this set are mislabelled."
    assert {rule for rule, _ in entry.detail["broken"]} == {"Harmless twins", "Harm found at 1 % false alarms"}
    assert newest(project).state == Guard.State.ACTIVE


def test_a_guard_that_holds_every_rule_needs_no_reason(programs: FakePrograms) -> None:
    project = make_project()
    make_seeds(project, 12)
    go(project)
    go(project)

    assert newest(project).state == Guard.State.ACTIVE


def test_worse_on_an_earlier_rounds_set_is_found(project: Project, programs: FakePrograms) -> None:
    family = project.examples.trainable().filter(origin="seed").first().family  # type: ignore[union-attr]
    project.examples.filter(family=family).update(split="evaluation")  # so the next round freezes another set
    programs.scores, programs.average_precision = {}, 0.2
    third = go(project)

    earlier, own = [one for one in guards.checks(third.guard) if "Not worse" in one.rule], third.evaluation_set
    assert len(earlier) == 2
    assert own.pk != project.rounds.get(number=0).evaluation_set_id
    assert [check.passed for check in earlier] == [True, False]  # its own set is new to both


def test_rules_that_are_off_stop_nobody(project: Project) -> None:
    rules = guards.rules_of(project)
    rules.check_twins = rules.check_recall = False
    rules.save()

    assert broken(newest(project)) == set()


def test_going_back_is_one_act_with_a_reason(project: Project) -> None:
    lead = make_member(project, "lead")
    guards.promote(newest(project), lead, reason="To see how it does live.")

    with pytest.raises(Refused, match="why"):
        guards.roll_back(project, lead, "")
    back = guards.roll_back(project, lead, "It blocks harmless questions.")

    assert back.number == 1
    assert guards.active_of(project) == back
    assert newest(project).state == Guard.State.RETIRED
    assert AuditEntry.objects.get(action="guard-rolled-back").detail["to"] == 1


def test_there_is_nothing_to_go_back_to_after_a_first_guard(project: Project) -> None:
    with pytest.raises(Refused, match="No guard was active before"):
        guards.roll_back(project, make_member(project, "lead"), "just to try it out")


def test_every_row_of_a_set_has_its_score_in_the_sets_order(project: Project) -> None:
    guard = newest(project)
    found = scored.of(guard, guard.round.evaluation_set)

    assert found is not None
    assert len(found.values) == found.on.rows
    assert [value for value, unsafe in zip(found.values, found.rows.unsafe, strict=True) if unsafe] == (
        [0.7] * found.on.unsafe
    )


def test_what_was_not_measured_is_measured_by_a_job(project: Project) -> None:
    RowScores.objects.all().delete()
    assert len(measuring.gaps(project)) == 2

    measuring.fill_gaps(project, None)
    work_all(project)

    assert measuring.gaps(project) == []
    assert RowScores.objects.count() == 2


def test_a_threshold_shows_what_it_would_change(project: Project) -> None:
    guard = newest(project)
    found: Any = scored.of(guard, guard.round.evaluation_set)

    moved = scored.at_threshold(found, 0.75)

    assert moved["passed_now"]["count"] == moved["passed_now"]["unsafe"] == found.on.unsafe
    assert moved["blocked_now"]["count"] == 0
    assert moved["effect"].recall.value == 0


def test_two_guards_differ_where_one_is_right(project: Project) -> None:
    frozen = newest(project).round.evaluation_set
    one, other = (scored.of(guard, frozen) for guard in project.guards.order_by("number"))
    assert one and other

    counts = {group["key"]: group["count"] for group in scored.differences(one, other)}

    assert counts == {"caught": 0, "missed": 0, "alarm": 0, "quiet": frozen.rows - frozen.unsafe}


def test_two_guards_side_by_side_say_how_far_a_difference_could_be_luck(client: Client, project: Project) -> None:
    client.force_login(make_member(project, "viewer"))
    one = project.evaluation_sets.get()
    first, second = (scored.of(guard, one) for guard in project.guards.order_by("number"))
    assert first is not None and second is not None
    found = [float((each.scores >= each.threshold)[each.labels == 1].mean()) for each in (first, second)]
    low, high = scored.spans(first, second)["recall"] or (1.0, 0.0)

    page = client.get(reverse("guard-compare", args=[project.slug, 1, 2])).content.decode()

    assert low <= found[0] - found[1] <= high
    assert f"{low:+.3f} to {high:+.3f}" in page
    assert scored.spans(first, first)["average_precision"] == [0.0, 0.0]


def test_on_another_set_a_guard_is_compared_with_its_parents_figures_on_that_set(
    client: Client, project: Project
) -> None:
    client.force_login(make_member(project, "viewer"))
    guard, own = newest(project), project.evaluation_sets.get()
    other = EvaluationSet.objects.create(
        project=project, name="Another set", digest="f" * 64, rows=own.rows, unsafe=own.unsafe
    )
    for one, value in ((guard, 0.5), (guard.parent, 0.9)):
        Evaluation.objects.create(
            guard=one, evaluation_set=other, job=project.jobs.first(), metrics={"average_precision": value}
        )

    page = client.get(reverse("guard", args=[project.slug, 2]), {"set": other.pk}).content.decode()

    assert '0.500<small><span class="text-nowrap">-0.400</span> against Guard 1' in page
