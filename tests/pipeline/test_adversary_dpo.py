import json

import pytest

from classifier.artifacts import is_whole
from classifier.runfolder import ProgramError
from pipeline.adversary import dpo
from pipeline.adversary.dpo import Dpo, Pair, pairs
from pipeline.adversary.tuned import WEIGHTS
from pipeline.generators.local import Local
from tests.pipeline.adversary_fakes import SEEDS, arena, make_hunt, misses, tiny_generator

# Only what the tests look at takes time: few texts, and steps large enough to be seen in a tiny model.
FAST = {"seeds_per_iteration": 4, "completions": 8, "steps": 4, "max_new_tokens": 8, "temperature": 1.0,
        "learning_rate": 1e-2, "candidates": 64}  # fmt: skip


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    return Local(str(tiny_generator(tmp_path_factory.mktemp("weights"), seed=3)))


def rate(steps):
    return sum(len(step.finds) for step in steps) / sum(sum(step.outcomes.values()) for step in steps)


def test_pairs_are_the_best_and_the_worst_of_a_seed_and_never_what_the_judge_abstained_from():
    seeds = [SEEDS[0]] * 4 + [SEEDS[1]] * 3 + [SEEDS[2]] * 2
    answers = ["low", "high", "unsure", "middle", "one", "two", None, "only", "unsure"]
    rewards = [-1.0, 0.9, None, 0.4, 0.0, 0.0, -1.0, 0.5, None]
    assert pairs(seeds, answers, rewards) == [Pair(SEEDS[0], "high", "low")]


def test_iterations_raise_the_rate_at_which_a_planted_weakness_is_hit(tmp_path, weights):
    hunt = make_hunt(tmp_path, weights, wanted=10_000)
    Dpo(iterations=3, **{**FAST, "completions": 16, "steps": 8}).attack(hunt)
    training = [step for step in hunt.archive.steps if step.phase == "training"]
    sampling = [step for step in hunt.archive.steps if step.phase == "sampling"]
    assert [step.number for step in training] == [1, 2, 3] and training[0].figures["pairs"] > 0
    assert rate(sampling) > rate(training[:1]) + 0.1
    assert len({find.model for find in hunt.archive.finds}) == 4  # the base, and each iteration's adapter
    assert [set(one) for one in hunt.figures["iterations"]] == [
        {"pairs", "loss", "grad_norm", "accuracy", "margin"}
    ] * 3


def test_the_reference_of_every_iteration_is_the_base(tmp_path, weights, monkeypatch):
    adapters = []
    monkeypatch.setattr(dpo, "take_up", lambda model, adapter: adapters.append((set(model.peft_config), adapter.name)))
    Dpo(iterations=2, **FAST).attack(make_hunt(tmp_path, weights, wanted=10_000))
    assert adapters == [({"default"}, "iteration-1")]  # no frozen copy of the trained adapter beside it


def test_a_hunt_that_is_broken_off_goes_on_as_if_it_had_not_been(tmp_path, weights):
    method = Dpo(iterations=2, **FAST)
    whole = make_hunt(tmp_path / "whole", weights, wanted=10_000)
    method.attack(whole)
    for message in ("training on", "Iteration 2", "Searching"):
        part = make_hunt(tmp_path / "parts", weights, wanted=10_000, report=dying(message))
        with pytest.raises(KeyboardInterrupt):
            method.attack(part)
    last = make_hunt(tmp_path / "parts", weights, wanted=10_000)
    method.attack(last)
    assert last.archive.steps == whole.archive.steps and last.figures == whole.figures
    assert (tmp_path / "parts" / "dpo" / "quarantine").is_dir()


def test_a_broken_iteration_is_done_again_and_so_is_what_was_built_on_it(tmp_path, weights):
    method = Dpo(iterations=2, **FAST)
    hunt = make_hunt(tmp_path, weights, wanted=10_000)
    method.attack(hunt)
    (tmp_path / "dpo" / "iteration-1" / WEIGHTS).write_bytes(b"broken")
    again = make_hunt(tmp_path, weights, wanted=10_000)
    method.attack(again)
    assert again.archive.steps == hunt.archive.steps
    assert is_whole(tmp_path / "dpo" / "iteration-1")
    assert {path.name for path in (tmp_path / "dpo" / "quarantine").iterdir()} == {"iteration-1.0", "iteration-2.0"}


def test_without_pairs_it_says_so_and_goes_on_with_the_base(tmp_path, weights):
    lines = []
    hunt = make_hunt(tmp_path, weights, report=lambda *line: lines.append(line[2]))
    hunt.arena = arena(misses("zebra"), label=None, known=[seed.text for seed in SEEDS])
    hunt.reward = Silent()
    Dpo(iterations=2, **FAST).attack(hunt)
    assert sum("no pairs" in line for line in lines) == 2
    assert [one["pairs"] for one in hunt.figures["iterations"]] == [0, 0]
    assert hunt.archive.done("sampling") == 1 and not list(tmp_path.glob(f"dpo/*/{WEIGHTS}"))


def test_enough_finds_end_the_iterations(tmp_path, weights):
    hunt = make_hunt(tmp_path, weights, wanted=1)
    Dpo(iterations=3, **FAST).attack(hunt)
    assert [step.number for step in hunt.archive.steps] == [1] and hunt.figures["stopped"] == "enough is found"
    assert len(hunt.figures["iterations"]) == 1


def test_a_training_that_diverges_ends_with_a_remedy_and_keeps_its_finds(tmp_path, weights):
    hunt = make_hunt(tmp_path, weights, wanted=10_000)
    with pytest.raises(ProgramError, match="diverged") as failure:
        Dpo(iterations=1, **{**FAST, "learning_rate": float("inf")}).attack(hunt)
    assert "learning_rate" in failure.value.remedy and hunt.archive.finds
    assert not is_whole(tmp_path / "dpo" / "iteration-1")


def test_no_text_reaches_the_logs(tmp_path, weights, capfd, caplog):
    hunt = make_hunt(tmp_path, weights, wanted=10_000)
    Dpo(iterations=1, **FAST).attack(hunt)
    printed = "".join(capfd.readouterr()) + caplog.text
    assert not any(word in printed for word in (*SEEDS[0].text.split(), "zebra"))
    figures = (tmp_path / "dpo" / "iteration-1" / "figures.json").read_text()
    assert all(isinstance(value, int | float) for value in json.loads(figures).values())


def test_only_weights_on_this_machine_can_be_trained(tmp_path):
    with pytest.raises(ProgramError, match="DPO should train a generator on this machine"):
        Dpo().attack(make_hunt(tmp_path, object()))


class Silent:
    """A reward that never has an opinion."""

    def grade(self, attempts, arena, /):
        from pipeline.rewards import Grade

        return [Grade("abstained", None) for _ in attempts]


def dying(words):
    def report(done, total, message="", metrics=None, /):
        if words in message:
            raise KeyboardInterrupt

    return report
