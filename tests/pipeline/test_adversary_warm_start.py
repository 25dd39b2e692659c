"""The adversary begins with the writer that learnt from accepted rewrites."""

from pathlib import Path

import pytest

from classifier.artifacts import verify
from classifier.runfolder import RunFolder
from pipeline import warm_start
from pipeline.adversary.archive import Archive
from pipeline.adversary.best_of_n import BestOfN
from pipeline.adversary.dpo import Dpo
from pipeline.adversary.grpo import Grpo
from pipeline.adversary.map_elites import MapElites
from pipeline.adversary.run import attack
from pipeline.adversary.tuned import WEIGHTS
from pipeline.context import Refusals, silent
from pipeline.generators.local import Local
from pipeline.warm_start import PAIRS, warmed
from tests.pipeline.adversary_fakes import make_hunt, sentence, tiny_generator, unsure_guard
from tests.pipeline.test_adversary_kills import row

SAMPLING = {"max_new_tokens": 8, "temperature": 1.0}
GRPO = {"prompts_per_step": 2, "save_steps": 1, "candidates": 32, "batch": 32, **SAMPLING}
DPO = {"seeds_per_iteration": 4, "steps": 2, "candidates": 32, "batch": 32, **SAMPLING}


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    return tiny_generator(tmp_path_factory.mktemp("weights"), seed=3)


@pytest.fixture(scope="module")
def writer(tmp_path_factory, weights):
    """A writer that learnt to say the word at which the guard of these tests is weak."""
    run = RunFolder(tmp_path_factory.mktemp("warm"))
    run.write_rows(pairs(), PAIRS)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(warm_start, "LEARNING_RATE", 1e-2)
        found, figures = warmed(run, Local(str(weights), warm_start=True), Refusals(), silent)
    assert figures["used"]
    return found


def pairs():
    texts = [sentence(n) for n in range(60)]
    return [{"parent_text": text, "text": f"zebra {text}", "label": "unsafe", "categories": []} for text in texts]


def tensors(folder):
    from safetensors.torch import load_file

    return load_file(folder / WEIGHTS)


def same(one, other):
    return one.keys() == other.keys() and all(bool((one[name] == other[name]).all()) for name in one)


@pytest.mark.parametrize("kind", [BestOfN, MapElites])
def test_a_method_that_searches_writes_what_the_writer_learnt(tmp_path, weights, writer, kind):
    method = kind(candidates=128, batch=64, **SAMPLING)
    cold, warm = (
        make_hunt(tmp_path / name, one, wanted=1000) for name, one in (("cold", Local(str(weights))), ("warm", writer))
    )
    method.attack(cold)
    method.attack(warm)
    assert len(warm.archive.finds) > 1.5 * len(cold.archive.finds) > 0
    assert {find.model for find in warm.archive.finds} == {writer.digest()}


def test_reinforcement_begins_with_the_writer_and_measures_how_far_it_goes_from_it(tmp_path, writer):
    hunt = make_hunt(tmp_path / "still", writer, wanted=1000)
    Grpo(steps=2, learning_rate=0.0, **GRPO).attack(hunt)
    assert same(tensors(tmp_path / "still" / "adapter"), tensors(writer.adapter))
    assert [step.figures["kl"] for step in hunt.archive.steps if step.phase == "training"] == [0, 0]

    hunt = make_hunt(tmp_path / "moved", writer, wanted=1000)
    Grpo(steps=4, learning_rate=1e-2, **GRPO).attack(hunt)
    assert not same(tensors(tmp_path / "moved" / "adapter"), tensors(writer.adapter))
    assert hunt.archive.steps[3].figures["kl"] > 0
    verify(writer.adapter)
    assert not [path for path in (tmp_path / "moved" / "adapter").iterdir() if path.is_dir()], "no second adapter"


def test_iterations_begin_with_the_writer_and_keep_it_as_their_reference(tmp_path, writer):
    still = make_hunt(tmp_path / "still", writer, wanted=1000)
    Dpo(iterations=2, learning_rate=0.0, **DPO).attack(still)
    assert same(tensors(tmp_path / "still" / "dpo" / "iteration-2"), tensors(writer.adapter))
    assert [one["margin"] for one in still.figures["iterations"]] == [0, 0]

    moved = make_hunt(tmp_path / "moved", writer, wanted=1000)
    Dpo(iterations=2, learning_rate=1e-2, **DPO).attack(moved)
    first, second = (tensors(tmp_path / "moved" / "dpo" / f"iteration-{n}") for n in (1, 2))
    assert not same(first, tensors(writer.adapter)) and not same(first, second)
    assert moved.figures["iterations"][1]["margin"] != 0, "the second begins where the first ended"


@pytest.fixture(scope="module")
def guard(tmp_path_factory):
    return unsure_guard(tmp_path_factory.mktemp("guard"))


def make_run(folder, guard, weights, method, settings):
    run = RunFolder(folder)
    run.write_request({"settings": {
        "method": {"key": method, "settings": settings}, "guard": str(guard), "seed": 7, "wanted": 10_000,
        "generator": {"key": "local", "settings": {"model": str(weights), "warm_start": True}},
        "reward": {"key": "guard-error", "settings": {"drift_cosine": -1, "crowd": 10_000}},
    }})  # fmt: skip
    rows = [row(role, n) for role, many in (("seed", 6), ("decided", 40)) for n in range(many)]
    run.write_rows(rows, "input.parquet")
    run.write_rows(pairs(), PAIRS)
    return run


@pytest.mark.parametrize(("rate", "used"), [(1e-2, True), (0.0, False)])
@pytest.mark.parametrize(
    ("method", "given"),
    [("grpo", {"steps": 3, "learning_rate": 1e-2, **GRPO}), ("dpo", {"iterations": 2, "learning_rate": 1e-2, **DPO})],
)
def test_the_program_broken_off_anywhere_gives_what_it_gives_undisturbed(
    tmp_path, guard, weights, monkeypatch, method, given, rate, used
):
    monkeypatch.setattr(warm_start, "LEARNING_RATE", rate)
    whole, parts = (make_run(tmp_path / name, guard, weights, method, given) for name in ("whole", "parts"))
    attack(whole, silent)

    for words, at in (("Tuning the writer", 2), ("Reading guard", 1), ("raining", 3), ("Searching", 1)):
        with pytest.raises(KeyboardInterrupt):
            attack(parts, dying(words, at))
    attack(parts, silent)

    figures = whole.metrics()
    assert figures["warm_start"]["used"] is used and figures["warm_start"]["pairs"] == 60
    assert ("+" in Archive(whole / "archive").finds[0].model.partition("+grpo")[0]) is used
    assert Archive(parts / "archive").steps == Archive(whole / "archive").steps
    assert parts.rows("output.parquet") == whole.rows("output.parquet")
    assert {**parts.metrics(), "seconds": 0} == {**figures, "seconds": 0}


def test_an_attack_whose_writer_was_not_asked_to_learn_says_nothing_of_it(tmp_path, guard, weights):
    run = make_run(tmp_path, guard, weights, "best-of-n", {"candidates": 16, "batch": 16, **SAMPLING})
    request = run.request()
    del request["settings"]["generator"]["settings"]["warm_start"]
    run.write_request(request)
    attack(run, silent)
    assert "warm_start" not in run.metrics() and not Path(run / "writer").exists()


def dying(words, at):
    """A report that dies when it has heard these words so many times."""
    heard = []

    def report(done, total, message="", metrics=None, /):
        heard.extend([message] if words in message else [])
        if len(heard) == at:
            raise KeyboardInterrupt

    return report
