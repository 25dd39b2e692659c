import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from classifier.runfolder import ProgramError
from pipeline.adversary import checkpoints
from pipeline.adversary.archive import Archive
from pipeline.adversary.grpo import NAMES, Grpo
from pipeline.adversary.hunt import Hunt
from pipeline.adversary.training import figures
from pipeline.generators.local import Local
from pipeline.records import Example
from pipeline.rewards.guard_error import GuardError
from tests.pipeline.adversary_fakes import arena, misses, sentence, tiny_generator

SEEDS = [Example(f"s{n}", sentence(n), "unsafe", ("theft",), f"f{n}") for n in range(8)]
# The fake embedding has no meaning, so no drift gate.
FAST = {"prompts_per_step": 4, "micro_batch": 32, "max_new_tokens": 8, "temperature": 1.0, "learning_rate": 1e-2,
        "beta": 0.02, "candidates": 64}  # fmt: skip


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    return tiny_generator(tmp_path_factory.mktemp("weights"), seed=3)


def make_hunt(folder, weights, guard=None, kind=Hunt, **fields):
    return kind(
        seeds=SEEDS, arena=arena(guard or misses("zebra"), known=[seed.text for seed in SEEDS]),
        reward=GuardError(drift_cosine=-1), archive=Archive(Path(folder) / "archive"), generator=Local(str(weights)),
        folder=Path(folder), **{"wanted": 10_000, **fields},
    )  # fmt: skip


class Noted(Hunt):
    """Writes down what it is asked to grade: the last line of a step is the one that counts."""

    def grade(self, answers, seeds, model, parents=()):
        with (self.folder / "asked.jsonl").open("a") as file:
            file.write(json.dumps([model, [seed.id for seed in seeds], answers]) + "\n")
        return super().grade(answers, seeds, model, parents)


def asked(folder):
    return {row[0]: row[1:] for row in map(json.loads, (folder / "asked.jsonl").read_text().splitlines())}


def rate(steps):
    """Share of attempts that hit the planted weakness."""
    return sum(len(step.finds) for step in steps) / sum(sum(step.outcomes.values()) for step in steps)


def test_training_raises_the_rate_at_which_a_planted_weakness_is_hit(tmp_path, weights):
    hunt = make_hunt(tmp_path, weights)
    Grpo(steps=30, save_steps=30, **FAST).attack(hunt)
    training = [step for step in hunt.archive.steps if step.phase == "training"]
    sampling = [step for step in hunt.archive.steps if step.phase == "sampling"]
    assert [step.number for step in training] == list(range(1, 31))
    before, after = rate(training[:5]), rate(training[-5:])
    assert after > 1.5 * before and after > before + 0.1
    assert rate(sampling) > before + 0.1  # what was learnt is there after training too
    assert all("zebra" in find.text.split() for find in hunt.archive.finds)
    assert {"reward", "reward_std", "kl", "entropy", "abstained"} <= training[-1].figures.keys()


def test_the_trained_adapter_is_used_again_and_nothing_is_done_twice(tmp_path, weights):
    method = Grpo(steps=2, save_steps=2, **FAST)
    method.attack(make_hunt(tmp_path, weights))
    again = make_hunt(tmp_path, weights)
    before = len(again.archive.steps)
    method.attack(again)
    assert len(again.archive.steps) == before
    assert len({find.model for find in again.archive.finds}) >= 2  # base weights while training, adapter after it


def test_a_find_that_was_made_counts_as_one_even_if_nothing_more_is_found(tmp_path, weights):
    hunt = make_hunt(tmp_path, weights, wanted=1)
    Grpo(steps=2, save_steps=2, **FAST).attack(hunt)
    assert hunt.archive.finds
    assert all(step.phase == "training" for step in hunt.archive.steps)  # enough is found: no search after it


def test_an_abstaining_judge_stops_nothing_and_no_text_reaches_the_logs(tmp_path, weights, capfd, caplog):
    hunt = make_hunt(tmp_path, weights)
    hunt.arena = arena(misses("zebra"), label=None, known=[seed.text for seed in SEEDS])
    Grpo(steps=2, save_steps=2, **{**FAST, "candidates": 32}).attack(hunt)
    assert hunt.archive.finds == []
    assert all(step.figures["abstained"] > 0.5 for step in hunt.archive.steps)
    printed = "".join(capfd.readouterr()) + caplog.text
    assert not any(word in printed for word in SEEDS[0].text.split())


def test_a_guard_that_gives_no_number_stops_nothing(tmp_path, weights):
    hunt = make_hunt(tmp_path, weights, guard=lambda texts: [float("nan")] * len(texts))
    Grpo(steps=2, save_steps=2, **{**FAST, "candidates": 32}).attack(hunt)
    assert hunt.archive.finds == []


def test_divergence_ends_the_training_with_a_remedy():
    with pytest.raises(ProgramError, match="diverged at step 7") as failure:
        figures({"loss": float("nan"), "grad_norm": 1.0}, 7, NAMES)
    assert "learning_rate" in failure.value.remedy


def test_only_weights_on_this_machine_can_be_trained(tmp_path, weights):
    hunt = make_hunt(tmp_path, weights)
    hunt.generator = object()
    with pytest.raises(ProgramError, match="on this machine"):
        Grpo().attack(hunt)


def test_the_newest_whole_checkpoint_is_taken_and_broken_ones_are_put_aside(tmp_path):
    for step in (8, 9, 10, 11):
        folder = tmp_path / f"checkpoint-{step}"
        folder.mkdir()
        (folder / "weights.safetensors").write_bytes(b"weights")
        if step != 11:  # killed while it was written: no manifest
            checkpoints.seal(tmp_path, step)
    (tmp_path / "checkpoint-10" / "weights.safetensors").write_bytes(b"other weights")
    assert checkpoints.newest_whole(tmp_path) == tmp_path / "checkpoint-9"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["checkpoint-8", "checkpoint-9", "quarantine"]
    assert len(list((tmp_path / "quarantine").iterdir())) == 2


def test_without_a_whole_checkpoint_training_starts_anew(tmp_path):
    (tmp_path / "checkpoint-4").mkdir()
    assert checkpoints.newest_whole(tmp_path) is None


def test_a_killed_training_goes_on_from_its_newest_checkpoint(tmp_path, weights):
    command = [sys.executable, "-m", "tests.pipeline.test_adversary_grpo", str(tmp_path), str(weights)]
    root = Path(__file__).parents[2]
    with subprocess.Popen(command, cwd=root, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as child:
        while not (tmp_path / "training" / "checkpoint-4" / "MANIFEST.json").exists():
            assert child.poll() is None, "the child ended before it could be killed"
            time.sleep(0.02)
        os.kill(child.pid, signal.SIGKILL)
    before = {file.name: file.read_text() for file in (tmp_path / "archive").glob("*.json")}
    (tmp_path / "training" / "checkpoint-9999").mkdir()  # as if killed in the midst of writing one
    assert subprocess.run(command, cwd=root, capture_output=True, check=False).returncode == 0

    files = sorted((tmp_path / "archive").glob("*.json"))
    assert all((tmp_path / "archive" / name).read_text() == text for name, text in before.items())
    later = [json.loads(file.read_text()) for file in files if file.name not in before]
    assert later[0]["phase"] == "training" and later[0]["number"] >= 5  # not from the start
    done = {row["step"] for row in Archive(tmp_path / "archive").curve() if row["phase"] == "training"}
    assert done == set(range(1, 13))
    assert (tmp_path / "training" / "quarantine").is_dir()

    unbroken = make_hunt(tmp_path / "unbroken", weights, kind=Noted)
    Grpo(steps=12, save_steps=2, **FAST).attack(unbroken)
    assert Archive(tmp_path / "archive").steps == unbroken.archive.steps
    assert asked(tmp_path) == asked(tmp_path / "unbroken")  # seeds and texts of every step, in order


if __name__ == "__main__":  # the child of the kill test
    Grpo(steps=12, save_steps=2, **FAST).attack(make_hunt(sys.argv[1], sys.argv[2], kind=Noted))


def test_a_vllm_server_writes_where_the_settings_name_one(tmp_path, weights):
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(weights)
    hunt = make_hunt(tmp_path, weights)

    here = Grpo(**FAST)._arguments(hunt, tmp_path, tokenizer)
    there = Grpo(**FAST, vllm="http://127.0.0.1:8001")._arguments(hunt, tmp_path, tokenizer)

    assert not here.use_vllm
    assert (there.use_vllm, there.vllm_mode, there.vllm_server_base_url) == (True, "server", "http://127.0.0.1:8001")
    ends = there.generation_kwargs["stop_token_ids"]
    assert tokenizer.eos_token_id in ends
    assert all("\n" in tokenizer.decode([end]) for end in ends if end != tokenizer.eos_token_id)


def test_vllm_writes_in_the_processes_that_train_where_the_setting_says_so(tmp_path, weights):
    from transformers import AutoTokenizer

    method, tokenizer = Grpo(**FAST, vllm="colocate"), AutoTokenizer.from_pretrained(weights)
    found = method._arguments(make_hunt(tmp_path, weights), tmp_path, tokenizer)
    assert (found.use_vllm, found.vllm_mode, found.vllm_server_base_url) == (True, "colocate", None)
    with pytest.raises(ValueError, match="vllm of grpo should be an address, colocate or nothing, found 'yes'"):
        Grpo(vllm="yes")


@pytest.mark.parametrize("vllm", ["http://127.0.0.1:8001", "colocate"])
def test_without_vllm_installed_it_is_refused_before_anything_is_written(tmp_path, weights, vllm):
    with pytest.raises(ProgramError, match="lets vLLM write, but the package vllm is not installed here") as failure:
        Grpo(**FAST, vllm=vllm).attack(make_hunt(tmp_path, weights))
    assert "pip install vllm" in failure.value.remedy

    assert not (tmp_path / "training").exists()
