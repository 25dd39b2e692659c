"""Few-shot prompts: versioned JSON files of an instruction, shots, and the frame that each shot is set in.

A prompt is text to be continued, not a chat: small models follow examples far better than orders.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

FOLDER = Path(__file__).parent


@dataclass(frozen=True)
class PromptFile:
    """One version of one prompt."""

    name: str  # as paraphrase.v1
    digest: str  # of the file: two texts under one name cannot be taken for each other
    instruction: str
    given: str  # what stands before the text that is given
    wanted: str  # what stands before the text that is wanted
    shots: tuple[tuple[str, str], ...]

    def render(self, text: str) -> str:
        """The prompt for a text, broken off where the answer begins."""
        done = "".join(f"{self.given}: {given}\n{self.wanted}: {wanted}\n\n" for given, wanted in self.shots)
        return f"{self.instruction}\n\n{done}{self.given}: {one_line(text)}\n{self.wanted}:"

    def reversed(self) -> PromptFile:
        """The same shots the other way round: what was wanted is given."""
        shots = tuple((wanted, given) for given, wanted in self.shots)
        return replace(self, given=self.wanted, wanted=self.given, shots=shots)

    @property
    def reference(self) -> str:
        """How the lineage of an example names this prompt."""
        return f"{self.name}@{self.digest[:12]}"


def one_line(text: str) -> str:
    """White space folded: a line break would end the shot."""
    return " ".join(text.split())


@lru_cache
def load(name: str) -> PromptFile:
    """Read a prompt by name and version, such as `paraphrase.v1`."""
    raw = (FOLDER / f"{name}.json").read_bytes()
    body = json.loads(raw)
    return PromptFile(
        name=name, digest=hashlib.sha256(raw).hexdigest(), instruction=body["instruction"], given=body["given"],
        wanted=body["wanted"], shots=tuple((given, wanted) for given, wanted in body["shots"]),
    )  # fmt: skip
