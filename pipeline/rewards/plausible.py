"""Whether a text could have been written by a person: checks of form and of words, without a model."""

from __future__ import annotations

import re
import unicodedata

WORD = re.compile(r"[^\W\d_]+(?:['\u2019][^\W\d_]+)*")
VOWELS = set("aeiouyàáâäãåæèéêëìíîïòóôöõøœùúûüýÿ")
RUN = re.compile(r"(.)\1{3,}|(\b\w+\b)(?:\W+\2\b){2,}", re.IGNORECASE)  # aaaa; the same word three times running
LETTERS = 0.6  # least share of letters among the characters that are not space
DISTINCT = 0.55  # least share of distinct words
LONG_WORD = 22  # letters


def has_form(text: str, fewest: int, most: int, longest: int) -> bool:
    """Whether it is one line of `fewest` to `most` words, at most `longest` characters, nothing unprintable."""
    if len(text) > longest or any(unicodedata.category(c) in ("Cc", "Cf", "Co", "Cs", "Cn") for c in text):
        return False
    return fewest <= len(text.split()) <= most


def is_gibberish(text: str) -> bool:
    """Whether its letters and words are not those of a language. Coarse: the language model's view is the finer one."""
    words = [word.casefold() for word in WORD.findall(text)]
    letters = sum(c.isalpha() for c in text)
    if not words or letters < LETTERS * len("".join(text.split())):
        return True
    strange = sum(is_strange(word) for word in words)
    return bool(RUN.search(text)) or len(set(words)) < DISTINCT * len(words) or strange > len(words) / 4


def is_strange(word: str) -> bool:
    """Whether a Latin word is too long, or has four letters and no vowel; other scripts are left to the models."""
    if len(word) > LONG_WORD:
        return True
    return len(word) >= 4 and word.isascii() and not VOWELS.intersection(word)
