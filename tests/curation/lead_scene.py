"""A project that went twice round the loop with programs that answer at once."""

from __future__ import annotations

from typing import Any

import pytest

from curation import runner
from curation.models import Project, Round
from curation.operations import jobs, rounds
from tests.curation.fake_programs import FakePrograms
from tests.factories import make_project, make_seeds


def work_all(project: Project) -> None:
    """Do the project's jobs until none is live, as a worker would."""
    while job := project.jobs.live().exclude(kind="export").first():
        jobs.work(job.pk)


def make_programs(monkeypatch: pytest.MonkeyPatch) -> FakePrograms:
    fake = FakePrograms()
    monkeypatch.setattr(runner, "run", fake)
    monkeypatch.setattr("curation.bell.ring", lambda job_id, queue: None)
    return fake


def go(project: Project, review: str = "auto") -> Round:
    """One round, from its start to its end or to where people are waited for."""
    round = rounds.start(project, None, review=review)
    work_all(project)
    round.refresh_from_db()
    return round


def make_two_rounds(programs: FakePrograms, **fields: Any) -> Project:
    """Guard 1 is active; guard 2 blocks every harmless text, too, and so breaks two rules of the gate."""
    project = make_project(content_note="", **fields)
    make_seeds(project, 12)
    go(project)
    programs.scores = {"safe": 0.8, "unsafe": 0.7}
    go(project)
    return project
