"""Take disguises off a text: look-alike letters, invisible characters, digits for letters, simple encodings.

Each undoing says what it changed, so that a person sees why a text was read in another way. A wrong guess costs little:
the guard scores the text as it came, too, and takes the worse. Loads without torch.
"""

from __future__ import annotations

import base64
import binascii
import codecs
import html
import re
import string
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import unquote

from classifier.normalize import INVISIBLE, VARIATION

# Letters of other scripts that look like Latin ones and that NFKC leaves alone (Unicode TR 39, the common part).
LOOKALIKES = {
    "a": "аɑαạꭺ", "b": "Ьʙƅ", "c": "сϲᴄꮯ", "d": "ԁɗꓒ", "e": "еєҽ℮ꬲ", "f": "ẝꞙ", "g": "ɡցɢ", "h": "һհн",
    "i": "іıɩιӏ", "j": "јϳ", "k": "кκᴋ", "l": "ⅼɫ", "m": "мᴍ", "n": "ոռᴨп", "o": "оοσօᴏ", "p": "рρ", "q": "ԛգ",
    "r": "гᴦɾ", "s": "ѕꜱ", "t": "тτᴛ", "u": "υսᴜц", "v": "νѵᴠ", "w": "ѡԝᴡ", "x": "хⅹ×", "y": "уүγ", "z": "ᴢʐ",
    "A": "АΑ", "B": "ВΒ", "C": "СϹ", "E": "ЕΕ", "H": "НΗ", "I": "ІΙ", "J": "Ј", "K": "КΚ", "M": "МΜ", "N": "Ν",
    "O": "ОΟ", "P": "РΡ", "S": "Ѕ", "T": "ТΤ", "V": "Ѵ", "X": "ХΧ", "Y": "ҮΥ", "Z": "Ζ",
}  # fmt: skip
PLAIN = {ord(other): letter for letter, others in LOOKALIKES.items() for other in others}
LEET = str.maketrans("0134578@$€", "oieastbase")
LEET_WORD = re.compile(r"(?<![\w@$€/=.#&?-])(?=[\w@$€]*[a-zA-Z])(?=[\w@$€]*[0134578@$€])[a-zA-Z0-9@$€]{3,}")
# What has digits by right: 5kg, 4th, mp3, VARIABLE1, 3D, $10, @name, name@home.
NO_LEET = re.compile(r"^(\d+[a-zA-Z]{1,3}|[a-zA-Z]+\d+|[a-zA-Z]+[€$]+|[$€]\d.*|[@$]\w+|\w+@\w+)$")
SPACED = re.compile(r"(?<![^\W_])[^\W_]([ .\-_*·])(?:[^\W_]\1){2,}[^\W_](?![^\W_])")
REPEATED = re.compile(r"([^\W\d_wW])\1{2,}")  # not the www of an address
ENCODED = re.compile(r"(?<![\w+/=])[A-Za-z0-9+/]{16,}={0,2}(?![\w+/=])")
HEXED = re.compile(r"(?<!\w)(?:0x)?(?:[0-9a-fA-F]{2}[ :]?){8,}(?!\w)")
PERCENT = re.compile(r"(?:%[0-9a-fA-F]{2}){1,}")
COMMON = frozenset(
    """
    the of and to in is you that it he was for on are as with his they at be this have from or one had by what how
    do we can an your which their if will about up out them then she many some so these would make like him into
    has two more write see could no way find use my than who its now people did get come made may i me not all
    were when tell give there want without someone steal kill build bomb hack weapon drug
    """.split()  # noqa: SIM905 - a hundred words read better so
)
FILLERS = "\u3164\u115f\u1160\uffa0\u20e3"  # of Hangul: letters by name, blanks by sight; the rim of a keycap
JOINERS = "\u200d\ufe0f"
PICTURES = {"So", "Sk"}
LETTERED = {first + at: chr(65 + at) for first in (0x1F150, 0x1F170) for at in range(26)}  # in dark circles, squares
SKIN = "\U0001f3fb\U0001f3fc\U0001f3fd\U0001f3fe\U0001f3ff"  # its colour in a picture
INSIDE = re.compile(r"(?<=[^\W\d_])[^\w\s]{1,6}(?=[^\W\d_])")
MOST = 20_000  # characters of a text that are looked at for encodings: what is longer is no riddle
SCARCE = 2  # common words that a decoded text must have


@dataclass(frozen=True)
class Reading:
    """A text with its disguises off, and the names of those that were found."""

    text: str
    found: tuple[str, ...]


def read(text: str) -> Reading:
    """Undo every disguise that is found, one after the other."""
    found = []
    for name, undo in UNDO.items():
        plain = undo(text)
        if plain != text:
            found.append(name)
            text = plain
    return Reading(text, tuple(found))


def without_invisible(text: str) -> str:
    """Drop characters that show nothing: zero-width, bidirectional, soft hyphens, tags, variation selectors.

    Those that join the parts of an emoji stay: without them it is another picture.
    """
    if text.isascii() and text.isprintable():
        return text
    kept: list[str] = []
    for c in text:
        hidden = c in FILLERS or VARIATION.match(c) or (not c.isspace() and unicodedata.category(c) in INVISIBLE)
        before = next((k for k in reversed(kept) if k not in JOINERS), "")
        if not hidden or (c in JOINERS and before and unicodedata.category(before) in PICTURES):
            kept.append(c)
    return "".join(kept)


def without_lookalikes(text: str) -> str:
    """Put Latin letters where others only look like them: in words of two scripts, in texts mostly Latin."""
    text = unicodedata.normalize("NFKC", text)
    foreign = sum(ord(c) in PLAIN for c in text)
    latin = sum(c in string.ascii_letters for c in text)
    mostly_latin = latin > foreign
    words = re.split(r"(\s+)", text)
    return "".join(word.translate(PLAIN) if mostly_latin or _mixed(word) else word for word in words)


def _mixed(word: str) -> bool:
    letters = [c for c in word if c.isalpha()]
    return any(c in string.ascii_letters for c in letters) and any(ord(c) in PLAIN for c in letters)


def without_marks(text: str) -> str:
    """Drop marks piled on Latin letters, two or more to a letter: ordinary accents stay."""
    decomposed = unicodedata.normalize("NFD", text)
    return unicodedata.normalize("NFC", re.sub(r"([A-Za-z])[\u0300-\u036f]{2,}", r"\1", decomposed))


def without_leetspeak(text: str) -> str:
    """Put letters where digits and signs stand for them: `h4ck` but not `mp3`, `5kg` or `10`."""
    return LEET_WORD.sub(lambda match: _unleet(match[0]), text)


def _unleet(word: str) -> str:
    letters = sum(c.isalpha() for c in word)
    return word if NO_LEET.match(word) or 3 * letters < len(word) else word.translate(LEET)


def without_spacing(text: str) -> str:
    """Join letters that stand apart: `h o w` and `h-o-w`, four or more in a row."""
    return SPACED.sub(lambda match: match[0].replace(match[1], ""), text)


def without_repeats(text: str) -> str:
    """Cut runs of three or more equal letters to two."""
    return REPEATED.sub(r"\1\1", text)


def decoded(text: str) -> str:
    """Decode base64 and hexadecimal parts that hold readable text."""
    if len(text) > MOST:
        return text
    text = HEXED.sub(lambda match: _from_hex(match[0]) or match[0], text)
    return ENCODED.sub(lambda match: _from_base64(match[0]) or match[0], text)


def _from_base64(part: str) -> str:
    try:
        return _readable(base64.b64decode(part + "=" * (-len(part) % 4), validate=True))
    except (binascii.Error, ValueError):
        return ""


def _from_hex(part: str) -> str:
    try:
        return _readable(bytes.fromhex(re.sub(r"0x|[ :]", "", part)))
    except ValueError:
        return ""


def _readable(content: bytes) -> str:
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError:
        return ""
    letters = sum(c.isalpha() or c.isspace() for c in text)
    return text if letters >= 0.8 * len(text) and text.isprintable() else ""


def unquoted(text: str) -> str:
    """Undo percent signs and character references."""
    return html.unescape(unquote(text, errors="ignore") if PERCENT.search(text) else text)


def without_pictures(text: str) -> str:
    """Read pictures of letters as letters, and drop others inside a word: those between words say something."""
    return text if text.isascii() else INSIDE.sub(_without_picture, text.translate(LETTERED))


def _without_picture(match: re.Match[str]) -> str:
    shown = (c for c in match[0] if c not in JOINERS and c not in SKIN)
    return "" if all(unicodedata.category(c) == "So" for c in shown) else match[0]


def turned(text: str) -> str:
    """Turn back what is written in rot13 or backwards, where that makes common words of it and it had none.

    All of it, or what stands behind the first colon: who writes so often says in plain words what to do with it.
    """
    if len(text) > MOST or not text.isascii():
        return text
    plain, colon, rest = text.partition(":")
    return max(plain + colon + _turned(rest), _turned(text), key=_common)


def _turned(text: str) -> str:
    have = _common(text)
    best = max((codecs.encode(text, "rot13"), text[::-1]), key=_common)
    return best if _common(best) >= max(SCARCE, 2 * have + 1) else text


def _common(text: str) -> int:
    return sum(word in COMMON for word in re.findall(r"[a-z]+", text.lower()))


UNDO: dict[str, Callable[[str], str]] = {
    "escapes": unquoted,
    "invisible": without_invisible,
    "pictures": without_pictures,
    "encoding": decoded,
    "look-alikes": without_lookalikes,
    "marks": without_marks,
    "spacing": without_spacing,
    "leetspeak": without_leetspeak,
    "repeats": without_repeats,
    "turned": turned,
}
