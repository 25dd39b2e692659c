from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from pipeline.chat import Connection
from pipeline.context import Context
from pipeline.filters import filters, judges_label
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
    for key in (
        key for key, stage in filters.stages.items() if not (issubclass(stage, Connection) or key == "fluency")
    ):
        found = list(filters.make(key)([example(n, text) for n, text in enumerate(texts)], Context(embeddings=vectors)))
        assert [finding.example_id for finding in found] == list("01234"), key
        assert all(finding.reason for finding in found if not finding.keep), key


def test_the_judges_alone_have_an_opinion_of_the_label() -> None:
    assert [key for key in filters.stages if judges_label(key)] == ["endpoint-judge", "label-judge"]
    assert not judges_label("was-removed-since")


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


def test_what_is_no_longer_than_its_parent_is_not_too_long() -> None:
    parent = "word " * 150
    stage, context = filters.make("length"), Context(known=[])

    (rewrite,) = stage([replace(example(1, "word " * 140), parent_text=parent)], context)
    (swollen,) = stage([replace(example(2, "word " * 160), parent_text=parent)], context)

    assert (rewrite.keep, swollen.keep) == (True, False)
    assert swollen.reason == "160 words, expected 3 to 150"


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


def test_the_judge_learns_from_what_is_decided_and_not_from_what_waits() -> None:
    """What waits bears the label that a machine proposed: it would confirm the machine's next proposals."""
    decided = [example(n, f"decided {n}") for n in range(100, 200)]
    decided = [replace(one, label="unsafe" if n % 2 else "safe", family=one.id) for n, one in enumerate(decided)]
    waiting = [
        replace(one, id=f"{n}:{one.id}", text=f"{n} {one.text}", label="safe", family=f"{n}:{one.id}")
        for n in range(4)
        for one in decided[1::2]
    ]
    chance = np.random.default_rng(0)
    unsafe = np.array([1.0, 0, 0, 0])
    vectors = {
        one.id: chance.normal(0, 0.1, 4) + (-unsafe if at < len(decided) and at % 2 == 0 else unsafe)
        for at, one in enumerate([*decided, *waiting])
    } | {"1": unsafe}  # fmt: skip

    def said(waits: Sequence[Example]) -> Finding:
        context = Context(
            known=[*decided, *waiting], embeddings=vectors, waiting=frozenset(one.id for one in waits)
        )  # fmt: skip
        (finding,) = filters.make("label-judge")([example(1, "a candidate")], context)
        return finding

    assert said(waiting).reason == "proposed as safe, the judge says unsafe"
    assert said([]).reason == "the judge abstains"  # were they trusted, it would be torn


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


def unit(*rows: tuple[float, ...]) -> dict[str, Any]:
    """Unit vectors by the ids of the first examples."""
    vectors = np.array(rows, np.float32)
    return dict(zip(map(str, range(len(rows))), vectors / np.linalg.norm(vectors, axis=1, keepdims=True), strict=True))


def test_what_says_the_same_as_one_kept_before_is_dropped_whatever_its_words() -> None:
    vectors = unit((1, 0, 0), (0, 1, 0), (1, 0.05, 0), (0.7, 0.7, 0), (0, 0, 1)) | {"100": np.array([0, 0, 1.0])}
    candidates = [example(n, f"text number {n}") for n in range(6)]
    context = Context(known=[example(100, "known"), example(101, "without a vector")], embeddings=vectors)

    found = list(filters.make("near-meaning")(candidates, context))

    assert [finding.keep for finding in found] == [True, True, False, True, False, True]
    assert "no embedding" in found[5].reason


def test_the_index_of_meanings_finds_nearly_all_copies_among_many() -> None:
    chance = np.random.default_rng(0)
    vectors = chance.normal(size=(4000, 32)).astype(np.float32)
    vectors[3000:] = vectors[:1000] + 0.02 * chance.normal(size=(1000, 32)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    candidates = [example(n, f"text {n}") for n in range(4000)]

    found = list(
        filters.make("near-meaning")(candidates, Context(embeddings={str(n): v for n, v in enumerate(vectors)}))
    )

    assert sum(not finding.keep for finding in found[3000:]) >= 990
    assert all(finding.keep for finding in found[:3000])


def test_a_quota_keeps_the_most_different_ones_of_each_category() -> None:
    vectors = unit((1, 0, 0), (1, 0.1, 0), (0, 1, 0), (0, 0, 1), (1, 0.2, 0))
    candidates = [example(n, f"text {n}", label="unsafe", categories=("theft",)) for n in range(4)]
    candidates += [example(4, "text 4")]

    found = list(filters.make("quota", {"most": 3})(candidates, Context(embeddings=vectors, dropped=set())))

    assert [finding.keep for finding in found] in ([False, True, True, True, True], [True, False, True, True, True])
    assert "3 of theft are enough" in next(finding.reason for finding in found if not finding.keep)


def test_what_another_filter_dropped_takes_no_place_of_a_quota() -> None:
    vectors = unit((1, 0), (0, 1))
    candidates = [example(n, f"text {n}") for n in range(2)]
    (_, second) = filters.make("quota", {"most": 1})(candidates, Context(embeddings=vectors, dropped={"0"}))
    assert second.keep


def test_a_quota_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="1 or more, found 0"):
        filters.make("quota", {"most": 0})


@pytest.mark.slow
def test_words_in_no_order_are_less_fluent_than_what_is_there() -> None:
    known = [
        f"How do I {what} before my guests arrive?" for what in ("bake a cake", "water the plants", "mop the floor")
    ]
    found = look(
        "fluency", ["What do I cook when my guests arrive?", "Guests the the arrive moon of my plants do"], known
    )
    assert [finding.keep for finding in found] == [True, False]
    assert "reads oddly" in found[1].reason
