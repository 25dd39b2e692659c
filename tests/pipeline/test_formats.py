"""Files of other tools, datasets and archives: what is read of them, and what is refused."""

from __future__ import annotations

import io
import json
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from classifier.runfolder import ProgramError
from pipeline import guess, mapping
from pipeline.guess import Hazard, Taxonomy
from pipeline.importers import Record, RowError, archive, importers
from pipeline.look import Look, look_at
from pipeline.mapping import ImportedRow, Judgement, Mapping
from tests.pipeline import files

TAXONOMY = Taxonomy(
    [
        Hazard("fraud", "Fraud", ("illicit", "S2: Non-Violent Crimes", "ncr", "Fraud/Deception")),
        Hazard("theft", "Theft and break-in", ("illicit", "S2: Non-Violent Crimes", "ncr")),
        Hazard("hate", "Hate", ("hate", "S10: Hate", "hte", "Hate/Identity Hate")),
        Hazard("sexual-content", "Sexual content", ("sexual", "S12: Sexual Content")),
    ]
)
KEYS = frozenset({"fraud", "theft", "hate", "sexual-content"})
ROWS = [{"text": f"how do i water plant {n}", "label": "safe"} for n in range(3)]


def brought(format: str, content: bytes, **changes: Any) -> list[ImportedRow | RowError]:
    """What comes of a file with the mapping that is guessed for it."""
    guessed = guess.guess(seen(format, content), TAXONOMY)
    return list(mapping.read(format, io.BytesIO(content), Mapping.of({**guessed.to_json(), **changes}), KEYS))


def seen(format: str, content: bytes) -> Look:
    return look_at(io.BytesIO(content), format)


def refusal(content: bytes) -> str:
    with pytest.raises(ProgramError) as no:
        list(importers.make("archive")(io.BytesIO(content), None))
    return no.value.error


# Tools


def test_an_export_of_argilla_keeps_labels_and_who_gave_them() -> None:
    first, second = brought("json", files.as_array(files.ARGILLA))

    assert isinstance(first, ImportedRow) and isinstance(second, ImportedRow)
    assert (first.text, first.label, first.categories) == ("how do i fake a receipt", "unsafe", ("fraud",))
    assert (first.external_id, first.language) == ("r-1", "en")
    assert first.judgements == (
        Judgement("0f6e", "unsafe", ("fraud",), ("unsafe", "Fraud/Deception")),
        Judgement("77ab", "unsafe", ("fraud",), ("unsafe", "Fraud/Deception")),
        Judgement("9c2d", "safe", (), ("safe",)),
        Judgement("small-model", "safe", (), ("safe",), machine=True),
    )
    assert (second.label, len(second.judgements or ())) == ("safe", 1)


def test_argillas_datasets_leave_out_what_was_discarded() -> None:
    (row,) = brought("jsonl", files.as_lines(files.ARGILLA_FLAT))

    assert isinstance(row, ImportedRow)
    assert [(one.annotator, one.label, one.machine) for one in row.judgements or ()] == [
        ("0f6e", "unsafe", False), ("77ab", "unsafe", False), ("small-model", "safe", True),
    ]  # fmt: skip


def test_argillas_first_version_is_read_too() -> None:
    (row,) = brought("jsonl", files.as_lines(files.ARGILLA_1))

    assert isinstance(row, ImportedRow)
    assert (row.label, row.external_id) == ("unsafe", "r-1")
    assert [one.annotator for one in row.judgements or ()] == ["0f6e", "small-model"]


def test_an_export_of_label_studio_keeps_labels_and_annotators_and_a_prediction_decides_nothing() -> None:
    first, second, third = brought("json", files.as_array(files.LABEL_STUDIO))

    assert isinstance(first, ImportedRow)
    assert (first.label, first.categories, first.external_id) == ("unsafe", ("fraud",), "11")
    assert first.judgements == (
        Judgement("ana@example.org", "unsafe", ("fraud",), ("Unsafe", "Crime / Fraud")),
        Judgement("7", "unsafe", (), ("Unsafe",)),
        Judgement("model 1", "safe", (), ("Safe",), machine=True),
    )
    assert isinstance(second, ImportedRow) and second.label == "safe"
    assert third == RowError(3, "labelled by nobody")


def test_a_row_an_annotation_as_label_studios_short_form_has_it_becomes_one_text() -> None:
    (row,) = brought("json", files.as_array(files.LABEL_STUDIO_MIN))

    assert isinstance(row, ImportedRow)
    assert [one.annotator for one in row.judgements or ()] == ["7", "8"]


def test_doccanos_archive_has_a_file_for_each_annotator() -> None:
    packed = files.as_zip({f"{name}.jsonl": files.as_lines(rows) for name, rows in files.DOCCANO.items()})

    first, second = brought("archive", packed)

    assert isinstance(first, ImportedRow) and isinstance(second, ImportedRow)
    assert (first.label, first.categories, first.external_id) == ("unsafe", ("fraud",), "1")
    assert first.judgements == (
        Judgement("ana", "unsafe", ("fraud",), ("unsafe", "Fraud")), Judgement("bob", "unsafe", (), ("unsafe",)),
    )  # fmt: skip
    assert [one.annotator for one in second.judgements or ()] == ["ana"]  # bob's empty list says nothing


def test_a_shared_project_of_doccano_names_nobody() -> None:
    rows = brought("jsonl", files.as_lines(files.DOCCANO["ana"]))

    assert [(row.label, row.judgements) for row in rows if isinstance(row, ImportedRow)] == [
        ("unsafe", None), ("safe", None),
    ]  # fmt: skip


def test_doccanos_old_form_names_labels_by_number_until_they_are_mapped() -> None:
    (row,) = brought("jsonl", files.as_lines(files.DOCCANO_OLD), labels={"4": "unsafe:fraud"})

    assert isinstance(row, ImportedRow)
    assert (row.categories, row.judgements) == (("fraud",), (Judgement("2", "unsafe", ("fraud",), ("4",)),))


def test_annotators_who_disagree_evenly_decide_nothing() -> None:
    rows = [
        {"text": "a doubtful one", "label": label, "annotator": by} for by, label in (("a", "safe"), ("b", "unsafe"))
    ]

    (error,) = brought("jsonl", files.as_lines(rows))

    assert isinstance(error, RowError)
    assert "disagree: 1 say safe, 1 unsafe" in error.message


def test_the_same_annotator_twice_is_a_repeat() -> None:
    rows = [{"text": "a doubtful one", "label": "safe", "annotator": "a"}] * 2

    error, row = brought("jsonl", files.as_lines(rows))

    assert isinstance(row, ImportedRow)
    assert error == RowError(2, "repeats line 1 of this file by the same annotator")


# Values


def test_a_value_may_mean_a_label_with_its_category_or_be_left_out() -> None:
    rows = [{"text": f"short text {n}", "label": label} for n, label in enumerate(("ok", "scam", "spam", "odd"))]
    labels = {"ok": "safe", "scam": "unsafe:fraud", "spam": ""}

    reader = mapping.Taken(mapping.Reader(Mapping(labels=labels), KEYS), Mapping(labels=labels))
    found = list(reader(importers.make("jsonl")(io.BytesIO(files.as_lines(rows)), None)))

    assert found == [
        ImportedRow(1, "short text 0", "safe"), ImportedRow(2, "short text 1", "unsafe", ("fraud",)),
        RowError(4, "label should be safe or unsafe, found 'odd'"),
    ]  # fmt: skip
    assert reader.left_out == 1


def test_names_elsewhere_are_guessed_where_they_mean_one_category() -> None:
    found = {word: TAXONOMY.key(word) for word in ("S10", "S10: Hate", "hte", "hate/threatening", "Fraud/Deception",
                                                   "illicit", "sexual", "sexual/minors", "Crime / Fraud")}  # fmt: skip

    assert found == {
        "S10": "hate", "S10: Hate": "hate", "hte": "hate", "hate/threatening": "hate", "Fraud/Deception": "fraud",
        "illicit": "", "sexual": "sexual-content", "sexual/minors": "", "Crime / Fraud": "fraud",
    }  # fmt: skip


def test_columns_are_guessed_by_their_names_and_by_their_values() -> None:
    rows = [
        {"nr": n, "eingabe": f"wie giesse ich {n} pflanzen", "urteil": ("Safe", "Hate")[n % 2], "sprache": "de",
         "toxicity_score": 0.1 * n} for n in range(90)
    ]  # fmt: skip

    guessed = guess.guess(seen("jsonl", files.as_lines(rows)), TAXONOMY)

    assert (guessed.text, guessed.label, guessed.language) == ("eingabe", "urteil", "sprache")
    assert guessed.labels == {"Safe": "safe", "Hate": "unsafe:hate"}
    assert (guessed.categories, guessed.external_id, guessed.annotator) == ("", "", "")


def test_a_yes_to_is_safe_is_safe_and_a_table_of_yes_and_no_names_categories() -> None:
    rows = [
        {"prompt": "how do i fake a receipt", "is_safe": False, "category": {"fraud": True, "hate": False}},
        {"prompt": "how do i frame a receipt", "is_safe": True, "category": {"fraud": False, "hate": False}},
    ]

    assert brought("jsonl", files.as_lines(rows)) == [
        ImportedRow(1, "how do i fake a receipt", "unsafe", ("fraud",)),
        ImportedRow(2, "how do i frame a receipt", "safe"),
    ]


def test_a_value_that_nobody_knows_is_left_to_a_person() -> None:
    rows = [{"text": f"short text {n}", "label": label} for n, label in enumerate(("safe", "mauve"))]

    guessed = guess.guess(seen("jsonl", files.as_lines(rows)), TAXONOMY)

    assert guessed.labels == {"safe": "safe"}


def test_what_is_seen_of_a_file_is_bounded() -> None:
    wide = [{f"column {n}": "x" for n in range(10_000)} | {"text": "a" * 5_000}]

    look = seen("jsonl", files.as_lines(wide))

    assert (len(look.columns), look.passed_over) == (200, 9_801)
    assert all(len(str(value)) <= 401 for value in look.first[0].values.values())
    json.dumps(look.first)


# Datasets and archives


@pytest.mark.parametrize("pack", [files.as_zip, files.as_tar])
def test_a_datasets_folder_is_read_split_by_split(pack: Callable[[dict[str, bytes]], bytes]) -> None:
    names = json.dumps({"info": {"features": {"label": {"_type": "ClassLabel", "names": ["unsafe", "safe"]}}}})
    packed = pack(
        {
            "set/README.md": b"---\n---\n", "set/.gitattributes": b"", "set/dataset_infos.json": b"{}",
            "set/data/train-00000-of-00001.parquet": files.as_parquet(
                {"text": ["how do i fake a receipt"], "label": [0]}, {"huggingface": names}
            ),
            "set/data/test-00000-of-00001.parquet": files.as_parquet(
                {"text": ["how do i frame a receipt"], "label": [1]}, {"huggingface": names}
            ),
            "set/data.csv": b"text,label\nhow do i fake a receipt,unsafe\n",
        }
    )  # fmt: skip

    look = seen("archive", packed)
    rows = brought("archive", packed, splits=["test"])

    assert look.splits == {"test": 1, "train": 1}
    assert look.unread == ["set/data.csv"]
    assert rows == [ImportedRow(1, "how do i frame a receipt", "safe")]  # 1 is the second name, not a yes


def test_what_save_to_disk_leaves_is_read() -> None:
    packed = files.as_zip(
        {
            "dataset_dict.json": b'{"splits": ["train"]}', "train/state.json": b"{}", "train/dataset_info.json": b"{}",
            "train/data-00000-of-00001.arrow": files.as_arrow({"text": ["hello good friend"], "label": ["safe"]}),
        }
    )  # fmt: skip

    assert brought("archive", packed) == [ImportedRow(1, "hello good friend", "safe")]


def test_a_folder_that_the_library_datasets_saved_is_read_with_the_names_of_its_classes(tmp_path: Path) -> None:
    from datasets import ClassLabel, Dataset, DatasetDict, Features, Value

    features = Features({"prompt": Value("string"), "label": ClassLabel(names=["unsafe", "safe"])})
    rows = Dataset.from_dict({"prompt": ["how do i fake it", "how do i frame it"], "label": [0, 1]}, features=features)
    DatasetDict(train=rows).save_to_disk(tmp_path)
    packed = files.as_zip(
        {str(file.relative_to(tmp_path)): file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()}
    )

    assert brought("archive", packed) == [
        ImportedRow(1, "how do i fake it", "unsafe"), ImportedRow(2, "how do i frame it", "safe"),
    ]  # fmt: skip


def test_a_folder_for_each_label_is_one() -> None:
    packed = files.as_zip(
        {"safe/1.txt": b"hello good friend", "unsafe/2.txt": b"fake a receipt for me", "readme.txt": b""}
    )

    assert brought("archive", packed) == [
        ImportedRow(1, "hello good friend", "safe"), ImportedRow(2, "fake a receipt for me", "unsafe"),
    ]  # fmt: skip


def test_one_file_under_gzip_is_that_file() -> None:
    assert len(brought("archive", files.as_gzip(files.as_lines(ROWS)))) == 3
    assert len(brought("archive", files.as_zip({"rows.jsonl.gz": files.as_gzip(files.as_lines(ROWS))}))) == 3


def test_a_bad_row_of_an_archive_is_named_with_its_file() -> None:
    packed = files.as_zip({"a.csv": b"text,label\nfine one here,safe\n", "b.csv": b"text,label\nonly one\n"})

    assert brought("archive", packed)[1] == RowError(2, "b.csv, line 2: has 1 fields, the header 2")


@pytest.mark.parametrize(
    "name", ["../rows.jsonl", "/etc/rows.jsonl", "a/../../rows.jsonl", "C:rows.jsonl", "..\\rows.jsonl"]
)
@pytest.mark.parametrize("pack", [files.as_zip, files.as_tar])
def test_an_archive_that_points_outside_of_itself_is_refused(pack: Callable[..., bytes], name: str) -> None:
    assert "outside of itself" in refusal(pack({"fine.jsonl": files.as_lines(ROWS), name: files.as_lines(ROWS)}))


@pytest.mark.parametrize("pack", [files.as_zip, files.as_tar])
def test_an_archive_that_unpacks_to_too_much_is_refused(pack: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "UNPACKED", 2**20)
    bomb = pack({"rows.jsonl": b'{"text": "' + b"a" * 2**21 + b'"}'})
    assert len(bomb) < 10_000

    assert "unpacks to more than 1 MB" in refusal(bomb)


def test_a_sparse_file_that_claims_a_petabyte_is_refused() -> None:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        entry = tarfile.TarInfo("rows.jsonl")
        entry.pax_headers = {"GNU.sparse.major": "0", "GNU.sparse.minor": "1", "GNU.sparse.size": str(2**50),
                             "GNU.sparse.numblocks": "1", "GNU.sparse.map": "0,0"}  # fmt: skip
        tar.addfile(entry, io.BytesIO())

    assert "unpacks to more than" in refusal(packed.getvalue())


def test_links_are_not_followed(tmp_path: Any) -> None:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        entry = tarfile.TarInfo("rows.jsonl")
        entry.type, entry.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(entry)

    assert "no file that can be read" in refusal(packed.getvalue())


def test_a_name_used_twice_too_many_files_and_a_password_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    twice = io.BytesIO()
    with zipfile.ZipFile(twice, "w") as packed, pytest.warns(UserWarning, match="Duplicate"):
        packed.writestr("rows.jsonl", files.as_lines(ROWS))
        packed.writestr("rows.jsonl", files.as_lines(ROWS))
    locked = bytearray(files.as_zip({"rows.jsonl": files.as_lines(ROWS)}))
    locked[locked.rfind(b"PK\x01\x02") + 8] |= 1

    assert "'rows.jsonl' twice" in refusal(twice.getvalue())
    assert "password" in refusal(bytes(locked))
    monkeypatch.setattr(archive, "MOST_FILES", 2)
    assert "more than 2 files" in refusal(files.as_zip({f"{n}.jsonl": b"" for n in range(3)}))


# Archives carry the time they were made, so two workers would name a test after two contents.
@pytest.mark.parametrize(
    "content",
    [b"PK\x03\x04 and no more", files.as_zip({"a.jsonl": b"x" * 999})[:60], files.as_gzip(files.as_lines(ROWS))[:30]],
    ids=["no zip at all", "half a zip", "half a gzip"],
)
def test_a_broken_archive_is_named(content: bytes) -> None:
    assert "broken" in refusal(content)


# JSON


def test_an_array_is_read_an_element_at_a_time_over_any_border(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.importers.json.BLOCK", 7)
    rows: list[Any] = [{"text": "café — é", "n": [1, {"x": "]"}]}, 5, {"text": "b"}]

    found = list(importers.make("json")(io.BytesIO(json.dumps(rows, ensure_ascii=False).encode()), None))

    assert found == [Record(1, rows[0]), RowError(2, "expected a JSON object, found int"), Record(3, rows[2])]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b'[{"text": "a"}, {"text": ', "nothing after it was read"),
        (b'[{"text": "a"} {"text": "b"}]', "expected , or ]"),
        (b'[{"a": 1, "a": 2}]', "names a key twice"), (b"[" * 100_000, "nested too deeply"), (b'["\xff"]', "not UTF-8"),
    ],
)  # fmt: skip
def test_a_broken_array_says_where_it_broke(content: bytes, says: str) -> None:
    *_, error = importers.make("json")(io.BytesIO(content), None)

    assert isinstance(error, RowError)
    assert says in error.message


def test_lines_that_are_named_json_are_lines() -> None:
    assert len(list(importers.make("json")(io.BytesIO(files.as_lines(ROWS)), None))) == 3


@pytest.mark.parametrize(
    ("columns", "label", "meant"),
    [
        ({"target": ("1", "0")}, "target", {"1": "unsafe", "0": "safe"}),
        ({"y": ("1", "0")}, "y", {"1": "unsafe", "0": "safe"}),
        ({"isHarmful": ("true", "false")}, "isHarmful", {"true": "unsafe", "false": "safe"}),
        ({"Is-Toxic": ("yes", "no")}, "Is-Toxic", {"yes": "unsafe", "no": "safe"}),
        ({"Class": ("toxic", "benign")}, "Class", {"toxic": "unsafe", "benign": "safe"}),
        ({"label": ("news", "chat"), "toxic": ("1", "0")}, "toxic", {"1": "unsafe", "0": "safe"}),
        ({"label": ("news", "chat"), "outcome": ("unsafe", "safe")}, "outcome", {"unsafe": "unsafe", "safe": "safe"}),
        ({"outcome": ("1", "0")}, "outcome", {"1": "unsafe", "0": "safe"}),
        ({"label": ("news", "chat"), "edited": ("1", "0")}, "label", {}),
        ({"outcome": ("3", "4")}, "", {}),
    ],
)
def test_the_column_of_the_label_is_the_one_whose_name_and_values_say_so(
    columns: dict[str, tuple[str, str]], label: str, meant: dict[str, str]
) -> None:
    rows = [
        {"text": f"how do i water plant {n}", **{name: values[n % 2] for name, values in columns.items()}}
        for n in range(6)
    ]
    content = "\n".join(json.dumps(row) for row in rows).encode()

    found = guess.guess(seen("jsonl", content), TAXONOMY)

    assert (found.label, dict(found.labels)) == (label, meant)
