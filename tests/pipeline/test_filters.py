from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from pipeline.context import Context
from pipeline.filters import filters
from pipeline.records import Example, Finding


def example(number: int, text: str, **fields: Any) -> Example:
    return Example(**{"id": str(number), "text": text, "label": "safe", "family": f"f{number}", **fields})


def look(key: str, texts: list[str], known: list[str] = (), **settings: Any) -> list[Finding]:  # type: ignore[assignment]
    candidates = [example(n, text) for n, text in enumerate(texts)]
    there = [example(100 + n, text) for n, text in enumerate(known)]
    return list(filters.make(key, settings)(candidates, Context(known=there)))


def test_every_filter_speaks_of_every_candidate_and_explains_each_no() -> None:
    texts = ["hello my good friend", "ok", "hello my good friend", "Sure, here is: x", "guten Tag wie geht es"]
    vectors = {str(n): np.eye(8, dtype=np.float32)[n] for n in range(5)}
    for key in filters.stages:
        found = list(filters.make(key)([example(n, text) for n, text in enumerate(texts)], Context(embeddings=vectors)))
        assert [finding.example_id for finding in found] == list("01234"), key
        assert all(finding.reason for finding in found if not finding.keep), key


def test_exact_duplicates_are_found_whatever_the_case_and_marks() -> None:
    found = look("exact-duplicate", ["Hello, you!", "hello\u200b you", "another one"], known=["ANOTHER one."])

    assert [finding.keep for finding in found] == [True, False, False]


def test_near_duplicates_are_dropped_and_paraphrases_kept() -> None:
    long = "please tell me how one bakes a very large cake for all of my many friends on a rainy sunday"
    found = look("near-duplicate", [long + " morning", "what is the way to bake a big cake for a party"], known=[long])

    assert [finding.keep for finding in found] == [False, True]


def test_the_first_of_two_alike_stays() -> None:
    long = "please tell me how one bakes a very large cake for all of my many friends on a rainy sunday"

    assert [finding.keep for finding in look("near-duplicate", [long, long + " morning"])] == [True, False]


@pytest.mark.parametrize(("cosine", "keep"), [(0.2, False), (0.7, True), (0.999, False)])
def test_fidelity_keeps_a_band_of_likeness_to_the_parent(cosine: float, keep: bool) -> None:
    child = np.array([cosine, np.sqrt(1 - cosine**2)], np.float32)
    context = Context(embeddings={"1": child, "parent:1": np.array([1, 0], np.float32)})

    (found,) = filters.make("fidelity")([example(1, "a text of some length")], context)

    assert found.keep is keep


def test_a_twin_may_be_less_like_its_parent() -> None:
    parent = example(9, "how do i hurt him", label="unsafe")
    context = Context(
        known=[parent], embeddings={"1": np.array([0.4, 0.9165], np.float32), "parent:1": np.array([1, 0], np.float32)}
    )

    (twin,) = filters.make("fidelity")([example(1, "how do i help him", parent_id="9")], context)
    (child,) = filters.make("fidelity")([example(1, "how do i hit him", label="unsafe", parent_id="9")], context)

    assert (twin.keep, child.keep) == (True, False)


def test_another_language_is_dropped_and_short_texts_are_trusted() -> None:
    found = look(
        "language", ["können sie mir bitte sagen wie spät es gerade ist", "wie bitte", "what time is it over there"]
    )

    assert [finding.keep for finding in found] == [False, True, True]


@pytest.mark.parametrize(("text", "keep"), [("ok", False), ("a message of words", True), ("word " * 200, False)])
def test_length_has_two_ends(text: str, keep: bool) -> None:
    assert look("length", [text])[0].keep is keep


@pytest.mark.parametrize(
    "text",
    [
        "I'm sorry, but I can't help with that", "Message: hello there you", "Sure, here it is: hello",
        "write to [NAME] about it", "go now please go now please go now please", "\ue000\ue001\ue002\ue003 hm",
    ],
)  # fmt: skip
def test_what_is_not_one_message_is_dropped(text: str) -> None:
    assert not look("shape", [text])[0].keep


def test_an_ordinary_message_has_its_shape() -> None:
    assert look("shape", ["how do i water my plants, and what about the cat?"])[0].keep


def test_the_judge_abstains_where_nothing_is_decided() -> None:
    (found,) = look("label-judge", ["how do i water my plants"])

    assert found.keep
    assert found.score is None


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("write to anna.k@mail-home.org please", "holds an e-mail address"),
        ("call me on +49 170 1234567 tonight", "holds a phone number"),
        ("my card is 4111 1111 1111 1111 ok", "holds the number of a payment card"),
        ("send it to DE89 3704 0044 0532 0130 00", "holds a bank account"),
        ("write to someone@example.com please", ""), ("I ran 5 km in 25 minutes in 2024", ""),
        ("order number 1234567890123 is late", ""), ("pages 120-130 of the book", ""),
    ],
)  # fmt: skip
def test_personal_data_is_dropped_and_named_by_kind_only(text: str, reason: str) -> None:
    (finding,) = look("personal-data", [text])

    assert (finding.reason, finding.keep) == (reason, not reason)
