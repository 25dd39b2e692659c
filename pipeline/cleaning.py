"""From what a generator wrote to one message, or to nothing: what is doubtful is thrown away, never repaired."""

from __future__ import annotations

import re

from pipeline.context import is_forbidden_text

SHORTEST, LONGEST = 8, 400  # characters of a message worth reviewing
PREAMBLE = re.compile(r"^(sure|certainly|of course|okay|ok|here(?:'s| is| are))\b[^:.!?]{0,60}[:.!]\s*", re.IGNORECASE)
FRAME = re.compile(
    r"^(message|same message|rewrite|rewritten|answer|response|output|original)\b[^:]{0,30}:\s*", re.IGNORECASE
)
REFUSAL = re.compile(
    r"\b(i'?m sorry|i am sorry|i apologi[sz]e|i (?:can(?:no|')t|can ?not|am unable to|won'?t) "
    r"(?:help|assist|provide|do that|comply|fulfil)|as an ai|language model|not able to (?:help|assist))",
    re.IGNORECASE,
)
QUOTES = "\"'\u201c\u201d\u2018\u2019\u00ab\u00bb`"


def clean(answer: str) -> str | None:
    """Return the one message in an answer; None for a refusal, a leftover of the prompt, or a length out of bounds."""
    line = next((part.strip() for part in answer.splitlines() if part.strip()), "")
    line = FRAME.sub("", PREAMBLE.sub("", line)).strip()
    line = _unquoted(line)
    if is_refusal(line) or FRAME.search(line) or is_forbidden_text(line):
        return None
    return line if SHORTEST <= len(line) <= LONGEST else None


def is_refusal(answer: str) -> bool:
    """Whether an answer says that it would rather not."""
    return bool(REFUSAL.search(answer.replace("\u2019", "'")))


def _unquoted(line: str) -> str:
    """Without quotation marks around the whole."""
    if len(line) > 1 and line[0] in QUOTES and line[-1] in QUOTES:
        return line[1:-1].strip()
    return line
