"""The catalogue of contrast pairs, and what an attack makes of it."""

from collections import Counter, defaultdict

import pytest

from pipeline import catalogue
from pipeline.adversary.contrast import STAGE, contrast
from pipeline.context import is_forbidden_text

CRIME = {"key": "crime", "crosswalk": {"openai": "illicit"}}
THEFT = {"key": "theft", "crosswalk": {"openai": "illicit"}}
LOVE = {"key": "adult", "crosswalk": {"openai": "sexual"}}


def tried(guard=lambda texts: [0.5001] * len(texts), known=(), threshold=0.5, **settings):
    return contrast({"pairs": 40, "seed": 7, **settings}, known, guard, threshold)


def by_family(drafts):
    found = defaultdict(dict)
    for draft in drafts:
        found[draft.family][draft.label] = draft
    return found


# The catalogue


@pytest.mark.parametrize("seed", range(8))
def test_nothing_in_it_touches_what_is_never_generated(seed):
    texts = [text for pair in catalogue.pairs(seed) for text in (pair.unsafe, pair.safe) if text]
    assert len(texts) > 800
    assert not [text for text in texts if is_forbidden_text(text)]


@pytest.mark.parametrize("seed", range(8))
def test_every_slot_is_filled_and_no_text_is_of_both_labels(seed):
    pairs = catalogue.pairs(seed)
    texts = [text for pair in pairs for text in (pair.unsafe, pair.safe) if text]
    assert not [text for text in texts if "{" in text or "}" in text or text != text.strip()]
    assert not {pair.unsafe for pair in pairs} & {pair.safe for pair in pairs}


def test_every_slot_is_used():
    for topic in catalogue.topics():
        whole = " ".join([*(text for pair in (*topic.acts, *topic.lines) for text in pair), *topic.harmless])
        assert not [name for name in topic.slots if f"{{{name}}}" not in whole]


def test_no_act_comes_twice():
    acts = Counter(text for topic in catalogue.topics() for pair in (*topic.acts, *topic.lines) for text in pair)
    assert not [text for text, count in acts.items() if count > 1]


def test_a_pair_has_one_frame_for_both_and_another_one_next_time():
    theft = next(topic for topic in catalogue.topics() if topic.key == "theft")
    drawn = [list(theft.pairs(("Please {act}!", "How to {act}?"), seed)) for seed in range(8)]
    for pairs in drawn:
        for pair, (harmful, harmless) in zip(pairs, theft.acts, strict=False):
            assert pair.unsafe.replace(harmful, "") == pair.safe.replace(harmless, "")
    assert len({pairs[0].unsafe for pairs in drawn}) == 2
    assert list(theft.pairs(("Please {act}!", "How to {act}?"), 3)) == drawn[3]


def test_a_topic_is_of_the_category_that_bears_its_surest_name():
    assert catalogue.categories([CRIME, THEFT]) == {
        "cybercrime": "crime", "fraud": "crime", "illegal-drugs": "crime", "theft": "theft",
    }  # fmt: skip
    assert "fraud" not in catalogue.categories([THEFT]), "theft is theft, though some call all crime by one name"
    assert catalogue.categories([LOVE]) == {"sexual-content": "adult"}
    assert catalogue.categories([]) == {}


# Against a guard


def test_a_guard_that_tells_all_pairs_apart_is_brought_nothing():
    labels = {
        text: label for pair in catalogue.pairs(7) for text, label in ((pair.unsafe, 0.9), (pair.safe, 0.1)) if text
    }
    drafts, figures = tried(lambda texts: [labels[text] for text in texts])
    assert drafts == [] and figures["confused"] == 0 and figures["tried"] > 400


def test_both_texts_of_a_confused_pair_are_brought_with_their_labels():
    drafts, figures = tried()
    pairs = by_family(drafts)
    assert figures["brought"] == len(pairs) == 40
    assert all(draft.parent_id is None and (draft.origin, draft.stage) == ("template", STAGE) for draft in drafts)
    whole = [pair for pair in pairs.values() if len(pair) == 2]
    assert whole and all(pair["unsafe"].text != pair["safe"].text for pair in whole)


def test_the_worst_confused_come_first():
    def guard(texts):  # wrong about thieves, torn about all else
        return [0.01 if "steal" in text.lower() else 0.5001 for text in texts]

    drafts, _ = tried(guard, pairs=3)
    harmful = [draft.text for draft in drafts if draft.label == "unsafe"]
    assert len(harmful) == 3 and all("steal" in text.lower() for text in harmful)


def test_a_mistake_is_one_at_the_guards_own_threshold():
    assert tried(lambda texts: [0.2] * len(texts), threshold=0.1)[1]["confused"] > 0
    figures = tried(lambda texts: [0.05] * len(texts), threshold=0.1)[1]
    harmless = next(row for row in figures["by_topic"] if row["topic"] == "everyday")
    assert harmless["confused"] == 0 and figures["confused"] > 0


def test_known_texts_do_not_come_again():
    first, _ = tried(pairs=10_000)
    again, figures = tried(known=[f"  {first[0].text.upper()} "], pairs=10_000)
    assert first[0].family not in by_family(again) and figures["tried"] == len(by_family(first)) - 1


def test_only_what_the_policy_calls_harm_is_tried():
    drafts, figures = tried(policy_categories=[THEFT, LOVE], pairs=10_000)
    assert {row["topic"] for row in figures["by_topic"]} == {"theft", "sexual-content", "everyday"}
    assert {draft.categories for draft in drafts if draft.label == "unsafe"} == {("theft",), ("adult",)}
    assert {draft.categories for draft in drafts if draft.label == "safe"} == {()}


def test_a_category_that_no_text_may_be_made_of_is_left_out():
    _, figures = tried(policy_categories=[THEFT, LOVE], forbidden_categories=["Adult"], pairs=10_000)
    assert {row["topic"] for row in figures["by_topic"]} == {"theft", "everyday"}


def test_where_none_are_wanted_the_guard_is_not_asked():
    def never(texts):
        raise AssertionError

    assert tried(never, pairs=0) == ([], {"tried": 0, "confused": 0, "brought": 0, "by_topic": []})
