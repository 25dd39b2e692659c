"""Training with several processes, as `accelerate launch` starts them: two on the CPU (gloo), with a tiny model."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from classifier.artifacts import verify
from classifier.runfolder import ProgramError, RunFolder
from pipeline.adversary import training
from pipeline.adversary.archive import Archive
from pipeline.adversary.tuned import WEIGHTS
from pipeline.warm_start import PAIRS
from tests.pipeline.adversary_fakes import sentence, tiny_generator, unsure_guard
from tests.pipeline.test_adversary_kills import row
from tests.processes import IN_TWO_PROCESSES
from tests.tiny_models import tiny_encoder

ROOT = Path(__file__).parents[2]
SAMPLING = {"candidates": 32, "batch": 32, "max_new_tokens": 8, "temperature": 1.0, "learning_rate": 1e-2}
GRPO = {"steps": 4, "save_steps": 1, "prompts_per_step": 2, "completions": 8, **SAMPLING}
DPO = {"iterations": 2, "seeds_per_iteration": 6, "steps": 3, "pairs_per_step": 4, **SAMPLING}


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    home = tmp_path_factory.mktemp("models")
    return unsure_guard(home / "guard"), tiny_generator(home / "weights", seed=3)


def make_run(folder, models, method, settings, judge=None, decided=40, **generator):
    guard, weights = models
    run = RunFolder(folder)
    run.write_request({"settings": {
        "method": {"key": method, "settings": settings}, "guard": str(guard), "seed": 7, "wanted": 10_000,
        "generator": {"key": "local", "settings": {"model": str(weights), **generator}},
        "reward": {"key": "guard-error", "settings": {"drift_cosine": -1, "crowd": 10_000}}, "judge": judge,
    }})  # fmt: skip
    rows = [row(role, n) for role, many in (("seed", 6), ("decided", decided)) for n in range(many)]
    run.write_rows(rows, "input.parquet")
    return run


def start(run, *launcher):
    command = [sys.executable, "-m", *launcher, "pipeline", "adversary", str(run.path), "--watch-parent"]
    with (run / "progress").open("w") as lines, (run / "errors").open("w") as errors:
        return subprocess.Popen(
            command, cwd=ROOT, stdin=subprocess.PIPE, stdout=lines, stderr=errors,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )  # fmt: skip


def done(run, *launcher):
    with start(run, *launcher) as program:
        status = program.wait()
    assert status == 0, (run / "progress").read_text()[-500:] + (run / "errors").read_text()[-2000:]
    return Archive(run / "archive").steps


def said(run):
    return [json.loads(line) for line in (run / "progress").read_text().splitlines()]


def test_reinforcement_is_shared_by_two_processes_and_only_the_first_one_keeps_things(tmp_path, models):
    whole, killed = (make_run(tmp_path / name, models, "grpo", GRPO) for name in ("whole", "killed"))
    steps = done(whole, *IN_TWO_PROCESSES)

    trained = [step for step in steps if step.phase == "training"]
    assert [step.number for step in trained] == [1, 2, 3, 4]
    assert {sum(step.outcomes.values()) for step in trained} == {16}, "the texts of both were graded, once"
    assert whole.rows("output.parquet") and whole.metrics()["attempts"] == 4 * 16 + 32
    assert sum("Reading guard" in line["message"] for line in said(whole)) == 1, "the other one is silent"
    verify(whole / "adapter")
    checkpoint = whole / "training" / "checkpoint-4"
    verify(checkpoint)
    assert {"rng_state_0.pth", "rng_state_1.pth"} <= {file.name for file in checkpoint.iterdir()}

    with start(killed, *IN_TWO_PROCESSES) as launched:
        while not (killed / "training" / "checkpoint-1" / "MANIFEST.json").exists():
            assert launched.poll() is None, "it ended before it could be broken off"
            time.sleep(0.01)
        launched.stdin.close()  # as when its starter dies: every process ends where it is
        assert launched.wait() != 0
    assert len(Archive(killed / "archive").steps) < len(steps)
    assert done(killed, *IN_TWO_PROCESSES) == steps
    assert killed.rows("output.parquet") == whole.rows("output.parquet")


def test_two_processes_learn_from_the_pairs_of_a_step_what_one_does(tmp_path, models):
    from safetensors.torch import load_file

    one, two = (make_run(tmp_path / name, models, "dpo", DPO) for name in ("one", "two"))
    alone, together = done(one), done(two, *IN_TWO_PROCESSES)

    assert together[0] == alone[0], "the first texts come from the same weights"
    for figures, expected in zip(two.metrics()["iterations"][:1], one.metrics()["iterations"], strict=False):
        assert figures == pytest.approx(expected, abs=1e-4)
    found, wanted = (load_file(run / "dpo" / "iteration-1" / WEIGHTS) for run in (two, one))
    assert found.keys() == wanted.keys()
    assert all(float((found[name] - wanted[name]).abs().max()) < 1e-3 for name in found)
    verify(two / "dpo" / "iteration-2")
    assert two.metrics()["attempts"] == one.metrics()["attempts"]


def test_two_processes_tune_a_writer_together_and_begin_with_it(tmp_path, models):
    run = make_run(tmp_path, models, "grpo", {**GRPO, "steps": 1}, warm_start=True)
    run.write_rows([
        {"parent_text": sentence(n), "text": f"zebra {sentence(n)}", "label": "unsafe", "categories": []}
        for n in range(40)
    ], PAIRS)  # fmt: skip
    steps = done(run, *IN_TWO_PROCESSES)
    assert run.metrics()["warm_start"]["used"] and steps[0].figures["kl"] == pytest.approx(0, abs=1e-6)
    verify(run / "writer")


def test_guards_that_judge_are_trained_by_the_first_process_as_by_one_alone(tmp_path, models):
    judge = {"kind": "guards", "backbone": str(tiny_encoder(tmp_path / "encoder")), "epochs": 1}
    one, two = (make_run(tmp_path / name, models, "best-of-n", {"candidates": 16, "batch": 16}, judge, decided=240)
                for name in ("one", "two"))  # fmt: skip
    done(one)
    done(two, *IN_TWO_PROCESSES)

    for fold in ("fold-0-of-2", "fold-1-of-2"):
        alone, together = (RunFolder(run / "judge" / fold).metrics()["digest"] for run in (one, two))
        assert alone == together
        verify(two / "judge" / fold / "model")
    assert two.metrics()["judge_silence"] == ""


def test_a_search_leaves_the_other_process_nothing_to_do(tmp_path, models):
    run = make_run(tmp_path, models, "best-of-n", {"candidates": 32, "batch": 16})
    assert len(done(run, *IN_TWO_PROCESSES)) == 2
    assert sum("Reading guard" in line["message"] for line in said(run)) == 1


def test_a_step_that_cannot_be_shared_evenly_is_refused():
    assert training.share(16, SimpleNamespace(count=4), "completions") == 4
    with pytest.raises(ProgramError, match="A step of 16 rows should be shared evenly, found 3 processes") as failure:
        training.share(16, SimpleNamespace(count=3), "completions")
    assert "completions" in failure.value.remedy
