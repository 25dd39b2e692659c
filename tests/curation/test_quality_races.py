"""Two at the same moment, each over a connection of their own: a case is settled once, a paper is handed in once."""

from __future__ import annotations

import pytest

from curation.models import Adjudication, ExamAttempt, Example, Job, Project, Verdict
from curation.operations import Refused, adjudication, agreement, exams, gold
from tests.curation.test_review_races import at_once, reload
from tests.factories import make_example, make_gold, make_member, make_project, make_rules, make_verdict

pytestmark = pytest.mark.django_db(transaction=True)
ROUNDS = 5


@pytest.fixture
def project() -> Project:
    return make_project()


def test_of_several_who_settle_a_case_at_once_one_does(project: Project) -> None:
    judges = [make_member(project, "adjudicator") for _ in range(4)]
    for _ in range(ROUNDS):
        case = adjudication.open_for(make_example(project, state="disputed"))

        answers = at_once([
            lambda judge=judge, label=label: adjudication.settle(
                Adjudication.objects.get(pk=case.pk), judge, label, ["fraud"], cause="edge-case"  # noqa: B023
            )
            for judge, label in zip(judges, ("safe", "unsafe", "safe", "unsafe"), strict=True)
        ])  # fmt: skip

        won = [answer for answer in answers if isinstance(answer, Verdict)]
        assert len(won) == 1
        assert sum(isinstance(answer, Refused) for answer in answers) == 3
        case.refresh_from_db()
        assert case.verdict == won[0]
        assert Example.objects.get(pk=case.example_id).label == won[0].label
        assert Verdict.objects.filter(example=case.example_id).count() == 1


def test_a_paper_that_is_handed_in_four_times_at_once_counts_once(project: Project) -> None:
    rules = make_rules(project, exam_required=True, exam_size=2)
    for label, categories in (("unsafe", ["fraud"]), ("safe", [])):
        make_gold(make_example(project, state="accepted"), label=label, categories=categories)
    ana = make_member(project, "annotator", "ana")
    questions, paper = exams.paper(project, ana, "fraud", rules)
    given = {one.pk: (one.label, list(one.categories)) for one in questions}

    answers = at_once([lambda: exams.grade(reload(project), ana, rules, paper, given) for _ in range(4)])

    assert sum(isinstance(answer, Refused) for answer in answers) == 3
    assert ExamAttempt.objects.count() == 1
    assert Verdict.objects.filter(purpose="exam").count() == 2


def test_wrong_answers_at_the_same_moment_pause_once_and_resuming_twice_is_resuming_once(project: Project) -> None:
    make_rules(project, gold_window=4, gold_bar=0.75)
    ana, lead = make_member(project, "annotator", "ana"), make_member(project, "lead")
    verdicts = [
        make_verdict(
            make_gold(make_example(project, state="accepted"), label="safe").example, ana, "reject", purpose="gold"
        )
        for _ in range(6)
    ]

    at_once([lambda verdict=verdict: gold.judged(Verdict.objects.get(pk=verdict.pk)) for verdict in verdicts])
    answers = at_once([lambda: gold.resume(reload(project), ana, lead) for _ in range(3)])

    assert sum(isinstance(answer, Refused) for answer in answers) == 2
    assert project.standings.count() == 1
    assert sorted(entry.action for entry in project.audit.all()) == ["reviewer-paused", "reviewer-resumed"]


def test_measuring_asked_for_at_once_is_one_job(project: Project) -> None:
    jobs = at_once([lambda: agreement.measure_again(reload(project)) for _ in range(4)])

    assert len({job.pk for job in jobs}) == 1
    assert Job.objects.count() == 1
