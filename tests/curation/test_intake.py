from __future__ import annotations

import csv
import io
import json
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import DatabaseError, connection
from django.test import Client
from django.urls import reverse
from huggingface_hub.errors import LocalEntryNotFoundError

from curation.forms.mapping import field
from curation.models import AuditEntry, Import, Job, Project, Provenance, Verdict
from curation.operations import imports, intake, jobs, mappings, releases
from pipeline import splits
from pipeline.bring import CHUNK
from pipeline.mapping import Mapping
from tests.factories import make_example, make_member, make_project
from tests.pipeline import files

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


def test_looking_at_such_a_file_has_the_same_limits(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(intake, "MEMORY", 2**30)
    content = files.as_parquet({"text": ["x" * 2_000_000] * 900, "label": ["safe"] * 900})
    assert len(content) < 1_000_000
    row = intake.look(project, None, io.BytesIO(files.as_zip({"a.parquet": content})), "a.zip", "training")
    job = row.job
    assert job is not None

    jobs.work(job.pk)

    job.refresh_from_db()
    assert job.state == "failed"
    assert "memory" in job.error or "too large when unpacked" in job.error


@pytest.mark.parametrize("content", [b"", b"PAR1", b"not parquet at all, but long enough to look at"])
def test_what_is_no_parquet_is_named(project: Project, content: bytes) -> None:
    row, job = brought(project, content, "a.parquet")

    assert job.state == "done", job.error
    assert (row.report["added"], row.report["refused"]) == (0, 1)


def looked(project: Project, content: bytes, name: str = "rows.jsonl") -> Import:
    row = intake.look(project, None, io.BytesIO(content), name, "training")
    worked(row)
    row.refresh_from_db()
    return row


def worked(row: Import) -> Job:
    job = row.job
    assert job is not None
    jobs.work(job.pk)
    job.refresh_from_db()
    assert job.state == "done", job.error
    return job


def test_a_lead_imports_in_the_browser_and_nobody_else_looks(project: Project, client: Client) -> None:
    client.force_login(make_member(project, "lead"))
    file = io.BytesIO(jsonl([{**row, "kind": row.pop("label")} for row in map(dict, ROWS)]))
    file.name = "rows.jsonl"
    response = client.post(reverse("import-start", args=[project.slug]), {"file": file, "purpose": "training"})
    row = Import.objects.get()
    page = reverse("import-detail", args=[project.slug, row.pk])
    assert response["Location"] == page
    assert "Waiting for a worker" in client.get(page).content.decode()
    worked(row)

    asked = client.get(page)
    assert "What its columns are" in asked.content.decode()
    start = posted(asked, label="kind")
    form = client.post(reverse("import-map", args=[project.slug, row.pk]), start, headers={"HX-Request": "true"})
    assert "perhaps" in form.content.decode()  # the values of the column that was chosen now
    assert client.post(reverse("import-map", args=[project.slug, row.pk]), posted(form)).status_code == 422
    perhaps = field("label", "kind", "perhaps")
    client.post(reverse("import-map", args=[project.slug, row.pk]), posted(form, **{perhaps: "-", "dry": "1"}))
    worked(row)
    tried = client.get(page).content.decode()
    assert "3 of 4 rows would be added" in tried
    assert "1 was left out by label" in tried
    assert "Import it" in tried and tried.count("btn-primary") == 1  # one next step: what was tried
    changed = client.post(
        reverse("import-map", args=[project.slug, row.pk]), posted(form), headers={"HX-Request": "true"}
    ).content.decode()
    assert '<div id="import-tried" hx-swap-oob="true"></div>' in changed and changed.count("btn-primary") == 1
    client.post(reverse("import-act", args=[project.slug, row.pk]), {"act": "import"})
    worked(row)
    assert "3 of 4 rows added" in client.get(page).content.decode()
    found = client.get(f"{reverse('examples', args=[project.slug])}?source={row.pk}")
    assert len(found.context["rows"]) == 3
    report = client.get(reverse("import-report", args=[project.slug, row.pk]))
    assert b"".join(report).startswith(b"line,message")  # type: ignore[arg-type]

    client.force_login(make_member(project, "annotator"))
    for name in ("import-detail", "import-report"):
        assert client.get(reverse(name, args=[project.slug, row.pk])).status_code == 404
    for name in ("import-act", "import-map"):
        assert client.post(reverse(name, args=[project.slug, row.pk])).status_code == 404


def posted(response: Any, **changes: str) -> dict[str, str]:
    """What a browser would send of the form on a page."""
    form = response.context["map"]
    return {name: str(field.initial) for name, field in form.fields.items()} | changes


def test_what_was_said_of_columns_is_remembered_for_files_that_have_the_same(project: Project) -> None:
    first = looked(project, jsonl([{"a": "hello good friend", "b": "mauve"}]))
    intake.go_on(first, None, Mapping(text="a", label="b", labels={"mauve": "safe"}))
    worked(first)

    second = looked(
        project, jsonl([{"b": "mauve", "a": "hello other friend"}, {"a": "one more of them", "b": "ochre"}])
    )
    look = mappings.look_of(second)
    assert look is not None
    mapping, remembered = mappings.proposed(second, look)

    assert remembered
    assert (mapping.text, mapping.label, mapping.labels) == ("a", "b", {"mauve": "safe"})
    assert mappings.problems(mapping, look) == ["Say what 'ochre' in 'b' means, or leave its rows out."]
    other = looked(project, jsonl([{"b": "mauve", "a": "hello", "c": 1}]))
    assert not mappings.proposed(other, mappings.look_of(other))[1]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "content", "annotators"),
    [
        ("argilla.json", files.as_array(files.ARGILLA), {"0f6e", "77ab", "9c2d", "small-model"}),
        ("label-studio.json", files.as_array(files.LABEL_STUDIO), {"ana@example.org", "7", "model 1"}),
        ("doccano.zip", files.as_zip({f"{who}.jsonl": files.as_lines(rows) for who, rows in files.DOCCANO.items()}),
         {"ana", "bob"}),
    ],
)  # fmt: skip
def test_exports_of_annotation_tools_keep_labels_and_annotators_and_give_no_verdicts(
    project: Project, client: Client, name: str, content: bytes, annotators: set[str]
) -> None:
    ana = make_member(project, "annotator", "ana")
    row = looked(project, content, name)
    look = mappings.look_of(row)
    assert look is not None
    mapping, _ = mappings.proposed(row, look)
    for word in ("Fraud", "Fraud/Deception", "Crime / Fraud"):
        mapping = replace(mapping, names={**mapping.names, **({word: "fraud"} if word in mapping.names else {})})
    assert mappings.problems(mapping, look) == []
    intake.go_on(row, None, mapping)
    worked(row)

    stored = row.examples.order_by("source_line")
    assert [(one.text, one.label, one.categories) for one in stored] == [
        ("how do i fake a receipt", "unsafe", ["fraud"]), ("how do i frame a receipt", "safe", []),
    ]  # fmt: skip
    first = stored[0].provenance
    assert {one["annotator"] for one in first.judgements} == annotators
    assert first.external_id in ("r-1", "11", "1")
    assert not Verdict.objects.exists()
    assert not ana.verdicts.exists()
    client.force_login(ana)
    shown = client.get(reverse("example", args=[project.slug, stored[0].pk])).content.decode()
    assert "None of it counts as a verdict" in shown
    assert all(who in shown for who in annotators)


def test_what_rows_were_elsewhere_goes_out_with_a_release_beside_its_rows(project: Project, settings: Any) -> None:
    row = looked(project, files.as_array(files.LABEL_STUDIO), "export.json")
    look = mappings.look_of(row)
    assert look is not None
    intake.go_on(row, None, mappings.proposed(row, look)[0])
    worked(row)
    release = releases.start(project, None)
    jobs.work(release.jobs.get().pk)
    release.refresh_from_db()

    home = settings.ARTIFACTS_DIR / release.path
    told = [json.loads(line) for line in (home / "provenance.jsonl").read_text().splitlines()]
    ids = [json.loads(line)["id"] for line in (home / "data.jsonl").read_text().splitlines()]
    assert [one["id"] for one in told] == ids
    assert told[0]["judgements"][0]["annotator"] == "ana@example.org"
    assert "provenance.jsonl" in (home / "CHECKSUMS.sha256").read_text()
    assert releases.rebuilt(release) == release.digest
    with pytest.raises(DatabaseError, match="append"):
        Provenance.objects.update(external_id="x")


def test_an_archive_that_cannot_be_trusted_fails_with_a_sentence_and_nothing_is_written_elsewhere(
    project: Project, tmp_path: Path
) -> None:
    row = intake.look(project, None, io.BytesIO(files.as_zip({"../../odd.jsonl": jsonl(ROWS)})), "odd.zip", "training")
    job = row.job
    assert job is not None
    jobs.work(job.pk)
    job.refresh_from_db()

    assert (job.state, "outside of itself" in job.error) == ("failed", True)
    assert not list(tmp_path.rglob("odd.jsonl"))
    assert not project.examples.exists()


def test_hostile_names_and_values_are_shown_as_text(project: Project, client: Client) -> None:
    client.force_login(make_member(project, "lead"))
    odd = "<img src=x onerror=alert(1)>"
    row = looked(project, jsonl([{"text": f"hello {odd}", "label": odd, odd: odd, "nul": "a\0b", "half": "\ud800"}]))

    page = client.get(reverse("import-detail", args=[project.slug, row.pk])).content.decode()

    assert odd not in page
    assert "&lt;img src=x" in page


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b'[{"a": 1}', b"\xff\xfe"])
def test_a_file_without_rows_says_so(project: Project, client: Client, content: bytes) -> None:
    client.force_login(make_member(project, "lead"))
    row = looked(project, content, "rows.json")

    page = client.get(reverse("import-detail", args=[project.slug, row.pk]))

    assert page.status_code == 200
    assert project.examples.count() == 0


def test_a_folder_is_imported_from_the_shell(project: Project, tmp_path: Path, capsys: Any) -> None:
    for split, text in (("train", "hello good friend"), ("test", "hello other friend")):
        (tmp_path / "set" / split).mkdir(parents=True)
        (tmp_path / "set" / split / "0.jsonl").write_bytes(jsonl([{"prompt": text, "is_safe": True}, {"prompt": ""}]))

    call_command("import_seeds", str(tmp_path / "set"), project=project.slug, dry=True)
    assert not project.examples.exists()
    mapping = tmp_path / "mapping.json"
    mapping.write_text(capsys.readouterr().out.rpartition("}")[0] + "}")
    call_command("import_seeds", str(tmp_path / "set"), project=project.slug, mapping=mapping)

    said = capsys.readouterr()
    assert said.out == "4 rows: 2 added, 0 duplicates, 2 refused, 0 left out\n"
    assert "test/0.jsonl, line 2" in said.err
    assert set(project.examples.values_list("label", flat=True)) == {"safe"}


def test_another_kind_of_file_is_refused_beside_the_field(project: Project, client: Client) -> None:
    client.force_login(make_member(project, "lead"))
    file = io.BytesIO(b"PK")
    file.name = "rows.xlsx"

    response = client.post(reverse("import-start", args=[project.slug]), {"file": file, "purpose": "training"})

    assert response.status_code == 422
    assert "ending in .jsonl" in response.content.decode()
    assert not Import.objects.exists()


def test_a_dataset_of_the_hub_is_imported_like_a_folder(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = {}

    def download(name: str, *, local_dir: Path, **more: Any) -> str:
        asked.update(more, name=name)
        (local_dir / "data").mkdir(parents=True)
        (local_dir / "data" / "train.jsonl").write_bytes(jsonl(ROWS[:2]))
        return str(local_dir)

    monkeypatch.setattr("huggingface_hub.snapshot_download", download)
    call_command("import_seeds", "hf://datasets/org/remarks", project=project.slug)

    assert (asked["name"], asked["repo_type"]) == ("org/remarks", "dataset")
    assert "*.jsonl" in asked["allow_patterns"]
    assert project.examples.count() == 2
    assert project.imports.get().name == "remarks.tar"


def test_a_hub_that_is_not_reached_is_a_sentence(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    def download(*_: Any, **__: Any) -> str:
        raise LocalEntryNotFoundError("no network")

    monkeypatch.setattr("huggingface_hub.snapshot_download", download)

    with pytest.raises(CommandError, match="cannot be had from the hub"):
        call_command("import_seeds", "hf://datasets/org/remarks", project=project.slug)
    assert not project.imports.exists()
