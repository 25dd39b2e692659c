from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fsspec
import pytest
from django.core.management import CommandError, call_command

from curation.models import AuditEntry, Project, Release
from curation.operations import jobs, releases
from tests.factories import make_project, make_seeds

pytestmark = pytest.mark.django_db


@pytest.fixture
def project() -> Project:
    return make_project()


@pytest.fixture
def release(project: Project, settings: Any, tmp_path: Path) -> Release:
    settings.ARTIFACTS_DIR = tmp_path / "artifacts"
    make_seeds(project, 12)
    made = releases.start(project, None)
    jobs.work(made.jobs.get().pk)
    made.refresh_from_db()
    return made


@pytest.fixture
def store() -> Iterator[Any]:
    """A store that is no folder."""
    found = fsspec.filesystem("memory")
    yield found
    found.rm("/", recursive=True)


def push(release: Release, url: str, **options: Any) -> None:
    call_command("push_release", url, project=release.project.slug, **options)


def sums(release: Release) -> dict[str, str]:
    return {entry["name"]: entry["sha256"] for entry in release.files}


def test_every_file_arrives_in_a_folder(release: Release, tmp_path: Path) -> None:
    push(release, str(tmp_path / "out"))

    found = {
        str(file.relative_to(tmp_path / "out")): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in (tmp_path / "out").rglob("*") if file.is_file()
    }  # fmt: skip
    assert found == sums(release)
    entry = AuditEntry.objects.get(action="release-pushed")
    assert entry.detail["digest"] == release.digest


def test_a_push_that_broke_off_goes_on_and_sends_nothing_twice(
    release: Release, store: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[str] = []
    put = type(store).put_file

    def breaks(self: Any, source: str, target: str, **more: Any) -> None:
        if len(sent) == 2:
            sent.append("broken")
            raise OSError("the line is down")
        sent.append(target)
        put(self, source, target, **more)

    monkeypatch.setattr(type(store), "put_file", breaks)
    with pytest.raises(CommandError, match="the line is down"):
        push(release, "memory://bucket/v1")
    assert not AuditEntry.objects.filter(action="release-pushed").exists()
    push(release, "memory://bucket/v1", number=1)

    arrived = {name: hashlib.sha256(store.cat(f"/bucket/v1/{name}")).hexdigest() for name in sums(release)}
    assert arrived == sums(release)
    assert len(sent) == len(set(sent)) == len(release.files) + 1
    assert sent[-1].endswith("CHECKSUMS.sha256")


@pytest.mark.parametrize(
    ("url", "says"),
    [("s4://bucket/v1", "s4"), ("https://ana:pw@example.org/v1", "no password"), ("s3://b/v1?key=x", "no key")],
    ids=["unknown store", "password", "key"],
)
def test_an_address_that_cannot_be_used_is_named(url: str, says: str, release: Release) -> None:
    with pytest.raises(CommandError, match=says):
        push(release, url)


def test_a_damaged_release_stays_here(release: Release, settings: Any, tmp_path: Path) -> None:
    (settings.ARTIFACTS_DIR / release.path / "data.jsonl").write_text("something else")

    with pytest.raises(CommandError, match=r"data\.jsonl of .* is missing or damaged"):
        push(release, str(tmp_path / "out"))
    assert not (tmp_path / "out").exists()


def test_without_a_release_it_says_so(project: Project) -> None:
    with pytest.raises(CommandError, match="has no release 7 that is done"):
        call_command("push_release", "/tmp/x", project=project.slug, number=7)
