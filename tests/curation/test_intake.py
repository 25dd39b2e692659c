from __future__ import annotations

import csv
import io
import json
import threading
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.urls import reverse

from curation.models import AuditEntry, Import, Job, Project
from curation.operations import imports, intake, jobs
from pipeline import splits
from pipeline.bring import CHUNK
from tests.factories import make_example, make_member, make_project

pytestmark = pytest.mark.django_db(transaction=True)
ROWS = [
    {"text": "how do i fake a receipt", "label": "unsafe", "categories": ["fraud"], "pair": "a"},
    {"text": "how do i frame\ta receipt \\N", "label": "safe", "pair": "a"},
    {"text": "hello there friend", "label": "perhaps"},
    {"text": "Already  here, yes", "label": "safe"},
]


@pytest.fixture
def project() -> Project:
    return make_project(content_note="")


def jsonl(rows: list[dict[str, Any]]) -> bytes:
    return "\n".join(map(json.dumps, rows)).encode()


def brought(project: Project, content: bytes, name: str = "rows.jsonl", **options: Any) -> tuple[Import, Job]:
    row = intake.start(project, None, io.BytesIO(content), name, options.pop("purpose", "training"), **options)
    job = row.job
    assert job is not None
    jobs.work(job.pk)
    row.refresh_from_db()
    job.refresh_from_db()
    return row, job


def test_good_rows_go_in_and_the_others_are_named_in_a_file(project: Project) -> None:
    make_example(project, text="already here yes", origin="seed")

    row, job = brought(project, jsonl(ROWS))

    assert (job.state, job.error) == ("done", "")
    assert {name: row.report[name] for name in ("rows", "added", "duplicates", "refused")} == {
        "rows": 4, "added": 2, "duplicates": 1, "refused": 1,
    }  # fmt: skip
    stored = list(row.examples.order_by("source_line"))
    assert [(one.source_line, one.text) for one in stored] == [(1, ROWS[0]["text"]), (2, ROWS[1]["text"])]
    assert [(one.state, one.label, one.categories) for one in stored] == [
        ("accepted", "unsafe", ["fraud"]), ("accepted", "safe", []),
    ]  # fmt: skip
    assert len({one.family for one in stored}) == 1
    assert {one.split for one in stored} == {splits.split_of(stored[0].family)}
    file = intake.report_file(row)
    assert file is not None
    assert [(int(line), "already" in why) for line, why in list(csv.reader(file.open()))[1:]] == [(3, False), (4, True)]
    assert AuditEntry.objects.get(action="seeds-imported").detail["added"] == 2


def test_what_the_quick_way_stores_the_worker_stores_alike(project: Project) -> None:
    content, other = jsonl(ROWS), make_project(policy_version=project.policy_version)
    imports.seeds(other, None, io.BytesIO(content), "rows.jsonl")
    brought(project, content)

    def columns(home: Project) -> list[tuple[Any, ...]]:
        names = ("text", "text_hash", "family", "split", "language", "origin", "state", "label", "proposed_categories")
        return list(home.examples.order_by("text").values_list(*names))

    assert columns(project) == columns(other)


def test_texts_that_are_there_are_found_in_each_chunk(project: Project) -> None:
    rows = [{"text": f"hello friend number {number}", "label": "safe"} for number in range(CHUNK + 2)]
    make_example(project, text=rows[0]["text"], origin="seed")
    make_example(project, text=rows[-1]["text"], origin="augmented")

    row, job = brought(project, jsonl(rows))

    assert (job.state, job.error, row.report["chunks"]) == ("done", "", 2)
    assert (row.report["added"], row.report["duplicates"]) == (CHUNK, 2)
    file = intake.report_file(row)
    assert file is not None
    assert [int(line) for line, _ in list(csv.reader(file.open()))[1:]] == [1, CHUNK + 2]


def test_who_may_not_skip_the_checks_of_keys_imports_all_the_same(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(intake, "CHECKS", "SELECT %s WHERE false")

    row, _ = brought(project, jsonl(ROWS))

    assert row.report["added"] == 3


def test_a_dry_run_counts_and_stores_nothing_until_it_is_meant(project: Project) -> None:
    row, job = brought(project, jsonl(ROWS), dry=True)
    assert (job.state, row.report["added"], row.is_stored) == ("done", 3, False)
    assert not project.examples.exists()

    intake.go_on(row, None)
    again = row.job
    assert again is not None
    jobs.work(again.pk)

    row.refresh_from_db()
    assert row.is_stored
    assert project.examples.count() == 3


def test_a_cancelled_import_leaves_nothing(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    row = intake.start(project, None, io.BytesIO(jsonl(ROWS)), "rows.jsonl", "training")
    job = row.job
    assert job is not None
    real = intake._settle

    def cancel() -> None:
        jobs.cancel(job)
        connection.close()

    def cancelled_by_somebody_else(*given: Any) -> None:
        assert project.examples.count() == 3
        other = threading.Thread(target=cancel)
        other.start()
        other.join()
        real(*given)

    monkeypatch.setattr(intake, "_settle", cancelled_by_somebody_else)

    jobs.work(job.pk)

    job.refresh_from_db()
    assert job.state == "cancelled"
    assert not project.examples.exists()


def test_held_out_parquet_rows_are_never_trainable(project: Project, tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.Table.from_pylist([{"text": "hello there friend", "label": 0, "x": 1}]), tmp_path / "a")

    row, job = brought(project, (tmp_path / "a").read_bytes(), "a.parquet", purpose="evaluation")

    assert job.state == "done", job.error
    assert row.examples.get().split == "evaluation"


def test_a_small_file_that_unpacks_to_more_than_memory_fails_with_a_sentence(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    monkeypatch.setattr(intake, "MEMORY", 2**30)
    huge = pa.array(["x" * 2_000_000]).dictionary_encode()
    texts = pa.DictionaryArray.from_arrays(pa.array([0] * 900, pa.int8()), huge.dictionary)
    table = pa.table({"text": texts, "label": pa.array(["safe"] * 900)})
    pq.write_table(table, tmp_path / "a", compression="zstd")
    assert (tmp_path / "a").stat().st_size < 100_000

    _, job = brought(project, (tmp_path / "a").read_bytes(), "a.parquet")

    assert job.state == "failed"
    assert "memory" in job.error or "too large when unpacked" in job.error
    assert not project.examples.exists()


@pytest.mark.parametrize("content", [b"", b"PAR1", b"not parquet at all, but long enough to look at"])
def test_what_is_no_parquet_is_named(project: Project, content: bytes) -> None:
    row, job = brought(project, content, "a.parquet")

    assert job.state == "done", job.error
    assert (row.report["added"], row.report["refused"]) == (0, 1)


def test_a_lead_imports_in_the_browser_and_nobody_else_looks(project: Project, client: Client, tmp_path: Path) -> None:
    client.force_login(make_member(project, "lead"))
    file = io.BytesIO(jsonl(ROWS))
    file.name = "rows.jsonl"
    response = client.post(
        reverse("import-start", args=[project.slug]), {"file": file, "purpose": "training", "dry": "1"}
    )
    row = Import.objects.get()
    page = reverse("import-detail", args=[project.slug, row.pk])
    assert response["Location"] == page
    assert "Waiting for a worker" in client.get(page).content.decode()
    jobs.work(row.job.pk)  # type: ignore[union-attr]
    assert "3 of 4 rows would be added" in client.get(page).content.decode()
    report = client.get(reverse("import-report", args=[project.slug, row.pk]))
    assert b"".join(report).startswith(b"line,message")  # type: ignore[arg-type]
    client.post(reverse("import-act", args=[project.slug, row.pk]), {"act": "import"})
    jobs.work(row.job.pk)  # type: ignore[union-attr]
    assert "3 of 4 rows added" in client.get(page).content.decode()
    found = client.get(f"{reverse('examples', args=[project.slug])}?source={row.pk}")
    assert len(found.context["rows"]) == 3

    client.force_login(make_member(project, "annotator"))
    for name in ("import-detail", "import-report"):
        assert client.get(reverse(name, args=[project.slug, row.pk])).status_code == 404
    assert client.post(reverse("import-act", args=[project.slug, row.pk])).status_code == 404


def test_another_kind_of_file_is_refused_beside_the_field(project: Project, client: Client) -> None:
    client.force_login(make_member(project, "lead"))
    file = io.BytesIO(b"PK")
    file.name = "rows.xlsx"

    response = client.post(reverse("import-start", args=[project.slug]), {"file": file, "purpose": "training"})

    assert response.status_code == 422
    assert "ending in .jsonl" in response.content.decode()
    assert not Import.objects.exists()
