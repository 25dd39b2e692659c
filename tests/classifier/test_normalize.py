from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from classifier import batches
from classifier.normalize import encoded_words, normalize, normalized_hash, words

PLAIN = "How do I bake a cafe cake?"


@pytest.mark.parametrize(
    "other",
    [
        "HOW DO I BAKE A CAFE CAKE?",
        "how do i b\u200bake a c\u2060afe ca\u00adke?",
        "\u202ehow do i bake a cafe cake\u202c",
        "\uff28\uff4f\uff57 do I bake a \uff43\uff41\uff46\uff45 cake\uff1f",
        "  how do I\tbake\n a cafe\u00a0cake  ",
        "How do I... bake a (cafe) cake!!",
        "how do i bake a cafe cake\x00\x1b",
        "how\ufe0f do i bake a cafe cake \U0001f370",
    ],
)
def test_a_text_that_only_looks_other_has_the_same_hash(other: str) -> None:
    assert normalized_hash(other) == normalized_hash(PLAIN)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("bake a cake", "bake the cake"),
        ("bake a cake", "bakeacake"),
        ("cafe", "caf\u00e9"),
        ("\u0915\u093f", "\u0915\u0940"),  # Hindi syllables that differ in the vowel sign alone
        ("?", "!"),
        ("10 cakes", "100 cakes"),
    ],
)
def test_another_text_has_another_hash(one: str, other: str) -> None:
    assert normalized_hash(one) != normalized_hash(other)


@pytest.mark.parametrize("accented", ["caf\u00e9", "cafe\u0301", "cafe\u200d\u0301", "CAF\u00c9"])
def test_an_accent_may_be_typed_in_any_way(accented: str) -> None:
    assert words(accented) == ["caf\u00e9"]


def test_words_of_a_script_with_vowel_marks_stay_whole() -> None:
    assert words("\u0939\u093f\u0928\u094d\u0926\u0940 \u092e\u0947\u0902?") == [
        "\u0939\u093f\u0928\u094d\u0926\u0940",
        "\u092e\u0947\u0902",
    ]


@given(st.text(st.characters(exclude_categories=[])))
def test_normalizing_twice_is_normalizing_once(text: str) -> None:
    assert normalize(normalize(text)) == normalize(text)


@given(st.text(st.characters(categories=["Cs", "L", "P"])))
def test_lone_surrogates_do_not_break_the_hash(text: str) -> None:
    assert len(normalized_hash(text)) == 64


def test_lone_surrogates_do_not_break_the_tokenizer() -> None:
    def tokenizer(texts: list[str], **_: object) -> dict[str, list[list[int]]]:
        return {"input_ids": [list(text.encode("utf-8")) for text in texts]}

    assert batches.encode(tokenizer, ["a\ud800b"], 8) == [list(b"a?b")]


def test_every_row_is_in_one_batch_and_the_order_follows_seed_and_epoch() -> None:
    lengths = [5, 3, 9, 1] * 25
    first = batches.shuffled(lengths, 8, seed=1, epoch=0)
    assert sorted(row for batch in first for row in batch) == list(range(100))
    assert batches.shuffled(lengths, 8, seed=1, epoch=0) == first
    assert batches.shuffled(lengths, 8, seed=1, epoch=1) != first != batches.shuffled(lengths, 8, seed=2, epoch=0)


@given(st.text(st.characters(max_codepoint=127), max_size=60))
def test_the_short_way_for_ascii_hashes_as_the_long_one(text: str) -> None:
    spelled = " ".join(words(text)) or normalize(text)

    assert normalized_hash(text) == hashlib.sha256(spelled.encode()).hexdigest()


@given(st.text(st.characters(exclude_categories=[])))
def test_words_are_the_same_as_text_and_as_bytes(text: str) -> None:
    assert [word.decode("utf-8", "surrogatepass") for word in encoded_words(text)] == words(text)


@given(st.text(st.characters(max_codepoint=127)))
def test_the_quick_way_for_plain_text_gives_what_the_slow_one_gives(text: str) -> None:
    slow = "".join(c if c.isalnum() else " " for c in normalize(text)).split()
    assert words(text) == slow
