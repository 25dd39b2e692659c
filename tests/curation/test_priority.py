from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from curation import runner
from curation.models import Example, Finding, Guard, Job, Project, Round
from curation.operations import edits, guards, jobs, priority
from pipeline.filters.label_judge import CONTRADICTED
from tests.curation.fake_programs import FakePrograms
from tests.factories import make_example, make_member, make_project, make_rules

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def project() -> Project:
    return make_project()


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> FakePrograms:
    fake = FakePrograms()
    monkeypatch.setattr(runner, "run", fake)
    return fake


def make_guard(project: Project, state: str = "active") -> Guard:
    round = Round.objects.create(project=project, number=project.rounds.count() + 1, state="closed")
    job = Job.objects.create(kind="train", project=project, round=round, state="done", dedupe_key=f"train:{round.pk}")
    return Guard.objects.create(
        project=project, round=round, job=job, number=round.number, state=state, digest=f"digest-{round.pk}",
        path="guards/x", dataset_digest="d", dataset_rows=1, base_digest="b",
    )  # fmt: skip


def judged(example: Example, score: float | None, reason: str = "") -> Example:
    job = Job.objects.create(
        kind="filter", project=example.project, state="done", dedupe_key=f"filter:{example.pk}:{score}"
    )
    Finding.objects.create(example=example, job=job, filter="label-judge", keep=True, score=score, reason=reason)
    return example


def vector(*values: float) -> list[float]:
    return [*values, *[0.0] * (384 - len(values))]


def order(project: Project) -> list[int]:
    priority.prioritize(project)
    return list(project.examples.waiting().values_list("pk", flat=True))


def reason(example: Example) -> str:
    return Example.objects.get(pk=example.pk).priority_reason


def test_what_the_guard_is_torn_about_comes_first(project: Project) -> None:
    sure, torn = make_example(project, scores={"guard": 0.97}), make_example(project, scores={"guard": 0.52})

    assert order(project) == [torn.pk, sure.pk]
    assert reason(torn) == "The guard is torn: 0.52"


def test_what_guard_and_judge_see_differently_comes_first(project: Project) -> None:
    agreed = judged(make_example(project, scores={"guard": 0.9}), 0.9)
    apart = judged(make_example(project, scores={"guard": 0.9}), 0.1)

    assert order(project) == [apart.pk, agreed.pk]
    assert reason(apart) == "Guard and judge disagree: 0.90 and 0.10"


def test_without_a_guard_the_judge_alone_counts(project: Project) -> None:
    sure, torn = judged(make_example(project), 0.95), judged(make_example(project), 0.5)

    assert order(project) == [torn.pk, sure.pk]
    assert reason(torn) == "The judge is torn: 0.50"


def test_what_judges_contradict_each_other_about_comes_before_what_one_is_torn_about(project: Project) -> None:
    torn = judged(make_example(project), 0.45)
    abstained = judged(make_example(project), None, "the judge abstains")
    contradicted = judged(make_example(project), None, CONTRADICTED)

    assert order(project) == [contradicted.pk, torn.pk, abstained.pk]
    assert reason(contradicted) == "The judges contradict each other"
    assert priority.tells_of_a_machine(reason(contradicted))  # so that blind reviewers are not told
    assert reason(abstained) == ""


def test_where_the_judges_are_of_one_mind_again_nobody_is_told_of_the_contradiction(project: Project) -> None:
    example = judged(judged(make_example(project), None, CONTRADICTED), 1.0)

    order(project)

    assert reason(example) == ""


def test_the_newest_opinion_of_the_judge_counts(project: Project) -> None:
    example = judged(judged(make_example(project), 0.5), 1.0)

    order(project)

    assert Example.objects.get(pk=example.pk).priority == 0


def test_what_is_unlike_anything_decided_comes_before_what_nearly_repeats_it(project: Project) -> None:
    decided = make_example(project, state="accepted", label="safe", embedding=vector(1))
    near, far = make_example(project, embedding=vector(1, 0.05)), make_example(project, embedding=vector(0, 1))

    priority.measure_novelty(project, [near.pk, far.pk])

    assert order(project) == [far.pk, near.pk]
    assert reason(far) == "Unlike anything decided so far"
    scores = Example.objects.get(pk=near.pk).scores
    assert scores["nearest"] == decided.pk
    assert scores["nearest_distance"] < 0.01


def test_a_category_with_too_few_decided_examples_comes_earlier(project: Project) -> None:
    make_rules(project, category_quotas={"hate": 4, "fraud": 1})
    for category in ("hate", "fraud"):
        make_example(project, state="accepted", label="unsafe", categories=[category])
    unsafe = {"proposed_label": "unsafe"}
    enough = make_example(project, proposed_categories=["fraud"], **unsafe)
    short = make_example(project, proposed_categories=["hate"], **unsafe)

    assert order(project) == [short.pk, enough.pk]
    assert reason(short) == "Few decided yet: Hate, 1 of 4"
    assert reason(enough) == ""


def test_the_adversary_s_finds_come_early(project: Project) -> None:
    make_example(project), make_example(project)
    find = make_example(project, origin="adversarial")

    assert order(project)[0] == find.pk


def test_nothing_is_written_where_nothing_changed(project: Project) -> None:
    make_example(project, scores={"guard": 0.6})

    assert priority.prioritize(project) == 1
    assert priority.prioritize(project) == 0


def test_another_project_is_left_alone(project: Project) -> None:
    elsewhere = make_example(scores={"guard": 0.5})

    priority.prioritize(project)

    assert reason(elsewhere) == ""


def test_a_new_guard_scores_what_waits_and_orders_it_anew(project: Project, fake: FakePrograms) -> None:
    example = make_example(project)
    guard = make_guard(project, state="evaluated")

    guards.promote(guard, None)
    jobs.work(Job.objects.get(kind="prioritize").pk)

    example.refresh_from_db()
    assert (example.scores["guard"], example.scores["guard_digest"]) == (0.5, guard.digest)
    assert example.priority_reason == "The guard is torn: 0.50"
    assert not priority.unscored(project).exists()


def test_an_edited_text_is_measured_again(project: Project, fake: FakePrograms) -> None:
    make_guard(project)
    example = make_example(project, embedding=vector(1))
    edits.edit(project, make_member(project, "annotator"), example.pk, 1, "where is the station")

    jobs.work(Job.objects.get(kind="rescore").pk)

    example.refresh_from_db()
    assert fake.calls == ["score", "embed"]
    assert (example.scored_version, example.scores["guard"]) == (2, 0.5)
    assert example.embedding[0] == pytest.approx(0.2)


def test_a_text_that_was_edited_while_it_was_measured_is_measured_once_more(
    project: Project, fake: FakePrograms, monkeypatch: pytest.MonkeyPatch
) -> None:
    ana, example = make_member(project, "annotator"), make_example(project)
    edits.edit(project, ana, example.pk, 1, "first")

    def slow(program: list[str], folder: Path, **more: Any) -> None:
        fake(program, folder, **more)
        edits.edit(project, ana, example.pk, 2, "second")

    monkeypatch.setattr(runner, "run", slow)
    jobs.work(Job.objects.get(kind="rescore").pk)
    monkeypatch.setattr(runner, "run", fake)

    assert Example.objects.get().scored_version == 1
    jobs.work(Job.objects.get(kind="rescore", state="queued").pk)
    assert Example.objects.get().scored_version == 3
