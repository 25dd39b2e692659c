from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from django.db import DatabaseError, connection, transaction

from curation.models import Job, Project, Release
from curation.operations import Refused, freezing, jobs, releases
from curation.operations.freezing import Selection
from pipeline.splits import SplitRecipe
from tests.factories import make_example, make_member, make_project, make_seeds, make_verdict

pytestmark = pytest.mark.django_db(transaction=True)
DRAWN = SplitRecipe(mode="draw", parts={"train": 0.6, "validation": 0.2, "test": 0.2}, tolerance=0.05)


@pytest.fixture(autouse=True)
def no_bell(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("curation.bell.ring", lambda job_id, queue: None)


@pytest.fixture
def project() -> Project:
    project = make_project()
    make_seeds(project, 20)
    return project


def released(project: Project, **choices: Any) -> Release:
    release = releases.start(project, None, **choices)
    job = jobs.work(release.jobs.get().pk)
    assert job is not None and job.state == Job.State.DONE, (job and job.error, job and job.remedy)
    release.refresh_from_db()
    return release


def lines(release: Release, settings: Any) -> list[dict[str, Any]]:
    file = settings.ARTIFACTS_DIR / release.path / "data.jsonl"
    return [json.loads(line) for line in file.read_text().splitlines()]


def test_the_same_rows_make_the_same_version_and_its_name_is_the_files_checksum(
    project: Project, settings: Any
) -> None:
    first, second = released(project), released(project)

    assert first.digest == second.digest == releases.rebuilt(first)
    data = (settings.ARTIFACTS_DIR / first.path / "data.jsonl").read_bytes()
    assert hashlib.sha256(data).hexdigest() == first.digest
    assert releases.broken_files(first) == []


def test_a_release_is_built_again_as_it_was_whatever_happened_since(project: Project) -> None:
    example = make_example(project, state="accepted", label="safe", text="as it was", proposed_label="safe")
    release = released(project)
    example.revisions.create(number=1, text="as it was")
    type(example).objects.filter(pk=example.pk).update(text="edited", version=2, label="unsafe", split="validation")
    make_example(project, state="accepted", label="safe")

    assert releases.rebuilt(release) == release.digest


def test_a_release_that_is_out_never_changes(project: Project) -> None:
    release = released(project)

    for sql in ("UPDATE curation_release SET counts = '{}'", "DELETE FROM curation_releaserow"):
        with pytest.raises(DatabaseError), transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(sql)
    assert releases.rebuilt(release) == release.digest


def test_no_family_is_in_two_splits_and_held_out_ones_are_in_test(project: Project, settings: Any) -> None:
    project.examples.filter(family="pair-3").update(split="evaluation")

    rows = lines(released(project, splits=DRAWN), settings)

    splits: dict[str, set[str]] = {}
    for row in rows:
        splits.setdefault(row["family"], set()).add(row["split"])
    assert all(len(found) == 1 for found in splits.values())
    assert splits["pair-3"] == {"test"}
    assert {split for found in splits.values() for split in found} == {"train", "validation", "test"}


def test_a_split_that_cannot_be_met_fails_with_a_sentence_and_keeps_nothing(project: Project) -> None:
    release = releases.start(
        project, None, splits=SplitRecipe(mode="draw", unit="rows", parts={"train": 1, "test": 99})
    )

    job = jobs.work(release.jobs.get().pk)

    assert job is not None and job.state == Job.State.FAILED
    assert job.error == "The split asks for 99 rows beside training, and there are 40 in all."
    release.refresh_from_db()
    assert not release.is_ready and not release.rows.exists()


def test_a_family_that_stands_in_two_splits_is_refused(project: Project) -> None:
    project.examples.filter(family="pair-3", label="safe").update(split="validation")
    release = releases.start(project, None)

    with pytest.raises(Refused, match="1 families stand in two splits"):
        freezing.freeze(release)


def test_the_agreement_rule_holds_for_what_people_decided(project: Project, settings: Any) -> None:
    sure, torn = (
        make_example(project, state="accepted", label="safe", proposed_label="safe", text=f"text {n}") for n in range(2)
    )
    for example, decision in ((sure, "accept"), (sure, "accept"), (torn, "accept"), (torn, "reject")):
        make_verdict(example, make_member(project, "annotator"), decision)

    rows = lines(released(project, selection=Selection(least_people=2, least_agreement=0.9)), settings)

    people = [row for row in rows if row["label_source"] == "person"]
    assert [(row["id"], row["person_verdicts"], row["agreeing_verdicts"]) for row in people] == [(str(sure.pk), 2, 2)]
    assert len(rows) == 41


def test_a_text_that_stands_twice_is_released_once(project: Project) -> None:
    for family in ("one", "other"):
        make_example(project, state="accepted", label="safe", text="the same text", family=family)

    assert released(project, selection=Selection(origins=("augmented",))).counts["rows"] == 1


def test_the_release_loads_offline_as_a_hugging_face_dataset(
    project: Project, settings: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    release = released(project, splits=DRAWN)
    from datasets import load_dataset

    loaded = load_dataset(str(settings.ARTIFACTS_DIR / release.path), cache_dir=str(tmp_path))

    assert {name: part.num_rows for name, part in loaded.items()} == release.counts["split"]
    assert loaded["train"][0]["label"] in ("safe", "unsafe")


def test_the_croissant_metadata_is_valid_and_its_checksums_are_the_files(project: Project, settings: Any) -> None:
    import mlcroissant

    release = released(project, extra=("csv", "csv-lossless"))
    home = settings.ARTIFACTS_DIR / release.path
    metadata = mlcroissant.Dataset(jsonld=str(home / "croissant.json")).metadata

    assert not metadata.ctx.issues.errors
    sums = dict(line.split("  ")[::-1] for line in (home / "CHECKSUMS.sha256").read_text().splitlines())
    assert {"data.jsonl", "data.csv", "data-lossless.csv", "croissant.json", "README.md"} <= set(sums)
    assert all(hashlib.sha256((home / name).read_bytes()).hexdigest() == sum for name, sum in sums.items())


def test_the_difference_of_two_releases_says_what_came_and_changed(project: Project) -> None:
    first = released(project)
    make_example(project, state="accepted", label="safe", text="a new one")
    project.examples.filter(family="pair-1", label="unsafe").update(categories=["hate"])
    second = released(project)

    assert releases.difference(first, second) == {
        "added": 1, "removed": 0, "text": 0, "label": 0, "categories": 1, "split": 0,
    }  # fmt: skip
