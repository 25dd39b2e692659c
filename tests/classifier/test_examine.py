from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from classifier import attacks, suite
from classifier.__main__ import main
from classifier.evaluate import by_length
from classifier.examine import Examination, examine, slices
from classifier.families import families, hold_out
from classifier.runfolder import ProgramError, RunFolder
from classifier.score import load_scorer
from tests.classifier.planted import flip_byte, planted_rows, started


def write(file: Path, rows: list[dict[str, Any]]) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return file


def test_a_file_gives_every_figure_with_intervals_and_slices(trained_run: RunFolder, tmp_path: Path) -> None:
    rows = planted_rows(40, seed=4)
    for number in range(0, 40, 2):
        rows[number]["pair"] = rows[number + 1]["pair"] = f"p{number}"
        rows[number]["language"], rows[number + 1]["language"] = ("en", "en") if number < 20 else ("de", "de")
    found = examine(Examination(trained_run / "model", write(tmp_path / "rows.jsonl", rows)))
    wanted = {
        "n", "unsafe", "average_precision", "f1", "best_f1", "precision", "recall", "fpr", "recall_at_fpr_1",
        "recall_at_fpr_5", "ece", "brier", "per_category", "by_length", "seconds", "intervals", "readings",
        "three_ways",
    }  # fmt: skip
    assert wanted <= set(found)
    low, high = found["intervals"]["average_precision"]
    assert low <= found["average_precision"] <= high
    assert found["by_length"]["0 to 16 words"]["n"] == 40
    assert set(found["slices"]) == {"obfuscated", "twins", "by_language"}
    assert found["slices"]["twins"]["n"] == 20 and found["slices"]["twins"]["ordered"] > 0.8
    assert {language: part["n"] for language, part in found["slices"]["by_language"].items()} == {"de": 20, "en": 20}


def test_a_text_in_disguise_is_measured_by_its_worse_reading(trained_run: RunFolder, tmp_path: Path) -> None:
    rows = [{**row, "text": row["text"].replace("poison", "p.o.i.s.o.n")} for row in planted_rows(40, seed=4)]
    found = examine(Examination(trained_run / "model", write(tmp_path / "rows.jsonl", rows)))
    assert found["disguised"] == 20
    assert found["readings"]["raw"]["recall"] < found["readings"]["undisguised"]["recall"] == found["recall"]


def test_a_folder_is_measured_set_by_set_averaged_and_pooled(trained_run: RunFolder, tmp_path: Path) -> None:
    rows = planted_rows(40, seed=4)
    unsafe, safe = rows[1::2], rows[::2]
    write(tmp_path / "sets/both.jsonl", rows)
    write(tmp_path / "sets/unsafe.jsonl", unsafe)
    write(tmp_path / "sets/safe.jsonl", safe)
    found = examine(Examination(trained_run / "model", tmp_path / "sets"))
    assert found["averaged_over"] == 1
    assert found["average"]["average_precision"] == found["sets"]["both"]["average_precision"]
    assert found["sets"]["unsafe"]["average_precision"] is None
    assert found["sets"]["unsafe"]["recall_at_pooled_fpr_5"] > 0.8
    assert found["pooled"]["n"] == 80


def test_the_pooled_cut_comes_from_the_safe_rows_of_all_sets() -> None:
    sets = {
        "a": (np.linspace(0, 0.5, 100), np.zeros(100)),
        "b": (np.array([0.45, 0.49, 0.9, 0.9]), np.ones(4)),
    }
    found = suite.measure(sets, 0.5)
    assert (sets["a"][0] >= found["pooled_threshold"]).mean() <= 0.05
    assert found["sets"]["b"]["recall_at_pooled_fpr_5"] == 0.75
    assert found["average"]["average_precision"] is None


def test_attacks_tell_how_many_right_verdicts_they_turn(trained_run: RunFolder, tmp_path: Path) -> None:
    data = write(tmp_path / "rows.jsonl", planted_rows(40, seed=4))
    found = examine(Examination(trained_run / "model", data, attacks=True))["attacks"]
    assert set(found) == {"raw", "undisguised"}
    assert set(found["raw"]) == {*attacks.ATTACKS, "any"}
    for name in ("look-alikes", "spacing"):
        assert found["undisguised"][name]["missed"] < found["raw"][name]["missed"], name
    assert found["raw"]["any"]["flipped"] == max(one["flipped"] for one in found["raw"].values())
    assert found["raw"]["shouting"]["flipped"] == 0, "the tokenizer folds case"


def test_only_right_verdicts_can_be_turned() -> None:
    class Blocks:
        def scores(self, texts: Any, progress: Any = None, /) -> Any:
            return np.ones(len(texts)), np.zeros((len(texts), 0))

    rows = planted_rows(4)
    found = attacks.flip_rates(Blocks(), rows, 0.5)["raw"]
    assert found["typos"] == {"n": 2, "flipped": 0.0, "missed": 0.0, "blocked": None}


def test_bands_of_length_share_the_rows_between_them() -> None:
    texts = ["a", "a " * 20, "a " * 100, "a " * 1000]
    found = by_length(np.array([0.9, 0.1, 0.9, 0.9]), np.array([1.0, 1, 0, 1]), texts, 0.5)
    assert list(found) == ["0 to 16 words", "17 to 64 words", "65 to 256 words", "257 words or more"]
    assert [part["n"] for part in found.values()] == [1] * 4
    assert found["17 to 64 words"]["recall"] == 0 and found["65 to 256 words"]["fpr"] == 1


def test_slices_of_rows_that_say_nothing_are_left_out(trained_run: RunFolder) -> None:
    assert set(slices(load_scorer(trained_run / "model"), planted_rows(4), 0.5)) == {"obfuscated"}


# Families


def test_near_copies_are_one_family_and_chains_of_them_too() -> None:
    base = "how do i bake a small red cake for my old cat in the green garden by the river today"
    texts = [base, base + " please", "paint the house", base.replace("today", "now") + " please", "grow bread"]
    found = families(texts)
    assert len({found[0], found[1], found[3]}) == 1
    assert len(set(found)) == 3


def test_what_is_held_out_is_a_share_of_every_source_and_never_parts_a_family() -> None:
    rows = []
    for source in ("a", "b"):
        for number, row in enumerate(planted_rows(100, seed=ord(source))):
            rows += [{**row, "source": source, "text": f"{row['text']} {source}{number} x{number}y"}]
    rows += [{**row, "text": row["text"] + "!"} for row in rows]  # every row twice, but for a sign
    held = hold_out(rows, 0.2)
    assert held == hold_out(rows, 0.2) != hold_out(rows, 0.2, seed=1)
    assert held[:200] == held[200:]
    for source in ("a", "b"):
        for label in ("safe", "unsafe"):
            part = [
                out for out, row in zip(held, rows, strict=True) if (row["source"], row["label"]) == (source, label)
            ]
            assert 0.15 <= sum(part) / len(part) <= 0.3


# Bad input


def test_odd_texts_are_measured_without_complaint(trained_run: RunFolder, tmp_path: Path) -> None:
    rows = [
        {"text": "", "label": "safe"}, {"text": "\ud800 \udfff", "label": "safe"},
        {"text": "poison " * 150_000, "label": "unsafe"}, {"text": "\x00\x1b[31m", "label": "safe"},
    ]  # fmt: skip
    found = examine(Examination(trained_run / "model", write(tmp_path / "odd.jsonl", rows)))
    assert found["n"] == 4


def test_whatever_cannot_be_used_is_a_sentence_and_never_a_traceback(trained_run: RunFolder, tmp_path: Path) -> None:
    import shutil

    data = write(tmp_path / "rows.jsonl", planted_rows(4))
    broken, pickled, remote, half = (tmp_path / name for name in ("broken", "pickled", "remote", "half"))
    for folder in (broken, pickled, remote, half):
        shutil.copytree(trained_run / "model", folder)
    flip_byte(broken / "heads.safetensors")
    (pickled / "model.safetensors").rename(pickled / "pytorch_model.bin")
    (remote / "config.json").write_text(json.dumps({"auto_map": {"AutoModel": "evil.py"}}), encoding="utf-8")
    (half / "MANIFEST.json").unlink()
    (tmp_path / "empty").mkdir()
    for model, rows, more in (
        (broken, data, []), (pickled, data, []), (remote, data, []), (half, data, []), (tmp_path / "nowhere", data, []),
        (trained_run / "model", tmp_path / "nowhere.jsonl", []), (trained_run / "model", tmp_path / "empty", []),
        (trained_run / "model", data, ["--threshold", "7"]), (trained_run / "model", data, ["--peer", "nobody"]),
    ):  # fmt: skip
        process = started("evaluate", "--model", model, "--data", rows, *more)
        out, err = process.communicate()
        assert process.returncode == 1, (model, rows, more)
        assert out == "" and "Traceback" not in err
        assert err.strip().splitlines()[-1].endswith((".", "'")), err


def test_a_threshold_that_is_no_probability_is_refused(trained_run: RunFolder, tmp_path: Path) -> None:
    with pytest.raises(ProgramError, match="between 0 and 1"):
        examine(Examination(trained_run / "model", write(tmp_path / "r.jsonl", planted_rows(4)), threshold=1.5))


def test_the_shell_takes_a_folder_and_flags(
    trained_run: RunFolder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path / "sets/one.jsonl", planted_rows(10, seed=4))
    model = str(trained_run / "model")
    assert main(["evaluate", "--model", model, "--data", str(tmp_path / "sets"), "--attacks", "--peer", model]) == 0
    found = json.loads(capsys.readouterr().out)
    assert {"sets", "average", "pooled", "attacks", "peers"} <= set(found)
