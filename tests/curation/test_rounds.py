from __future__ import annotations

import json
from io import StringIO
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.management import call_command
from django.core.management.base import CommandError
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from classifier.runfolder import RunFolder, digest_rows
from curation import runner
from curation.models import Example, Guard, Import, Job, Move, Project, Round, Verdict
from curation.models.job import MAX_ATTEMPTS, Fenced
from curation.operations import Refused, guards, jobs, recipes, reviews, rounds, stages, summary
from tests.curation.fake_programs import FakePrograms
from tests.factories import make_example, make_member, make_project, make_seeds

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def no_bell(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("curation.bell.ring", lambda job_id, queue: None)


@pytest.fixture
def programs(monkeypatch: pytest.MonkeyPatch) -> FakePrograms:
    fake = FakePrograms()
    monkeypatch.setattr(runner, "run", fake)
    return fake


@pytest.fixture
def project() -> Project:
    project = make_project()
    make_seeds(project, 12)
    return project


def work_all(round: Round) -> Round:
    """Do the round's jobs until none is live, as a worker would."""
    while job := round.jobs.live().first():
        jobs.work(job.pk)
    round.refresh_from_db()
    return round


def started(project: Project, **fields: Any) -> Round:
    return rounds.start(project, None, **fields)


def test_an_automatic_round_goes_once_round_the_loop(project: Project, programs: FakePrograms) -> None:
    round = work_all(started(project, review="auto"))

    assert round.state == Round.State.CLOSED
    assert programs.calls == ["generate", "filter", "train", "evaluate", "adversary"]
    assert Guard.objects.get().state == Guard.State.ACTIVE
    following = project.rounds.get(number=1)
    assert following.state == Round.State.DRAFT
    assert following.examples.filter(origin="adversarial", state="new").count() == 3


def test_the_adversarys_finds_are_filtered_in_the_next_round(project: Project, programs: FakePrograms) -> None:
    work_all(started(project, review="auto"))

    second = work_all(started(project, review="auto"))

    assert second.number == 1
    assert second.examples.filter(origin="adversarial").exclude(state="new").count() == 3


def test_contrast_pairs_come_with_the_finds_and_are_taken_by_their_own_label(
    project: Project, programs: FakePrograms
) -> None:
    programs.torn = True
    recipe = recipes.default()
    recipe["attack"]["pairs"] = 5
    first = work_all(started(project, review="auto", recipe=recipe))

    waiting = project.rounds.get(number=1).examples.filter(origin="template")
    assert {example.state for example in waiting} == {"new"}
    assert {example.split for example in waiting} == {"train"}
    assert len({example.family for example in waiting}) == 5
    assert {tuple(example.proposed_categories) for example in waiting if example.proposed_label == "safe"} == {()}
    allowed = {key for key, *_ in project.policy_version.categories.values_list("key")}
    assert {key for example in waiting for key in example.proposed_categories} <= allowed
    assert summary.contrast(first)["brought"] == 5
    assert summary.counts(first)["adversarial_found"] == 3

    second = work_all(started(project, review="auto", recipe=recipe))

    taken = second.examples.filter(origin="template", state="accepted")
    reasons = {verdict.reason for example in taken for verdict in example.verdicts.all()}
    assert taken and reasons == {stages.KNOWN}
    assert not second.examples.filter(origin="template", state="queued").exists()
    again = project.rounds.get(number=2).examples.filter(origin="template")
    assert not set(again.values_list("text", flat=True)) & set(waiting.values_list("text", flat=True))


@pytest.mark.parametrize("change", [{"attack": {"pairs": 0}}, {"filter": {"languages": ["de"]}}], ids=["off", "German"])
def test_no_contrast_pairs_where_they_are_switched_off_or_of_another_language(
    project: Project, programs: FakePrograms, change: dict[str, Any]
) -> None:
    programs.torn = True
    recipe = recipes.default()
    for part, settings in change.items():
        recipe[part] |= settings

    round = work_all(started(project, review="auto", recipe=recipe))

    assert not project.examples.filter(origin="template").exists()
    assert summary.contrast(round) == {}


def test_both_guards_are_measured_on_the_same_frozen_set(project: Project, programs: FakePrograms) -> None:
    work_all(started(project, review="auto"))

    second = work_all(started(project, review="auto"))

    figures = summary.of_round(second)
    assert figures["guard_before"]["guard"] == 1
    assert figures["guard_after"]["guard"] == 2
    assert second.evaluation_set.evaluations.count() == 2


def test_a_guard_that_is_not_better_does_not_go_live_by_itself(project: Project, programs: FakePrograms) -> None:
    work_all(started(project, review="auto"))
    second = started(project, review="auto")
    programs.average_precision = 0.5

    work_all(second)

    assert second.guard.state == Guard.State.CANDIDATE
    assert Guard.objects.get(state="active").number == 1


def test_promotion_retires_the_guard_before(project: Project, programs: FakePrograms) -> None:
    work_all(started(project, review="auto"))
    second = started(project, review="people")
    work_all(second)
    rounds.finish_review(second, make_member(project, "lead"))
    work_all(second)
    assert second.guard.state == Guard.State.CANDIDATE

    guards.promote(second.guard, None)

    assert list(project.guards.values_list("number", "state")) == [(1, "retired"), (2, "active")]


def test_filters_never_delete_and_say_why(project: Project, programs: FakePrograms) -> None:
    round = work_all(started(project))

    made = round.examples.count()
    assert made == project.examples.trainable().filter(origin="seed").count()
    filtered = round.examples.filter(state="filtered")
    assert filtered.exists()
    assert all(example.findings.filter(keep=False).get().reason == "too short" for example in filtered)
    assert round.examples.filter(state="queued").count() == made - filtered.count()


def test_machine_verdicts_are_marked_and_never_a_persons(project: Project, programs: FakePrograms) -> None:
    round = work_all(started(project, review="auto"))

    accepted = round.examples.filter(state="accepted")
    assert accepted.exists()
    assert Verdict.objects.by_machine().count() == accepted.count()
    assert not Verdict.objects.by_people().exists()
    assert not Verdict.objects.exclude(reviewer=None).exists()


def test_what_the_judge_abstains_on_waits_for_people(project: Project, programs: FakePrograms) -> None:
    round = work_all(started(project, review="auto"))

    abstained = round.examples.filter(findings__filter="label-judge", findings__score=None).exclude(state="filtered")
    assert abstained.exists()
    assert set(abstained.values_list("state", flat=True)) == {"queued"}


def test_a_round_in_review_by_people_waits_for_them(project: Project, programs: FakePrograms) -> None:
    round = work_all(started(project))
    assert round.state == Round.State.REVIEWING

    lead = make_member(project, "lead")
    example = Example.objects.waiting_for(lead).first()
    assert example is not None
    reviews.judge(example, lead, "accept")
    rounds.finish_review(round, lead)

    assert work_all(round).state == Round.State.CLOSED
    assert Verdict.objects.by_people().count() == 1


def test_one_round_is_open_at_a_time(project: Project, programs: FakePrograms) -> None:
    started(project)

    with pytest.raises(Refused, match="one round is open at a time"):
        started(project)


def test_a_project_without_seeds_is_refused(db: None) -> None:
    with pytest.raises(Refused, match="no seeds"):
        started(make_project())


def test_a_recipe_with_an_unknown_stage_is_refused_and_starts_nothing(project: Project) -> None:
    body = recipes.default()
    body["generate"]["augmenters"] = [{"key": "telepathy"}]

    with pytest.raises(Refused, match="telepathy"):
        started(project, recipe=body)

    assert not project.rounds.exists()
    assert not Job.objects.exists()


def test_cancelling_a_round_cancels_its_job_and_keeps_what_was_made(project: Project, programs: FakePrograms) -> None:
    round = started(project)
    jobs.work(round.current_job.pk)  # type: ignore[union-attr]
    made = round.examples.count()
    round.refresh_from_db()

    rounds.cancel(round, None)

    round.refresh_from_db()
    assert round.state == Round.State.CANCELLED
    assert not round.jobs.live().exists()
    assert round.examples.count() == made > 0


def test_a_cancelled_round_stores_nothing_that_comes_late(project: Project, programs: FakePrograms) -> None:
    round = started(project)
    plain = programs.generate

    def cancelled_meanwhile(run: Any) -> None:
        rounds.cancel(Round.objects.get(pk=round.pk), None)
        plain(run)

    programs.generate = cancelled_meanwhile  # type: ignore[method-assign]
    job = jobs.work(round.current_job.pk)  # type: ignore[union-attr]

    assert job is not None
    assert job.state == Job.State.CANCELLED
    assert not round.examples.exists()


def test_a_program_that_says_why_fails_the_job_and_can_be_retried(project: Project, programs: FakePrograms) -> None:
    programs.fail["generate"] = [runner.ProgramFailed("No model named 'nowhere'.", "Use another name.")]
    round = started(project)

    job = jobs.work(round.current_job.pk)  # type: ignore[union-attr]

    assert job is not None
    assert (job.state, job.error, job.remedy) == ("failed", "No model named 'nowhere'.", "Use another name.")
    rounds.retry(round, None)
    assert work_all(round).state == Round.State.REVIEWING


def test_a_full_disk_fails_with_a_sentence(project: Project, programs: FakePrograms) -> None:
    programs.fail["generate"] = [OSError(28, "No space left on device")]
    round = started(project)

    job = jobs.work(round.current_job.pk)  # type: ignore[union-attr]

    assert job is not None
    assert "No space left on device" in job.error
    assert "disk space" in job.remedy


def test_a_killed_program_is_tried_again_and_dies_after_three_attempts(
    project: Project, programs: FakePrograms
) -> None:
    programs.fail["generate"] = [runner.ProgramKilled("ended by SIGKILL") for _ in range(MAX_ATTEMPTS)]
    round = started(project)

    work_all(round)

    job = round.current_job
    assert job is not None
    assert (job.state, job.attempt) == (Job.State.DEAD, MAX_ATTEMPTS)
    assert "SIGKILL" in job.error


def test_an_unexpected_error_never_shows_what_it_quotes(project: Project, programs: FakePrograms, caplog: Any) -> None:
    programs.fail["generate"] = [ValueError("the secret text") for _ in range(MAX_ATTEMPTS)]
    round = started(project)

    work_all(round)

    assert round.current_job is not None
    assert "secret" not in round.current_job.error
    assert "secret" not in caplog.text


def test_delivering_a_job_twice_does_it_once(project: Project, programs: FakePrograms) -> None:
    round = started(project)
    job = round.current_job
    assert job is not None

    first, second = jobs.work(job.pk), jobs.work(job.pk)

    assert first is not None
    assert second is None
    assert programs.calls == ["generate"]


def test_an_attempt_that_was_overtaken_stores_nothing(project: Project, programs: FakePrograms) -> None:
    round = started(project)
    plain = programs.generate

    def overtaken_meanwhile(run: Any) -> None:
        Job.objects.filter(round=round).update(attempt=99)
        plain(run)

    programs.generate = overtaken_meanwhile  # type: ignore[method-assign]
    jobs.work(round.current_job.pk)  # type: ignore[union-attr]

    assert not round.examples.exists()
    round.refresh_from_db()
    assert round.state == Round.State.GENERATING


def test_a_write_of_an_old_attempt_is_fenced(project: Project) -> None:
    round = started(project)
    job = Job.objects.claim(round.current_job.pk, "one")  # type: ignore[union-attr]
    assert job is not None
    Job.objects.filter(pk=job.pk).update(attempt=2)

    with pytest.raises(Fenced):
        job.beat(done=5)
    with pytest.raises(Fenced):
        job.finish(Job.State.DONE)


def test_the_reconciler_queues_the_job_of_a_silent_worker_again(project: Project, settings: Any) -> None:
    round = started(project)
    job = Job.objects.claim(round.current_job.pk, "gone")  # type: ignore[union-attr]
    assert job is not None
    settings.JOB_DEAD_AFTER_SECONDS = -1

    assert jobs.reconcile()["silent"] == 1

    job.refresh_from_db()
    assert job.state == Job.State.QUEUED
    assert job.moves().last().note == "The worker gone went silent."  # type: ignore[union-attr]


def test_the_reconciler_rings_again_for_jobs_that_nobody_heard_of(
    project: Project, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    round = started(project)
    rung: list[int] = []
    monkeypatch.setattr("curation.bell.ring", lambda job_id, queue: rung.append(job_id))
    settings.JOB_RERING_SECONDS = -1

    jobs.reconcile()

    assert rung == [round.current_job.pk]  # type: ignore[union-attr]


def test_training_never_sees_an_evaluation_family(project: Project, programs: FakePrograms) -> None:
    round = work_all(started(project, review="auto"))

    held_out = set(project.examples.filter(split="evaluation").values_list("family", flat=True))
    trained_on = {row["family"] for row in stages._training_rows(round)}
    assert held_out
    assert not held_out & trained_on


def test_training_rows_say_what_their_family_came_from(project: Project) -> None:
    file = Import.objects.create(project=project, name="chats.csv")
    seed = make_example(project, origin="seed", state="accepted", label="safe", source=file, family="of-the-file")
    twin = make_example(project, origin="seed", state="rejected", source=file, family="twin-of-the-file")
    for root in (seed, twin):
        rewrite = make_example(project, state="accepted", label="unsafe", parent=root, family=root.family)
        make_example(project, state="accepted", label="safe", parent=rewrite, family=root.family, origin="adversarial")
    make_example(project, origin="traffic", state="accepted", label="unsafe")

    rows = stages._training_rows(Round(project=project))

    mine = {(row["source"], row["origin"]) for row in rows if row["family"] in (seed.family, twin.family)}
    assert mine == {("chats.csv", origin) for origin in ("seed", "augmented", "adversarial")}
    others = {(row["source"], row["origin"]) for row in rows} - mine
    assert others == {("seed", "seed"), ("traffic", "traffic")}


def test_many_training_rows_cost_as_many_queries_as_few(project: Project) -> None:
    def queries() -> int:
        with CaptureQueriesContext(connection) as caught:
            stages._training_rows(Round(project=project))
        return len(caught)

    few, file = queries(), Import.objects.create(project=project, name="chats.csv")
    for _ in range(9):
        root = make_example(project, origin="seed", state="accepted", label="safe", source=file)
        make_example(project, state="accepted", label="safe", parent=root, family=root.family)

    assert queries() == few


def test_what_a_guard_was_trained_on_is_digested_with_its_sources(
    project: Project, programs: FakePrograms, settings: Any
) -> None:
    guard = work_all(started(project, review="auto")).guard

    rows = RunFolder(settings.ARTIFACTS_DIR / "runs" / str(guard.job_id)).rows("input.parquet")
    assert {row["source"] for row in rows} == {"seed"}
    assert (guard.dataset_digest, guard.dataset_rows) == (digest_rows(rows), len(rows))


def test_every_move_leaves_a_row(project: Project, programs: FakePrograms) -> None:
    round = work_all(started(project, review="auto"))

    states = [move.new for move in round.moves()]
    assert states == ["generating", "filtering", "reviewing", "training", "evaluating", "attacking", "closed"]
    bulk = Move.objects.filter(scope=round.subject)
    assert {(move.old, move.new) for move in bulk} == {("new", "filtered"), ("new", "queued"), ("queued", "accepted")}


def test_an_annotator_cannot_finish_what_does_not_wait(project: Project, programs: FakePrograms) -> None:
    round = started(project)

    with pytest.raises(Refused, match="in review"):
        rounds.finish_review(round, User.objects.create(username="x"))


def test_a_writer_with_a_warm_start_gets_the_rewrites_that_were_accepted(
    project: Project, programs: FakePrograms, client: Client, settings: Any
) -> None:
    first = work_all(started(project, review="auto"))
    parent = project.examples.filter(origin="seed", label="safe").exclude(split="evaluation").first()
    for label, state in (("safe", "accepted"), ("unsafe", "accepted"), ("", "rejected")):
        make_example(
            project, text=f"once more {label}", parent=parent, family=parent.family, origin="paraphrased",
            stage="paraphrase", label=label, proposed_label="safe", state=state,
        )  # fmt: skip
    recipe = recipes.default()
    for part in ("generate", "attack"):
        recipe[part]["generator"] = {"key": "local", "settings": {"warm_start": True}}
    programs.written = {"warm_start": {"pairs": 40, "used": True, "loss_before": 2.5, "loss_after": 1.75}}
    programs.hunted = {"warm_start": {"pairs": 41, "used": False, "loss_before": 2.5, "loss_after": 2.75}}

    second = work_all(started(project, recipe=recipe, review="auto"))

    runs = settings.ARTIFACTS_DIR / "runs"
    for kind in ("generate", "attack"):
        pairs = RunFolder(runs / str(second.jobs.get(kind=kind).pk)).rows("pairs.parquet")
        assert [(row["text"], row["parent_text"]) for row in pairs] == [("once more safe", parent.text)]
    assert not (runs / str(first.jobs.get(kind="attack").pk) / "pairs.parquet").exists(), "it was not asked to learn"
    (fake,) = [row for row in summary.kept_by(second)[0]["rows"] if row["name"] == "fake"]
    assert fake["before"] == summary.keep_rates(first)[0]["rate"]
    client.force_login(make_member(project, "lead"))
    page = client.get(reverse("round", args=[project.slug, second.number])).content.decode()
    assert "from 2.50 to 1.75 nats a token" in page
    assert "Learning from 41 accepted rewrites did not make" in page
    assert "Kept before" in page


def test_a_rounds_page_tells_how_different_the_candidates_are(
    project: Project, programs: FakePrograms, client: Client
) -> None:
    written = {"texts": 1200, "vendi": 88.2, "distinct_words": 0.1, "distinct_pairs": 0.456, "nearest": 0.71}
    programs.sifted = {"diversity": {"written": written, "kept": {**written, "texts": 1100, "vendi": 97.1}}}
    round = work_all(started(project, review="auto"))
    client.force_login(make_member(project, "lead"))
    page = client.get(reverse("round", args=[project.slug, round.number])).content.decode()
    for figure in ("1,200", "1,100", ">88<", ">97<", "46"):
        assert figure in page


@pytest.mark.parametrize(
    ("gain", "attempts", "rounds_gone", "stops"),
    [(0.01, 1000, 3, ""), (-0.01, 100, 3, ""), (-0.01, 1000, 2, "0.3 % of the adversary's attempts")],
    ids=["the guard gains", "the adversary finds", "neither"],
)
def test_rounds_go_on_as_long_as_they_pay(
    gain: float, attempts: int, rounds_gone: int, stops: str, project: Project, programs: FakePrograms
) -> None:
    programs.gain, programs.attempts = gain, attempts
    said = StringIO()

    call_command("run_round", project=project.slug, review="auto", turns=3, no_release=True, stdout=said)

    assert project.rounds.filter(state="closed").count() == rounds_gone
    figures = json.loads(said.getvalue())
    assert figures["stop"].endswith("were finds") if stops else figures["stop"] == ""
    assert stops in figures["stop"]


@pytest.mark.parametrize(("turns", "review"), [(0, "auto"), (2, "people")])
def test_many_rounds_need_a_machine_that_reviews(turns: int, review: str, project: Project) -> None:
    with pytest.raises(CommandError, match="--rounds is 1 or more"):
        call_command("run_round", project=project.slug, review=review, turns=turns)
    assert not project.rounds.exists()
