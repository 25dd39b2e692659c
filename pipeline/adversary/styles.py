"""What kind of utterance a text is, by rules of thumb: coarse, the same everywhere, and no model is asked."""

from __future__ import annotations

import re


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


ASKS = _words("""
    who whom whose what which when where why how can could would will shall should may might must is are am was were
    do does did has have any what's who's where's how's isn't aren't don't doesn't didn't can't couldn't won't
""")
ORDERS = _words("""
    add answer calculate check compare compose continue convert create define describe design draft draw explain
    find finish fix generate give go help imagine invent let list look make name outline play please prepare pretend
    produce rank read recommend rewrite say send show sketch solve suggest summarise summarize take teach tell think
    translate try turn use walk write
""")
SELF = _words("i me my mine myself we us our i'm i've i'd i'll we're we've we'd we'll")
WORD = re.compile(r"[^\W\d_]+(?:['\u2019][^\W\d_]+)*")
STYLES = ("question", "command", "talk", "remark")
LENGTHS = ("short", "middle", "long")


def style(text: str) -> str:
    """Return one of `STYLES`; the first that fits.

    A question ends with its mark or begins as one. A command begins with a verb that asks for work, after "please" or
    not. Talk is of the one who speaks. All else is a remark. English words only: other languages have questions and
    remarks.

    >>> [style(text) for text in ("how late is it", "Please list them.", "My bike is gone", "Bikes are slow")]
    ['question', 'command', 'talk', 'remark']
    """
    words = [word.casefold().replace("\u2019", "'") for word in WORD.findall(text)]
    first = words[0] if words else ""
    if text.rstrip(" \"'\u201d)").endswith(("?", "\uff1f", "\u061f")) or first in ASKS:
        return "question"
    if first in ORDERS:
        return "command"
    return "talk" if SELF.intersection(words) else "remark"


def length(text: str, short: int, long: int) -> str:
    """Return one of `LENGTHS`: short up to so many words, long from so many on."""
    words = len(text.split())
    return "short" if words <= short else "long" if words >= long else "middle"
