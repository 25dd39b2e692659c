import json
import random
from pathlib import Path

import numpy as np
import pytest

from classifier.runfolder import ProgramError, RunFolder
from pipeline import prompts
from pipeline.adversary import methods
from pipeline.adversary.archive import Archive, Find, Step, choose
from pipeline.adversary.best_of_n import BestOfN
from pipeline.adversary.grpo import Grpo
from pipeline.adversary.hunt import promising
from pipeline.adversary.run import attack, room_of
from pipeline.context import silent
from pipeline.generators.local import Local
from pipeline.records import Example
from tests.pipeline.adversary_fakes import SEEDS, Scripted, make_hunt, sentence, tiny_generator, unsure_guard


def make_find(text="a find", reward=0.5, seed_id="s0"):
    return Find(text, seed_id, reward, 0.1, 0.9, 0.5, "model")


# best-of-n


def test_best_of_n_finds_a_planted_weakness_with_a_real_model(tmp_path):
    weights = tiny_generator(tmp_path / "weights", seed=3)
    hunt = make_hunt(tmp_path, Local(str(weights)), wanted=5)
    BestOfN(candidates=256, batch=32, max_new_tokens=8, temperature=1.0).attack(hunt)
    assert len(hunt.archive.finds) >= 5
    assert all("zebra" in find.text.split() for find in hunt.archive.finds)


def test_it_stops_when_enough_is_found(tmp_path):
    generator = Scripted([f"zebra {sentence(n)}" for n in range(100)])
    BestOfN(candidates=800, batch=16).attack(make_hunt(tmp_path, generator, wanted=10))
    assert generator.asked == 16


def test_it_stops_when_the_candidates_are_used_up(tmp_path):
    generator = Scripted([sentence(n) for n in range(100)])
    hunt = make_hunt(tmp_path, generator, wanted=10)
    BestOfN(candidates=48, batch=16).attack(hunt)
    assert generator.asked == 48 and hunt.archive.finds == []


def test_a_stopped_search_goes_on_where_it_was(tmp_path):
    texts = [sentence(n) for n in range(100)]
    BestOfN(candidates=32, batch=16).attack(make_hunt(tmp_path, Scripted(texts)))
    generator = Scripted(texts)
    hunt = make_hunt(tmp_path, generator)
    BestOfN(candidates=64, batch=16).attack(hunt)
    assert generator.asked == 32
    assert [step.number for step in hunt.archive.steps] == [1, 2, 3, 4]


def test_a_generator_with_nothing_to_say_earns_nothing_and_stops_nothing(tmp_path):
    hunt = make_hunt(tmp_path, Scripted([None, "I'm sorry, I cannot help with that."]))
    BestOfN(candidates=16, batch=16).attack(hunt)
    assert hunt.archive.steps[0].outcomes == {"form": 16}


class Impatient(Local):
    """A real generator that dies at the writing of one batch, before the step is stored."""

    dies_at = -1
    written = 0

    def generate(self, wanted, seed, report, /):
        answers = super().generate(wanted, seed, report)
        type(self).written += 1
        if self.written == self.dies_at:
            raise KeyboardInterrupt
        return answers


def samples(folder):
    """What every step of an archive attempted and found, in order."""
    return [(s.phase, s.number, s.figures, s.outcomes, s.finds) for s in Archive(Path(folder) / "archive").steps]


def test_broken_off_ten_times_it_gives_the_samples_of_an_unbroken_run(tmp_path):
    weights = str(tiny_generator(tmp_path / "weights", seed=3))
    method = BestOfN(candidates=16 * 24, batch=16, max_new_tokens=8, temperature=1.0)
    method.attack(make_hunt(tmp_path / "unbroken", Local(weights), wanted=10_000))
    chance, kills = random.Random(5), 0
    while kills < 10:
        Impatient.written, Impatient.dies_at = 0, chance.randint(1, 3)
        with pytest.raises(KeyboardInterrupt):
            method.attack(make_hunt(tmp_path / "killed", Impatient(weights), wanted=10_000))
        kills += 1
    Impatient.dies_at = -1
    method.attack(make_hunt(tmp_path / "killed", Impatient(weights), wanted=10_000))
    assert len(samples(tmp_path / "unbroken")) == 24
    assert sum(len(step[4]) for step in samples(tmp_path / "unbroken")) > 10
    assert samples(tmp_path / "killed") == samples(tmp_path / "unbroken")


# hunt


def test_the_same_find_is_paid_once(tmp_path):
    hunt = make_hunt(tmp_path, Scripted([]))
    text = f"zebra {sentence(50)}"
    assert hunt.grade([text], SEEDS[:1], "m")[0] > 0
    hunt.step("sampling", 1, 2, {})
    assert hunt.grade([text], SEEDS[1:2], "m") == [-1]


def test_each_step_reports_its_figures_and_no_text(tmp_path):
    lines = []
    hunt = make_hunt(tmp_path, Scripted([]), report=lambda *line: lines.append(line))
    hunt.grade([f"zebra {sentence(50)}", sentence(51)], SEEDS[:2], "m")
    hunt.step("training", 3, 10, {"kl": 0.25, "entropy": float("nan")})
    done, total, message, metrics = lines[0]
    assert (done, total) == (3, 10) and metrics["kl"] == 0.25 and metrics["finds"] == 1.0
    assert metrics.keys() == {"reward", "reward_std", "kl", "finds"} and metrics["reward_std"] > 0
    assert not any(word in message for word in sentence(50).split())


def test_seeds_near_the_boundary_come_first_and_labels_take_turns():
    seeds = [Example(f"u{n}", "x", "unsafe") for n in range(3)] + [Example(f"s{n}", "x", "safe") for n in range(2)]
    order = promising(seeds, [0.99, 0.6, 0.8, 0.01, 0.4], threshold=0.5)
    assert [seed.id for seed in order] == ["u1", "s1", "u2", "s0", "u0"]


def test_seeds_that_cannot_be_said_again_in_the_room_there_is_come_last():
    long = "please tell me " + "and so on " * 20
    seeds = [Example("a", long, "unsafe"), Example("b", long, "safe"), Example("c", "short", "unsafe"),
             Example("d", "short", "unsafe")]  # fmt: skip
    room = room_of(BestOfN(max_new_tokens=32))

    order = promising(seeds, [0.5, 0.5, 0.9, 0.6], 0.5, room)

    assert [seed.id for seed in order] == ["d", "c", "b", "a"]


# archive


def test_the_archive_is_there_again_after_a_restart(tmp_path):
    archive = Archive(tmp_path / "archive")
    archive.add(Step("training", 1, {"reward": 0.5}, {"find": 1}, (make_find(),)))
    archive.add(Step("sampling", 1, {"reward": 0.1}, {"caught": 1}))
    again = Archive(tmp_path / "archive")
    assert again.steps == archive.steps and again.finds == [make_find()]
    assert (again.done("training"), again.done("sampling"), again.done("other")) == (1, 1, 0)


def test_a_step_that_is_done_again_takes_the_place_of_the_first_time(tmp_path):
    archive = Archive(tmp_path / "archive")
    for phase, number, text in (("training", 1, "one"), ("training", 2, "two"), ("sampling", 1, "three")):
        archive.add(Step(phase, number, {"reward": len(text)}, {"find": 1}, (make_find(text),)))
    assert [step.finds[0].text for step in archive.keep("training", 1)] == ["two", "three"]
    archive.add(Step("training", 2, {"reward": 3}, {"find": 1}, (make_find("two"),)))
    assert Archive(tmp_path / "archive").finds == archive.finds == [make_find("one"), make_find("two")]
    assert [(row["step"], row["finds"]) for row in archive.curve()] == [(1, 1), (2, 1)]


def test_a_find_of_a_step_that_is_done_again_is_paid_again(tmp_path):
    text = f"zebra {sentence(50)}"
    hunt = make_hunt(tmp_path, Scripted([]))
    for number in (1, 2):
        hunt.grade([text if number == 2 else sentence(51)], SEEDS[:1], "m")
        hunt.step("training", number, 2, {})
    again = make_hunt(tmp_path, Scripted([]))
    assert again.grade([text], SEEDS[:1], "m") == [-1]
    again.rewind("training", 1)
    assert again.grade([text], SEEDS[:1], "m")[0] > 0


def test_the_best_and_least_alike_are_chosen_first():
    finds = [make_find("best", 0.9), make_find("its twin", 0.89), make_find("another", 0.6), make_find("worst", 0.3)]
    vectors = np.array([[1, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]], np.float32)
    assert [find.text for find in choose(finds, vectors, 3)] == ["best", "another", "its twin"]
    assert choose([], np.zeros((0, 3), np.float32), 3) == []


# the registry and the prompt


def test_methods_are_made_from_json():
    assert set(methods.stages) == {"best-of-n", "dpo", "grpo", "map-elites"}
    assert methods.make("grpo", {"steps": 3}) == Grpo(steps=3)
    assert methods.make("best-of-n") == BestOfN()


@pytest.mark.parametrize(
    ("method", "texts"), [("best-of-n", 768), ("map-elites", 768), ("grpo", 6 * 2 * 8 + 320), ("dpo", 3 * 8 * 8 + 320)]
)
def test_a_method_says_how_many_texts_it_has_written_at_most(method, texts):
    made = methods.make(method)
    assert made.asks() == texts and made.prompt(SEEDS[0]) == BestOfN().prompt(SEEDS[0])


def test_the_prompt_ends_where_the_answer_begins():
    text = BestOfN().prompt(SEEDS[0]).text
    assert SEEDS[0].text in text and text.endswith(f"{prompts.load('adversary.v1').wanted}:")


# the program, as far as it comes without models


def make_run(folder, rows, **settings):
    run = RunFolder(folder)
    run.write_request({"settings": {"method": {"key": "best-of-n", "settings": {}}, "guard": "nowhere", **settings}})
    run.write_rows(rows, "input.parquet")
    return run


def row(text="a harmless text", role="seed", label="unsafe", categories=("theft",)):
    return {"id": "1", "text": text, "label": label, "categories": list(categories), "family": "f", "role": role}


@pytest.mark.parametrize(
    ("category", "forbidden"),
    [("child-exploitation", []), ("Child_Exploitation", []), ("theft", ["theft"]), ("theft", ["Theft"])],
)
def test_forbidden_seeds_are_refused_by_count_and_never_by_text(tmp_path, category, forbidden):
    rows = [row(categories=["fraud"]), row("a secret text", categories=[category])]
    run = make_run(tmp_path, rows, forbidden_categories=forbidden)
    with pytest.raises(ProgramError, match="1 of 2 seeds are of categories that no text may be made from") as failure:
        attack(run, silent)
    assert "secret" not in failure.value.error + failure.value.remedy
    assert not (tmp_path / "output.parquet").exists()


@pytest.mark.parametrize(
    ("rows", "recipe", "message"),
    [
        ([row(role="decided")], {}, "no seed"),
        ([row(role="other")], {}, "column role"),
        ([row()], {"method": {"key": "nonsense"}}, "no stage 'nonsense'"),
        ([row()], {"method": {"key": "grpo", "settings": {"nonsense": 1}}}, "no setting 'nonsense'"),
        (
            [row()],
            {"method": {"key": "map-elites", "settings": {"long": 8}}},
            "long of map-elites should be at least 9",
        ),
        ([row()], {"method": {"key": "dpo", "settings": {"steps": 0}}}, "steps of dpo should be at least 1, found 0"),
        ([row()], {"reward": {"key": "nonsense"}}, "no stage 'nonsense'"),
        ([row()], {"guard": None}, "no settings.guard"),
    ],
)
def test_what_cannot_be_run_is_said_in_a_sentence(tmp_path, rows, recipe, message):
    with pytest.raises(ProgramError, match=message):
        attack(make_run(tmp_path, rows, **recipe), silent)


# the program on the packaged weights


@pytest.mark.slow
def test_two_steps_of_training_on_the_packaged_weights(tmp_path):
    file = Path(__file__).parents[2] / "curation" / "demo" / "seeds.jsonl"
    seeds = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()][:60]
    rows = [
        {"id": f"{role}{n}", "text": seed["text"], "label": seed["label"], "categories": seed["categories"],
         "family": seed["pair"], "role": role}
        for role in ("seed", "decided") for n, seed in enumerate(seeds)
    ]  # fmt: skip
    small = {"steps": 2, "prompts_per_step": 1, "completions": 4, "micro_batch": 4, "save_steps": 1, "candidates": 8,
             "batch": 8, "max_new_tokens": 12}  # fmt: skip
    run = make_run(
        tmp_path,
        rows,
        method={"key": "grpo", "settings": small},
        guard=str(unsure_guard(tmp_path / "guard")),
        generator={"key": "local"},
        wanted=5,
    )
    attack(run, silent)
    metrics = json.loads((tmp_path / "metrics.json").read_text())
    assert [(step["phase"], step["step"]) for step in metrics["curve"]][:2] == [("training", 1), ("training", 2)]
    assert metrics["attempts"] >= 8 and sum(metrics["outcomes"].values()) == metrics["attempts"]
    assert {"kl", "entropy", "reward", "reward_std"} <= metrics["curve"][0].keys()
    texts = {seed["text"] for seed in seeds}
    for found in run.rows("output.parquet"):
        assert found["origin"] == "adversarial" and found["stage"] == "grpo" and found["text"] not in texts
        assert json.loads(found["scores"]).keys() == {"reward", "guard", "judge", "novelty"}
