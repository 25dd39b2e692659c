"""Releases: the accepted examples of a project, frozen into files with their lineage and verdict counts."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.db import transaction
from django.db.models import Count, Max, Q
from django.utils import timezone

from classifier.runfolder import digest_rows, sync_folder
from curation.models import AuditEntry, Example, Job, Project, Release, Round
from curation.models.example import Split
from curation.operations import Refused
from pipeline import exporters
from pipeline.exporters.card import dataset_card

if TYPE_CHECKING:
    from django.contrib.auth.models import User

    from curation.operations.jobs import Attempt

FORMATS = ("jsonl", "parquet")


def start(project: Project, by: User | None, round: Round | None = None) -> Release:
    """Begin a release of what is accepted now; a job writes its files.

    Raises:
        Refused: nothing is accepted yet, or another release is being written.
    """
    with transaction.atomic():
        Project.objects.select_for_update().get(pk=project.pk)
        if not project.examples.decided().exists():
            raise Refused("Nothing is accepted in this project yet.", "Import seeds or review a round first.")
        if Job.objects.live().filter(project=project, kind=Job.Kind.RELEASE).exists():
            raise Refused("A release of this project is being written.", "Wait for it, then make the next one.")
        newest = project.releases.aggregate(newest=Max("number"))["newest"] or 0
        release = Release.objects.create(project=project, round=round, number=newest + 1, created_by=by)
        AuditEntry.objects.create(project=project, actor=by, action="release-started", subject=f"release:{release.pk}")
        Job.objects.enqueue(Job.Kind.RELEASE, project, release=release, by=by)
    return release


def build(attempt: Attempt) -> None:
    """Write every format and the card into a fresh folder, rename it into place, then freeze the row."""
    release = attempt.job.release
    assert release is not None
    staging = attempt.folder / "files"
    staging.mkdir(parents=True, exist_ok=True)
    digest, counts = _write_files(release, staging, attempt)
    home = Path("releases") / str(release.project_id) / f"{release.number}-{digest[:12]}"
    files = _put_in_place(staging, settings.ARTIFACTS_DIR / home)
    with transaction.atomic():
        attempt.job.fence()
        Release.objects.filter(pk=release.pk, digest="").update(
            digest=digest, path=str(home), files=files, counts=counts, released_at=timezone.now()
        )
        attempt.job.finish(Job.State.DONE)


def _write_files(release: Release, staging: Path, attempt: Attempt) -> tuple[str, dict[str, Any]]:
    with transaction.atomic():
        ids = list(release.project.examples.decided().order_by("pk").values_list("pk", flat=True))
        for number, key in enumerate(FORMATS):
            exporter = exporters.exporters.make(key)
            with (staging / f"data{exporter.suffix}").open("wb") as file:
                exporter(_rows(ids), file)
            attempt.report(number + 1, len(FORMATS) + 1, f"Wrote {key}")
            attempt.check()
        digest, counts = digest_rows(_rows(ids)), _counts(_rows(ids))
    card = dataset_card(_card(release, digest, counts))
    (staging / "README.md").write_text(card, encoding="utf-8")
    return digest, counts


def _rows(ids: list[int]) -> Iterator[dict[str, Any]]:
    """The exported columns, streamed in order."""
    verdicts = Q(verdicts__superseded_by=None) & ~Q(verdicts__decision__in=["withdraw", "skip"])
    people = Count("verdicts", filter=verdicts & Q(verdicts__maker="person"))
    machines = Count("verdicts", filter=verdicts & Q(verdicts__maker="machine"))
    for start in range(0, len(ids), 2000):
        chunk = Example.objects.filter(pk__in=ids[start : start + 2000]).order_by("pk")
        for example in chunk.annotate(people=people, machines=machines):
            yield _row(example)


def _row(example: Any) -> dict[str, Any]:
    return {
        **example.to_row(),
        "split": example.split,
        "stage": example.stage,
        "settings": example.stage_settings,
        "model": example.model_digest,
        "prompt": example.prompt,
        "label_source": "person" if example.people else "machine" if example.machines else "seed",
        "person_verdicts": example.people,
        "machine_verdicts": example.machines,
    }


def _counts(rows: Iterator[dict[str, Any]]) -> dict[str, Any]:
    columns = ("label", "origin", "split", "language", "label_source")
    counts: dict[str, Counter[str]] = {name: Counter() for name in (*columns, "category")}
    total = 0
    for row in rows:
        total += 1
        for name in columns:
            counts[name][row[name]] += 1
        counts["category"].update(row["categories"])
    return {"rows": total, **{name: dict(sorted(counter.items())) for name, counter in counts.items()}}


def _card(release: Release, digest: str, counts: dict[str, Any]) -> dict[str, Any]:
    version = release.project.policy_version
    return {
        "name": release.project.name,
        "version": release.number,
        "digest": digest,
        "counts": counts,
        "policy": str(version),
        "categories": list(version.categories.values("key", "name", "definition", "severity")),
        "evaluation_rows": counts["split"].get(Split.EVALUATION, 0),
    }


def _put_in_place(staging: Path, home: Path) -> list[dict[str, Any]]:
    """Move the staged folder to its home by one rename; describe its files."""
    if not home.exists():
        home.parent.mkdir(parents=True, exist_ok=True)
        staging.rename(home)
        sync_folder(home.parent)
    files = []
    for file in sorted(home.iterdir()):
        with file.open("rb") as handle:
            digest = hashlib.file_digest(handle, "sha256").hexdigest()
        files.append({"name": file.name, "bytes": file.stat().st_size, "sha256": digest})
    return files
