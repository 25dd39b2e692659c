from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from classifier import export as exporting
from classifier import onnx
from classifier.__main__ import main
from classifier.artifacts import verify
from classifier.export import ExportSettings, export, export_folder
from classifier.networks import by_budget
from classifier.runfolder import ProgramError, RunFolder
from classifier.score import load_scorer
from tests.classifier.planted import Reports, figures, flip_byte, planted_rows, write_input
from tests.guards import make_guard
from tests.processes import ROOT, python

TEXTS = ["bake a small cake", "a dog", "the garden is green " * 9, "poison", "x", "a lone \ud800 surrogate"]


@pytest.fixture(scope="module")
def source(trained_run: RunFolder) -> Path:
    return trained_run / "model"


@pytest.fixture(scope="module")
def exported(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The trained guard in every form; nothing is refused. Shared: read it, do not write to it."""
    run = RunFolder(tmp_path_factory.mktemp("export"))
    run.write_request({"settings": {"model": str(source), "bound": 1.0}})
    write_input(run, planted_rows(60) + planted_rows(40, seed=1, split="evaluation"))
    export(run, Reports())
    return run.path


@pytest.fixture
def copied(exported: Path, tmp_path: Path) -> Path:
    """An exported guard that the test may harm."""
    return shutil.copytree(exported / "model", tmp_path / "guard")


def test_the_full_form_says_what_torch_says(exported: Path) -> None:
    torch, full = (load_scorer(exported / "model", backend) for backend in ("torch", "onnx-fp32"))

    for expected, found in zip(torch.scores(TEXTS), full.scores(TEXTS), strict=True):
        assert np.abs(expected - found).max() < 1e-5


@pytest.mark.parametrize("backend", ["onnx-dynamic", "onnx-static"])
def test_eight_bits_stay_near(exported: Path, backend: str) -> None:
    torch, small = (load_scorer(exported / "model", name) for name in ("torch", backend))
    texts = [row["text"] for row in planted_rows(40, seed=3)]

    expected, found = torch.scores(texts)[0], small.scores(texts)[0]

    assert np.abs(expected - found).mean() < 0.1
    assert np.corrcoef(expected, found)[0, 1] > 0.95


def test_the_report_measures_every_form_and_names_the_fastest(exported: Path) -> None:
    report = figures(RunFolder(exported))

    assert set(report["forms"]) == {"torch", *onnx.BACKENDS}
    fastest = min(onnx.BACKENDS, key=lambda name: report["forms"][name]["processor_seconds"])
    assert report["backend"] == fastest
    assert report["forms"]["onnx-fp32"]["largest_difference"] < 1e-5
    assert report["forms"]["onnx-dynamic"]["rows"] == 40, "training rows calibrate, the others measure"
    assert json.loads((exported / "model" / "guard.json").read_text())["backend"] == fastest


def test_auto_takes_what_the_export_chose_and_torch_where_nothing_was_exported(exported: Path, source: Path) -> None:
    assert load_scorer(exported / "model").card["backend"] == figures(RunFolder(exported))["backend"]
    assert load_scorer(source).card["backend"] == "torch"


def test_an_exported_guard_loads_without_torch(exported: Path) -> None:
    code = "import sys; from classifier.score import load_scorer\n"
    code += "load_scorer(sys.argv[1]).scores(['a dog']); print('torch' in sys.modules)"

    out, _ = python("-c", code, str(exported / "model")).communicate()

    assert out.splitlines()[-1] == "False"


def test_a_second_call_does_nothing(exported: Path) -> None:
    before = (exported / "model" / "MANIFEST.json").stat().st_mtime_ns
    reports = Reports()

    export(RunFolder(exported), reports)

    assert reports.messages == ["Exported already"]
    assert (exported / "model" / "MANIFEST.json").stat().st_mtime_ns == before


def test_a_form_that_costs_too_much_is_taken_out(source: Path, tmp_path: Path, monkeypatch: Any) -> None:
    other = make_guard(tmp_path / "other", seed=9, categories=["illegal-drugs", "weapons"])

    def spoilt(base: Path, file: Path) -> None:
        from classifier import model

        onnx.write_full(model.load(other)[1], file)

    monkeypatch.setattr(onnx, "write_dynamic", spoilt)
    settings = ExportSettings(str(source), bound=0.01, backends=("onnx-fp32", "onnx-dynamic"))

    report = export_folder(settings, planted_rows(40, seed=1), tmp_path / "out", Reports())

    assert report["refused"] == ["onnx-dynamic"]
    assert report["forms"]["onnx-dynamic"]["lost"] > 0.01
    assert report["backend"] == "onnx-fp32"
    assert onnx.there(tmp_path / "out") == ["onnx-fp32"]
    with pytest.raises(ProgramError, match="has no backend 'onnx-dynamic'"):
        load_scorer(tmp_path / "out", "onnx-dynamic")


def test_where_every_form_costs_too_much_nothing_is_exported() -> None:
    figures = {"lost": 0.02, "mean_difference": 0.0}

    assert not exporting.within(figures, 0.01)
    assert exporting.within({**figures, "lost": None}, 0.01)
    assert exporting.within({**figures, "lost": -0.5}, 0.0)


def test_every_file_has_a_digest(copied: Path) -> None:
    verify(copied)

    flip_byte(copied / "onnx" / "model_dynamic.onnx")

    with pytest.raises(ProgramError, match=r"model_dynamic\.onnx .* not what its manifest says"):
        load_scorer(copied)


def test_a_file_that_was_slipped_in_is_refused(copied: Path) -> None:
    (copied / "onnx" / "another.onnx").write_bytes(b"x")

    with pytest.raises(ProgramError, match="not in its manifest"):
        load_scorer(copied)


@pytest.mark.parametrize("harm", ["guard.json", "tokenizer.json", "onnx/model.onnx"])
def test_a_damaged_folder_is_a_sentence(copied: Path, harm: str) -> None:
    from classifier.artifacts import write_manifest

    (copied / harm).write_text("{}")
    write_manifest(copied)  # whoever damaged it also wrote a fitting manifest

    with pytest.raises(ProgramError):
        load_scorer(copied, "onnx-fp32")


def test_the_card_shows_what_each_form_costs(exported: Path) -> None:
    card = (exported / "model" / "README.md").read_text()

    assert all(f"`{name}`" in card for name in onnx.BACKENDS)
    assert "What it is not" in card


def test_the_code_of_the_card_runs(exported: Path) -> None:
    card = (exported / "model" / "README.md").read_text()
    code = card.split("```python\n")[1].split("```")[0]

    process = python("-c", f"import os, sys; os.chdir(sys.argv[1])\n{code}", str(exported / "model"))
    out, _ = process.communicate()

    probability = float(out.strip().strip("[]"))
    assert process.returncode == 0, out
    assert abs(probability - load_scorer(exported / "model").unsafe(["how do i bake bread"])[0]) < 0.02


def test_a_guard_without_categories_is_exported(tmp_path: Path) -> None:
    source = make_guard(tmp_path / "guard", categories=())

    report = export_folder(
        ExportSettings(str(source), 1.0, ("onnx-fp32", "onnx-dynamic")), planted_rows(20), tmp_path / "out", Reports()
    )

    assert report["forms"]["onnx-fp32"]["largest_difference"] < 1e-5
    assert load_scorer(tmp_path / "out").scores(["a dog"])[1].shape == (1, 0)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"bound": 2}, "between 0 and 1"), ({"backends": ["onnx-fp4"]}, "no backend 'onnx-fp4'"),
        ({"colour": 1}, "A setting cannot be used"), ({"calibration": 0}, "at least 1"),
    ],
)  # fmt: skip
def test_a_setting_that_cannot_be_used_is_a_sentence(values: dict[str, Any], said: str) -> None:
    with pytest.raises(ProgramError, match=said):
        ExportSettings.from_dict({"model": "x", **values})


def test_a_guard_that_is_not_there_is_a_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = ROOT / "curation" / "demo" / "evaluation.jsonl"

    status = main(["export", "--model", str(tmp_path / "no"), "--data", str(rows), "--out", str(tmp_path / "out")])

    assert status == 1
    assert "There is no guard at" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_passes_stay_within_their_budget_and_lose_nothing() -> None:
    ids = [[0] * length for length in (1, 2, 2, 3, 50, 60, 200, 200)]

    parts = list(by_budget(ids, 120))

    assert [at for part in parts for at in range(len(ids))[part]] == list(range(len(ids)))
    for part in parts:
        padded = len(ids[part]) * max(map(len, ids[part]))
        assert padded <= 120 or len(ids[part]) == 1
