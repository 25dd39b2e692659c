from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from classifier.artifacts import verify
from classifier.runfolder import RunFolder
from pipeline import warm_start
from pipeline.adversary.tuned import Tuned
from pipeline.context import Refusals, silent
from pipeline.generate import generate
from pipeline.generators import Prompt, load
from pipeline.generators.local import Local
from pipeline.warm_start import FEWEST, PAIRS, warmed
from tests.pipeline.adversary_fakes import sentence, tiny_generator


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Path(tiny_generator(tmp_path_factory.mktemp("weights"), seed=3))


def pair(number: int, **fields: Any) -> dict[str, Any]:
    """A rewrite that always says the same, so that there is something to learn."""
    row = {"parent_text": sentence(number), "text": "the zebra is here", "label": "safe", "categories": []}
    return {**row, **fields}


def run_with(folder: Path, pairs: list[dict[str, Any]]) -> RunFolder:
    run = RunFolder(folder)
    run.write_rows(pairs, PAIRS)
    return run


def test_the_writer_that_learnt_finds_accepted_rewrites_likelier_and_writes(
    weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(warm_start, "LEARNING_RATE", 1e-2)
    run = run_with(tmp_path, [pair(n) for n in range(60)])
    local = Local(str(weights), warm_start=True)

    writer, figures = warmed(run, local, Refusals(), silent)

    assert isinstance(writer, Tuned)
    assert figures["used"] and figures["loss_after"] < figures["loss_before"] - 0.3
    assert figures["pairs"] == 60 and 0 < figures["held_out"] < 20
    verify(run / "writer")
    assert writer.digest().startswith(f"{local.digest()}+"), "lineage tells the tuned writer apart"
    assert len(writer.generate([Prompt("zebra", 4)] * 2, 0, silent)) == 2

    again, same = warmed(run, local, Refusals(), silent)
    assert (again, same) == (writer, figures), "a run that goes on does not tune a second time"


def test_an_adapter_that_is_no_better_on_held_out_pairs_is_not_used(
    weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(warm_start, "LEARNING_RATE", 0.0)
    local = Local(str(weights), warm_start=True)
    writer, figures = warmed(run_with(tmp_path, [pair(n) for n in range(40)]), local, Refusals(), silent)
    assert writer is local and figures["used"] is False


@pytest.mark.parametrize("fields", [{"categories": ["child-exploitation"]}, {"parent_text": ""}])
def test_too_few_pairs_that_may_be_learnt_from_leave_the_writer_as_it_is(
    fields: dict[str, Any], weights: Path, tmp_path: Path
) -> None:
    pairs = [pair(n, **(fields if n % 2 else {})) for n in range(2 * FEWEST - 2)]
    local, said = Local(str(weights), warm_start=True), []
    writer, figures = warmed(run_with(tmp_path, pairs), local, Refusals(), lambda *line: said.append(line[2]))
    assert writer is local and figures == {"pairs": FEWEST - 1, "used": False}
    assert f"{FEWEST - 1} accepted rewrites" in said[-1]


def test_who_did_not_ask_for_it_writes_as_before(weights: Path, tmp_path: Path) -> None:
    local = Local(str(weights))
    assert warmed(run_with(tmp_path, [pair(n) for n in range(60)]), local, Refusals(), silent) == (local, {})


def test_the_program_says_what_it_learnt(weights: Path, tmp_path: Path) -> None:
    run = run_with(tmp_path, [pair(n) for n in range(3)])
    rows = [{"id": str(n), "text": sentence(n), "label": "safe", "categories": [], "family": str(n)} for n in range(3)]
    run.write_rows(rows, "input.parquet")
    generator = {"key": "local", "settings": {"model": str(weights), "warm_start": True}}
    run.write_request({"settings": {"augmenters": [{"key": "typos"}], "generator": generator}})
    generate(run, silent)
    assert json.loads((run / "metrics.json").read_text())["warm_start"] == {"pairs": 3, "used": False}
    assert load({"key": "local", "settings": {"warm_start": True}}) == Local(warm_start=True)
