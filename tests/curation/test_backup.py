from __future__ import annotations

import json
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from curation.models import AuditEntry, Project, Release
from curation.operations import audit, backup, jobs, moderation, releases
from tests.factories import make_project, make_seeds
from tests.guards import make_guard, serving

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.processes]
TEXTS = [f"how do i water plant number {n}" for n in range(20)]


@pytest.fixture(autouse=True)
def nobody_works(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("curation.bell.ring", lambda job_id, queue: None)
    monkeypatch.setattr(jobs, "workers_alive", lambda: False)


@pytest.fixture
def project() -> Project:
    project = make_project()
    make_seeds(project, 6)
    return project


def released(project: Project) -> Release:
    release = releases.start(project, None)
    jobs.work(release.jobs.get().pk)
    release.refresh_from_db()
    return release


def answers(scratch: Path, guard: Path, settings: Any) -> Any:
    scratch.mkdir()
    with serving(scratch, live=guard) as served:
        settings.GUARD_URL = served.url
        return moderation.ask("live", TEXTS)["results"]


def test_backup_wipe_and_restore_bring_everything_back(project: Project, settings: Any, tmp_path: Path) -> None:
    release = released(project)
    guard = make_guard(settings.ARTIFACTS_DIR / "guards" / "one")
    before = answers(tmp_path / "before", guard, settings)
    file, out = tmp_path / "whetstone.backup", StringIO()

    call_command("backup", str(file), stdout=out)
    there, head = backup.counts(), audit.verify().head
    settings.ARTIFACTS_DIR.rename(tmp_path / "lost")
    with connection.cursor() as cursor:
        cursor.execute(backup.EMPTY)
    call_command("restore", str(file), stdout=out)

    print(out.getvalue())
    assert all(json.loads(line)["seconds"] >= 0 for line in out.getvalue().splitlines())
    assert backup.counts() == there | {"curation_auditentry": there["curation_auditentry"] + 1}
    assert audit.verify(head).holds
    again = Release.objects.get(pk=release.pk)
    assert releases.rebuilt(again) == again.digest == release.digest
    assert releases.broken_files(again) == []
    assert answers(tmp_path / "after", guard, settings) == before


def test_a_backup_that_was_changed_or_cut_off_changes_nothing(project: Project, tmp_path: Path) -> None:
    file = tmp_path / "whetstone.backup"
    call_command("backup", str(file), stdout=StringIO())
    whole = file.read_bytes()

    for broken in (whole[: len(whole) // 2], whole.replace(b"PGDMP", b"PGDMQ", 1), b"no backup at all"):
        file.write_bytes(broken)
        with pytest.raises(CommandError, match=r"is not whole|cannot be read as a backup"):
            call_command("restore", str(file), "--replace")

    assert project.examples.count() == 12


def test_a_restore_over_projects_wants_to_be_told_so(project: Project, tmp_path: Path) -> None:
    file = tmp_path / "whetstone.backup"
    call_command("backup", str(file), stdout=StringIO())

    with pytest.raises(CommandError, match="Add --replace"):
        call_command("restore", str(file))

    assert not AuditEntry.objects.filter(action="backup-restored").exists()


def test_a_restore_waits_until_nobody_works(project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "whetstone.backup"
    call_command("backup", str(file), stdout=StringIO())
    monkeypatch.setattr(jobs, "workers_alive", lambda: True)

    with pytest.raises(CommandError, match="A worker is alive"):
        call_command("restore", str(file), "--replace")
