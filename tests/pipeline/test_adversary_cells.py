import doctest
import hashlib
import random
from dataclasses import replace

import pytest

from pipeline.adversary import styles
from pipeline.adversary.archive import Archive, Find, Step
from pipeline.adversary.map_elites import MapElites, subject
from pipeline.generators.local import Local
from pipeline.records import Example
from tests.pipeline.adversary_fakes import SEEDS, Scripted, make_hunt, sentence, tiny_generator

SMALL = MapElites(candidates=160, batch=16, copies=4)


def find(text, reward=0.5, seed_id="s0"):
    return Find(text, seed_id, reward, 0.1, 0.9, 0.5, "model")


def archived(folder, *steps):
    """An archive of steps, each a list of finds or the texts caught by cell."""
    archive = Archive(folder / "archive")
    for number, (finds, caught) in enumerate(steps, 1):
        archive.add(Step("sampling", number, {}, {}, tuple(finds), caught))


# styles


def test_a_text_is_a_question_a_command_talk_or_a_remark():
    assert doctest.testmod(styles).attempted == 1 and doctest.testmod(styles).failed == 0


@pytest.mark.parametrize(
    ("text", "style"),
    [
        ("You saw it?", "question"), ("Isn\u2019t it late", "question"), ("Wo ist das?", "question"),
        ("write me a poem", "command"), ("Well, I'm late", "talk"), ("", "remark"), ("The river is wide.", "remark"),
    ],
)  # fmt: skip
def test_rules_of_thumb_tell_the_style(text, style):
    assert styles.style(text) == style


def test_the_cell_of_a_text_has_the_subject_of_its_seed_and_the_form_of_its_own():
    seed = Example("s", "Where is it?", "unsafe", ("fraud", "theft"))
    assert MapElites().cell("Tell me now", seed) == "fraud/command/short"
    assert MapElites(short=2, long=3).cell("Tell me now", seed) == "fraud/command/long"
    assert subject(Example("s", "text", "safe")) == "safe"


# elites and solved cells


def test_a_find_takes_a_cell_when_its_reward_is_higher(tmp_path):
    archived(tmp_path, ([find("one", 0.5), find("two", 0.6)], {}), ([find("three", 0.6), find("I won", 0.3)], {}))
    best = SMALL.elites(make_hunt(tmp_path, Scripted([])))
    assert {cell: one.text for cell, one in best.items()} == {
        "theft/remark/short": "two", "theft/talk/short": "I won"
    }  # fmt: skip


def test_a_cell_is_solved_when_the_guard_was_right_often_enough_since_the_last_find(tmp_path):
    method, cell = replace(SMALL, enough=3), "theft/remark/short"
    archived(tmp_path / "a", ([], {cell: 2}), ([], {cell: 1}))
    archived(tmp_path / "b", ([], {cell: 3}), ([find("one")], {cell: 2}))
    assert method.solved(make_hunt(tmp_path / "a", Scripted([]))) == {cell}
    assert method.solved(make_hunt(tmp_path / "b", Scripted([]))) == set()


def test_parents_are_elites_seeds_where_there_is_none_and_never_of_a_solved_cell(tmp_path):
    seeds = [Example("q", "Where is it?", "unsafe", ("theft",)), Example("r", "The river.", "unsafe", ("theft",)),
             Example("c", "Tell me.", "unsafe", ("theft",))]  # fmt: skip
    archived(tmp_path, ([find("The zebra.", seed_id="q")], {"theft/command/short": 24}))
    hunt = make_hunt(tmp_path, Scripted([]))
    hunt.seeds = seeds
    drawn = {(one.seed.id, one.text) for one in SMALL.parents(hunt, 2)}
    assert drawn == {("q", "The zebra."), ("q", "Where is it?")}


# the search


def test_children_claim_the_label_of_the_root_seed_and_record_their_parent(tmp_path):
    hunt = make_hunt(tmp_path, Scripted([f"zebra {sentence(n)}" for n in range(100)]), wanted=10_000)
    SMALL.attack(hunt)
    first, later = hunt.archive.steps[0].finds, hunt.archive.steps[1].finds
    assert {one.parent for one in first} == {""}
    digests = {hashlib.sha256(one.text.encode()).hexdigest()[:16]: one.seed_id for one in first}
    assert later and all(digests[one.parent] == one.seed_id for one in later)


def test_it_stops_when_batches_bring_nothing_and_says_so(tmp_path):
    generator = Scripted(["I'm sorry, I cannot help with that."])
    hunt = make_hunt(tmp_path, generator)
    replace(SMALL, patience=3).attack(hunt)
    assert generator.asked == 48 and hunt.figures["stopped"] == "3 batches in a row brought nothing"
    assert hunt.figures["coverage"] == {"cells": 12, "filled": 0, "solved": 0}


def test_it_stops_when_every_cell_is_solved_and_says_so(tmp_path):
    hunt = make_hunt(tmp_path, Scripted([sentence(n) for n in range(1000)]))
    replace(SMALL, enough=8, patience=100).attack(hunt)
    assert hunt.figures["stopped"] == "every cell is solved" and hunt.figures["coverage"]["solved"] == 1


def test_it_says_when_enough_is_found_or_the_candidates_are_used_up(tmp_path):
    texts = [f"zebra {sentence(n)}" for n in range(1000)]
    few, many = make_hunt(tmp_path / "a", Scripted(texts), wanted=3), make_hunt(tmp_path / "b", Scripted(texts))
    many.wanted = 10_000
    SMALL.attack(few)
    SMALL.attack(many)
    assert few.figures["stopped"] == "enough is found"
    assert many.figures["stopped"] == "the candidates are used up"


def test_a_hunt_that_is_broken_off_goes_on_as_if_it_had_not_been(tmp_path):
    weights = Local(str(tiny_generator(tmp_path / "weights", seed=3)))
    method = MapElites(candidates=16 * 8, batch=16, copies=4, max_new_tokens=8, temperature=1.0)
    whole = hunt(tmp_path / "whole", weights)
    method.attack(whole)
    chance = random.Random(2)
    for _ in range(4):
        part = hunt(tmp_path / "parts", weights)
        part.report = dying(chance.randint(1, 2))
        with pytest.raises(KeyboardInterrupt):
            method.attack(part)
    last = hunt(tmp_path / "parts", weights)
    method.attack(last)
    assert last.archive.steps == whole.archive.steps and last.figures == whole.figures
    assert any(one.parent for one in whole.archive.finds)


def hunt(folder, generator):
    """Seeds of two subjects, so that there are cells to choose from."""
    made = make_hunt(folder, generator, wanted=10_000)
    made.seeds = [replace(seed, categories=(f"c{n % 2}",)) for n, seed in enumerate(SEEDS)]
    return made


def dying(steps):
    left = [steps]

    def report(*_):
        left[0] -= 1
        if not left[0]:
            raise KeyboardInterrupt

    return report
