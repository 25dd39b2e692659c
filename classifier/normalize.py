"""Bring texts into one form, so that equal ones compare equal however they were typed. Loads without torch."""

from __future__ import annotations

import hashlib
import re
import unicodedata

# Characters of category Cf (format: zero-width, bidirectional, soft hyphen, tags) show nothing, and Cc (control) but
# for white space never belong in a message; both are how a text is made to look like another.
INVISIBLE = {"Cf", "Cc"}
VARIATION = re.compile("[\ufe00-\ufe0f\U000e0100-\U000e01ef]")  # selectors: marks that only choose a glyph
SPACE = re.compile(r"\s+")


def _plain(character: str) -> str:
    """What `words` makes of an ASCII character: a small letter or digit, a blank, or nothing."""
    if character.isalnum():
        return character.lower()
    return "" if unicodedata.category(character) in INVISIBLE and not character.isspace() else " "


PLAIN = [_plain(chr(code)) for code in range(128)]
LETTERS = bytes(ord(PLAIN[code] or " ") if code < 128 else code for code in range(256))  # as `bytes.translate` wants it
NOTHING = bytes(code for code in range(128) if not PLAIN[code])


def normalize(text: str) -> str:
    """Return the text in NFKC, case-folded, without invisible characters, white space folded to single blanks."""
    # Invisible characters go first: one between a letter and its accent would keep NFKC from joining the two.
    visible = "".join(c for c in text if c.isspace() or unicodedata.category(c) not in INVISIBLE)
    folded = unicodedata.normalize("NFKC", VARIATION.sub("", visible)).casefold()
    return SPACE.sub(" ", unicodedata.normalize("NFKC", folded)).strip()  # folding can take letters apart again


def words(text: str) -> list[str]:
    """The normalized words of a text, without punctuation: runs of letters, digits and their marks.

    Marks count: they are the vowels of Hindi and Thai, and words that differ in them are different words.
    """
    if text.isascii():  # most texts: nothing to fold but case
        return _plain_words(text).decode().split()
    return "".join(c if unicodedata.category(c)[0] in "LMN" else " " for c in normalize(text)).split()


def encoded_words(text: str) -> list[bytes]:
    """The same in UTF-8: quicker, for whoever only compares them."""
    if text.isascii():
        return _plain_words(text).split()
    return [word.encode("utf-8", "surrogatepass") for word in words(text)]


def _plain_words(text: str) -> bytes:
    return text.encode("ascii").translate(LETTERS, NOTHING)


def normalized_hash(text: str) -> str:
    """SHA-256 (hex) of the text's letters and digits in normal form: the key of exact duplicates.

    Punctuation and spacing do not count; a text of nothing else is hashed as it is.
    """
    return hashlib.sha256((" ".join(words(text)) or normalize(text)).encode("utf-8", "surrogatepass")).hexdigest()
