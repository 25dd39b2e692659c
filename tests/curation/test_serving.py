"""Which guards are served: what a promotion publishes, and how their exported forms come about."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest

from curation import runner
from curation.models import Guard, Job, Project, Traffic
from curation.operations import guards, jobs, rounds, serving
from tests.curation.fake_programs import FakePrograms
from tests.factories import make_member, make_project, make_seeds

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def programs(monkeypatch: pytest.MonkeyPatch, settings: Any, tmp_path: Any) -> FakePrograms:
    programs = FakePrograms()
    monkeypatch.setattr(runner, "run", programs)
    settings.GUARDS_FILE = tmp_path / "guards.json"
    return programs


@pytest.fixture
def guard(programs: FakePrograms) -> Guard:
    """The first guard of a project: it was promoted by itself."""
    project = make_project()
    make_seeds(project, 10)
    round = rounds.start(project, None, recipe={"train": {"epochs": 1}})
    while round.is_open and (job := round.current_job) and job.is_live:
        jobs.work(job.pk)
        round.refresh_from_db()
    return project.guards.get()


def published(settings: Any) -> dict[str, str]:
    found: dict[str, str] = json.loads(settings.GUARDS_FILE.read_text())["models"]
    return found


def export_job(project: Project) -> Job:
    return project.jobs.get(kind="export", state__in=Job.LIVE)


def test_a_promotion_is_published_when_it_commits(guard: Guard, settings: Any) -> None:
    assert published(settings) == {guard.project.slug: str(settings.ARTIFACTS_DIR / guard.path)}


def test_a_promoted_guard_is_exported_and_then_served_in_that_form(guard: Guard, settings: Any) -> None:
    job = export_job(guard.project)

    jobs.work(job.pk)

    job.refresh_from_db()
    guard.refresh_from_db()
    assert job.state == "done", job.error
    assert guard.export_report["backend"] == "onnx-dynamic"
    assert guard.export_path != guard.path
    assert published(settings) == {guard.project.slug: str(settings.ARTIFACTS_DIR / guard.export_path)}
    assert (settings.ARTIFACTS_DIR / guard.export_path / "MANIFEST.json").exists()


def test_an_export_calibrates_on_training_rows_and_measures_on_the_frozen_ones(guard: Guard, settings: Any) -> None:
    from classifier.runfolder import RunFolder

    job = export_job(guard.project)
    jobs.work(job.pk)

    rows = RunFolder(settings.ARTIFACTS_DIR / "runs" / str(job.pk) / "guard-1").rows()
    assert {row["split"] for row in rows} == {"train", "evaluation"}
    assert sum(row["split"] == "evaluation" for row in rows) == guard.round.evaluation_set.rows


def test_an_export_that_fails_leaves_the_guard_served_as_it_is(
    guard: Guard, programs: FakePrograms, settings: Any
) -> None:
    programs.fail["export"] = [runner.ProgramFailed("No form loses little.", "Raise the bound.")]

    jobs.work(export_job(guard.project).pk)

    assert published(settings) == {guard.project.slug: str(settings.ARTIFACTS_DIR / guard.path)}
    assert guard.project.jobs.get(kind="export").error == "No form loses little."


def test_a_shadow_is_served_beside_the_active_guard_and_exported_too(guard: Guard, settings: Any) -> None:
    project = guard.project
    make_member(project, "lead")
    Guard.objects.filter(pk=guard.pk).update(state="candidate")
    Traffic.objects.create(project=project, shadow=guard)

    assert serving.publish()

    assert published(settings) == {f"{project.slug}~shadow": str(settings.ARTIFACTS_DIR / guard.path)}


def test_publishing_twice_writes_once(guard: Guard, settings: Any) -> None:
    assert serving.publish() is False

    settings.GUARDS_FILE.write_text("{")

    assert serving.publish() is True
    assert serving.publish() is False


def test_a_guard_that_went_back_is_published_at_once(guard: Guard, settings: Any) -> None:
    jobs.work(export_job(guard.project).pk)
    Guard.objects.filter(pk=guard.pk).update(state="retired")
    serving.publish()
    assert published(settings) == {}

    guards.promote(Guard.objects.get(pk=guard.pk), None)

    assert list(published(settings)) == [guard.project.slug]
    assert not guard.project.jobs.live().exists(), "it was exported before"


def test_an_export_leaves_the_next_stage_of_a_round_the_first_turn(
    guard: Guard, monkeypatch: pytest.MonkeyPatch
) -> None:
    rung: list[Any] = []
    monkeypatch.setattr("curation.bell.ring", lambda job_id, queue: rung.append(job_id))
    Job.objects.filter(kind="export").update(state="done")
    serving.changed(guard.project)
    job = export_job(guard.project)
    assert job.pk not in rung

    Job.objects.filter(pk=job.pk).update(rung_at=job.created_at - timedelta(minutes=1))
    jobs.reconcile()
    assert job.pk in rung

    waiting = Job.objects.enqueue("prioritize", guard.project)
    assert jobs.work(job.pk) is None, "a stage waits for the same worker"
    Job.objects.filter(pk=job.pk).update(created_at=job.created_at - timedelta(hours=1))
    assert jobs.work(job.pk) is not None, "it has waited long enough"
    assert Job.objects.get(pk=waiting.pk).state == "queued"
