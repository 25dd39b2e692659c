import numpy as np
import pytest

from pipeline.judge import MIDDLE, Judge, fold, opinion


def decided(count, seed=0):
    """Texts whose first coordinate tells the label; each family has one text of either label."""
    chance = np.random.default_rng(seed)
    labels = ["unsafe" if row % 2 else "safe" for row in range(count)]
    vectors = chance.normal(0, 0.1, (count, 4)).astype(np.float32)
    vectors[:, 0] += [1.0 if label == "unsafe" else -1.0 for label in labels]
    return [f"text {row}" for row in range(count)], vectors, labels, [f"family {row // 2}" for row in range(count)]


def test_it_tells_labels_apart_and_says_how_sure_it_is():
    judge = Judge.fit(*decided(120))
    safe, unsafe = judge.opinions(["a", "b"], np.array([[-1, 0, 0, 0], [1, 0, 0, 0]], np.float32), ["new", "new"])
    assert (safe.label, unsafe.label) == ("safe", "unsafe")
    assert safe.probability < MIDDLE[0] < MIDDLE[1] < unsafe.probability


def test_it_abstains_in_the_middle():
    judge = Judge.fit(*decided(120))
    (middle,) = judge.opinions(["a"], np.zeros((1, 4), np.float32), ["new"])
    assert middle.label is None and MIDDLE[0] < middle.probability < MIDDLE[1]


@pytest.mark.parametrize("probability", [0.36, 0.5, 0.64])
def test_a_probability_in_the_middle_band_is_no_label(probability):
    assert opinion(probability).label is None


def test_a_family_is_never_judged_by_what_it_taught():
    texts, vectors, labels, families = decided(120)
    family = "the odd one"
    # A family far from all others, all unsafe: only a model that saw it can know.
    odd = np.tile(np.array([[0, 0, 0, 5]], np.float32), (40, 1))
    judge = Judge.fit(
        [*texts, *(f"odd {n}" for n in range(40))],
        np.concatenate([vectors, odd]),
        [*labels, *["unsafe"] * 40],
        [*families, *[family] * 40],
    )
    other = next(name for name in map(str, range(100)) if fold(name) != fold(family))
    own, stranger = judge.opinions(["a", "b"], odd[:2], [family, other])
    assert stranger.label == "unsafe"
    assert own.label is None


def test_the_same_examples_give_the_same_judge():
    texts, vectors, _, families = decided(20, seed=5)
    first, second = (Judge.fit(*decided(120)).opinions(texts, vectors, families) for _ in range(2))
    assert first == second


@pytest.mark.parametrize("count", [0, 2, 10])
def test_with_few_examples_it_always_abstains(count):
    texts, vectors, labels, families = decided(120)
    judge = Judge.fit(texts[:count], vectors[:count], labels[:count], families[:count])
    assert {o.label for o in judge.opinions(texts, vectors, families)} == {None}
    assert "8 decided examples of each label" in judge.silence


def test_a_judge_that_can_speak_has_no_reason_for_silence():
    assert Judge.fit(*decided(120)).silence == ""


def test_with_one_label_only_it_always_abstains():
    texts, vectors, _, families = decided(120)
    judge = Judge.fit(texts, vectors, ["unsafe"] * 120, families)
    assert {o.label for o in judge.opinions(texts, vectors, families)} == {None}


def test_a_text_repeated_counts_once():
    texts, vectors, labels, families = decided(120)
    rows = [*range(4)] * 30  # four texts, thirty times each
    judge = Judge.fit([texts[r] for r in rows], vectors[rows], [labels[r] for r in rows], [families[r] for r in rows])
    assert {o.label for o in judge.opinions(texts, vectors, families)} == {None}


def test_a_blank_text_gets_no_opinion():
    judge = Judge.fit(*decided(120))
    assert judge.opinions(["  "], np.array([[1, 0, 0, 0]], np.float32), ["new"])[0].label is None


def test_nothing_to_judge_is_no_error():
    assert Judge.fit(*decided(120)).opinions([], np.zeros((0, 4), np.float32), []) == []


@pytest.mark.slow
def test_on_the_demo_seeds_it_is_right_where_it_speaks(demo_seeds):
    from classifier.embed import Embedder

    texts = [row["text"] for row in demo_seeds]
    labels = [row["label"] for row in demo_seeds]
    pairs = [row["pair"] for row in demo_seeds]
    vectors = Embedder().embed(texts)
    spoken = [
        (o.label, label)
        for o, label in zip(
            Judge.fit(texts, vectors, labels, pairs).opinions(texts, vectors, pairs), labels, strict=True
        )
        if o.label
    ]
    assert len(spoken) / len(texts) > 0.5
    assert sum(a == b for a, b in spoken) / len(spoken) > 0.8


@pytest.fixture
def demo_seeds():
    import json
    from pathlib import Path

    file = Path(__file__).parents[2] / "curation" / "demo" / "seeds.jsonl"
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
