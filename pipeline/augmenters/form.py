from __future__ import annotations

import json
import random
import re
from collections.abc import Callable
from dataclasses import dataclass

from pipeline.augmenters import Rule, augmenters, closed, listed

ASKED = re.compile(r"^(?:please |can you |could you )?(?:how (?:do|can|could|would|should) (?:i|we|you|one)|how to)\s+")


def question(text: str, chance: random.Random) -> str:
    """A command or a remark as a question."""
    start = chance.choice(("Could you help me with this:", "What would you answer to this:", "Any idea about this:"))
    return f"{start} {text.rstrip('.!?')}?"


def command(text: str, chance: random.Random) -> str:
    """A question as a command."""
    asked = ASKED.sub("", text[0].lower() + text[1:])
    verb = chance.choice(("Explain how to", "Tell me how to", "Describe how to"))
    return f"{verb} {asked.rstrip('.?!')}." if asked.lower() != text.lower() else f"Help me with this one: {text}"


def remark(text: str, chance: random.Random) -> str:
    """What somebody says by the way."""
    start = chance.choice(("I keep thinking about this:", "So what I have in mind is this:", "Just saying:"))
    return f"{start} {text}"


def role_play(text: str, chance: random.Random) -> str:
    """A line in a play."""
    who = chance.choice(("a retired sailor", "an old friend of mine", "a character in my novel", "a game master"))
    return f"Play {who} and stay in that role. I say to you: {closed(text)} What do you answer?"


def data(text: str, chance: random.Random) -> str:
    """A record or a comment in a program."""
    if chance.random() < 0.5:
        return json.dumps({"id": chance.randint(1, 900), "task": "answer", "input": text}, ensure_ascii=False)
    return f"# TODO: answer the question below\nquestion = {text!r}\nprint(answer(question))"


FORMS: dict[str, Callable[[str, random.Random], str]] = {
    "question": question, "command": command, "remark": remark, "role-play": role_play, "data": data,
}  # fmt: skip


@augmenters.register("form")
@dataclass(frozen=True)
class Form(Rule):
    """Say it as a question, a command, a remark, a line in a play, or as data; label kept. Needs no model."""

    forms: str = ", ".join(FORMS)  # one of these for each text

    def __post_init__(self) -> None:
        if strange := [name for name in listed(self.forms) if name not in FORMS]:
            raise ValueError(f"there is no form {strange[0]!r}; there are: {', '.join(FORMS)}")

    def rewrite(self, text: str, chance: random.Random) -> str | None:
        return FORMS[chance.choice(listed(self.forms))](text, chance)
