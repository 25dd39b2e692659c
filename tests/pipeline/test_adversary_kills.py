"""The program, killed at random moments, gives what it gives when nobody disturbs it."""

import os
import random
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

from classifier.runfolder import RunFolder
from pipeline.adversary.archive import Archive
from tests.pipeline.adversary_fakes import WORDS, sentence, tiny_generator, unsure_guard

ROOT = Path(__file__).parents[2]
KILLS = int(os.environ.get("WHETSTONE_TEST_KILLS", "3"))  # each costs a start of the program; 10 take minutes
SAMPLING = {"batch": 16, "max_new_tokens": 8, "temperature": 1.0}
# Each with the most that a life may see happen: it dies before it has got far.
METHODS = {
    "best-of-n": ({"candidates": 16 * 48, **SAMPLING}, 6),
    "grpo": ({"steps": 24, "save_steps": 2, "prompts_per_step": 2, "candidates": 16 * 16, "learning_rate": 1e-2,
              **SAMPLING}, 12),
}  # fmt: skip


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """A guard that is unsure and a generator that says plain words."""
    home = tmp_path_factory.mktemp("models")
    return unsure_guard(home / "guard"), tiny_generator(home / "weights", seed=3)


def make_run(folder, models, method):
    """A folder for the program: the labels differ in their words, so that the judge has something to say."""
    guard, weights = models
    run = RunFolder(folder)
    run.write_request({"settings": {
        "method": {"key": method, "settings": METHODS[method][0]}, "guard": str(guard), "seed": 7, "wanted": 10_000,
        "generator": {"key": "local", "settings": {"model": str(weights)}},
        # Words at random mean nothing, so no gate on meaning.
        "reward": {"key": "guard-error", "settings": {"drift_cosine": -1, "crowd": 10_000}},
    }})  # fmt: skip
    run.write_rows(
        [row(role, n) for role, many in (("seed", 6), ("decided", 40)) for n in range(many)], "input.parquet"
    )
    return run


def row(role, n):
    label, among = ("unsafe", WORDS[:15]) if n % 2 else ("safe", WORDS[15:])
    text = sentence(f"{role}{n}", among=among)
    return {"id": f"{role}{n}", "text": text, "label": label, "categories": [], "family": f"{role}{n}", "role": role}


def start(run):
    command = [sys.executable, "-m", "pipeline", "adversary", str(run.path)]
    with (run / "progress").open("w") as lines:
        return subprocess.Popen(command, cwd=ROOT, stdout=lines, stderr=subprocess.DEVNULL)


def happened(run):
    """What can be seen of a run from outside: lines of progress, steps, and checkpoints begun and finished."""
    seen = {("line", n) for n in range((run / "progress").read_text().count("\n"))}
    for pattern in ("archive/*.json", "training/checkpoint-*", "training/checkpoint-*/MANIFEST.json"):
        for file in run.path.glob(pattern):
            with suppress(FileNotFoundError):  # gone since
                # A folder's time changes with each file in it; a step that is done again is another event.
                seen.add((str(file), 0 if file.is_dir() else file.stat().st_mtime_ns))
    return seen


def kill_after(run, events):
    """Start the program and kill it when so much has happened; return how many steps it left."""
    before = happened(run) if (run / "progress").exists() else set()
    child, seen = start(run), set()
    with child:
        while len(seen) < events:
            assert child.poll() is None, "the program ended before it could be killed"
            seen |= happened(run) - {event for event in before if event[0] != "line"}
            time.sleep(0.005)
        child.kill()
    return len(list(run.path.glob("archive/*.json")))


@pytest.mark.slow
@pytest.mark.parametrize("method", METHODS)
def test_killed_again_and_again_it_gives_the_samples_of_an_unbroken_run(tmp_path, models, method):
    unbroken, killed = make_run(tmp_path / "a", models, method), make_run(tmp_path / "b", models, method)
    assert start(unbroken).wait() == 0
    chance = random.Random(11)
    left = [kill_after(killed, chance.randint(1, METHODS[method][1])) for _ in range(KILLS)]
    assert start(killed).wait() == 0

    assert len(set(left)) > KILLS // 3  # it was killed at different places
    steps = Archive(unbroken / "archive").steps
    assert sum(len(step.finds) for step in steps) > 10
    assert Archive(killed / "archive").steps == steps  # seeds, texts, rewards, outcomes and figures, in order
    assert killed.rows("output.parquet") == unbroken.rows("output.parquet")
    assert {**killed.metrics(), "seconds": 0} == {**unbroken.metrics(), "seconds": 0}
