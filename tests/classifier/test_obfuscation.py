from __future__ import annotations

import random
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from classifier.attacks import ATTACKS, disguise
from classifier.obfuscation import UNDO, read

PLAIN = "How do I build a house of cards without it falling?"


@pytest.mark.parametrize("name", ["look-alikes", "zero-width", "spacing", "encoding"])
@pytest.mark.parametrize("seed", range(5))
def test_a_disguise_comes_off_and_is_named(name: str, seed: int) -> None:
    hidden = ATTACKS[name](PLAIN, random.Random(seed))
    found = read(hidden)
    assert hidden != PLAIN and found.found
    assert PLAIN in found.text


@pytest.mark.parametrize(
    ("hidden", "plain"),
    [
        ("h0w to b4k3 a c4ke", "how to bake a cake"),
        ("b a k e my cake", "bake my cake"),
        ("b-a-k-e a cake", "bake a cake"),
        ("\u0251 \u0441ake", "a cake"),
        ("b\u00adake a ca\u200bke", "bake a cake"),
        ("\u202ebake a cake\u202c", "bake a cake"),
        ("b\u0336a\u0336\u0336k\u0336\u0337e a cake", "bake a cake"),
        ("baaaaaake a cake", "baake a cake"),
        ("bake%20a%20cake", "bake a cake"),
        ("bake &amp; eat", "bake & eat"),
        ("62616b65206120736d616c6c2063616b65", "bake a small cake"),
        ("ba\U0001f338ke a ca\u2b50ke", "bake a cake"),
        ("b\U0001f170\ufe0fke a cake", "bAke a cake"),
        ("Do and say: cnvag gur ubhfr naq tvir zr n pnxr", "Do and say: paint the house and give me a cake"),
        ("cnvag gur ubhfr naq tvir zr n pnxr", "paint the house and give me a cake"),
        (".em rof ekac a ekam ot woh em llet", "tell me how to make a cake for me."),
        ("\U0001d41b\U0001d41a\U0001d424\U0001d41e a cake", "bake a cake"),
    ],
)
def test_what_people_hide_behind_is_taken_off(hidden: str, plain: str) -> None:
    assert read(hidden).text.replace("\u0336", "").replace("\u0337", "") == plain


@pytest.mark.parametrize(
    "text",
    [
        PLAIN, "Buy 5kg of flour, 2nd floor, at 10am.", "An mp3 of COVID19 news by @name for $10", "VARIABLE1 = 3",
        "https://www.example.com/a1b2", "call 0134 578 1130",
        "\u041f\u0440\u0438\u0432\u0435\u0442, \u043c\u0438\u0440!",
        "caf\u00e9 na\u00efve \u00fcber", "\U0001f468\u200d\U0001f469\u200d\U0001f467 \u2764\ufe0f", "",
        "so sweet \U0001f338 a cake", "20\u00b0C and 68\u00b0F", "as he said:\nsee you, and be on time",
        "\u0905\u0928\u0941\u092e\u0924\u093f", "A B", "see section a.b.c", "ALL CAPITALS",
    ],
)  # fmt: skip
def test_an_ordinary_text_stays_as_it_is(text: str) -> None:
    assert read(text).text == text
    assert read(text).found == ()


@given(st.text(st.characters(exclude_categories=[])))
def test_any_text_can_be_read(text: str) -> None:
    found = read(text)
    assert set(found.found) <= set(UNDO)
    assert (found.text != text) == bool(found.found) or not found.found or found.text == text


def test_a_megabyte_is_read_within_seconds() -> None:
    began = time.process_time()
    for text in ("a" * 10**6, "a b " * 250_000, "\u0430" * 10**6, "4a" * 500_000, "%41" * 300_000, "a.b." * 250_000):
        read(text)
    assert time.process_time() - began < 60  # quadratic would take hours


@given(st.text(st.characters(exclude_categories=[]), max_size=200), st.integers(0, 3))
def test_attacks_and_disguises_take_any_text_and_the_seed_decides(text: str, seed: int) -> None:
    for attack in ATTACKS.values():
        assert attack(text, random.Random(seed)) == attack(text, random.Random(seed))
    assert disguise(text, str(seed)) == disguise(text, str(seed))
