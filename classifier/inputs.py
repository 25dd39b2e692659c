"""What a guard reads: turns of a talk as one text, long texts in windows, and every text with its disguises off.

Pure functions over text and token ids, and `worst`, which scores a text as it came and as it reads undisguised and
answers with the worse. Loads without torch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from classifier.obfuscation import read
from classifier.runfolder import ProgramError

Array = NDArray[np.float64]

ROLES = {"user": "User", "assistant": "Assistant", "system": "System", "tool": "Tool"}
MODES = ("prompt", "response", "pair")
LAST_TURNS = 6  # what went before is rarely what makes a text harmful, and costs time
MOST_WINDOWS = 16  # of one text: a megabyte takes 16 looks, not 2,000
MEAN_SHARE = 0.3  # of the mean over windows in a long text's score; the rest is the worst window's


# Turns


def conversation(turns: Sequence[Mapping[str, str]], last: int = LAST_TURNS) -> str:
    """The last turns `{"role", "content"}` of a talk as one text, each with its role before it.

    Raises:
        ProgramError: a turn without a known role or without text.
    """
    lines = []
    for number, turn in enumerate(turns, start=1):
        role, content = turn.get("role"), turn.get("content")
        if role not in ROLES or not isinstance(content, str):
            raise ProgramError(
                f"Turn {number} should have a role ({', '.join(ROLES)}) and its text as content.", "Correct the turn."
            )
        lines.append(f"{ROLES[role]}: {content}")
    return "\n\n".join(lines[-last:])


def compose(mode: str, prompt: str = "", response: str = "") -> str:
    """What the guard reads in a mode: the prompt, the response, or both with their roles.

    Raises:
        ProgramError: there is no such mode.
    """
    if mode not in MODES:
        raise ProgramError(f"There is no mode {mode!r}.", f"Use one of: {', '.join(MODES)}.")
    if mode == "pair":
        return conversation([{"role": "user", "content": prompt}, {"role": "assistant", "content": response}])
    return prompt if mode == "prompt" else response


# Windows


def windows(ids: Sequence[int], size: int, overlap: float, edges: tuple[int, int] = (1, 1)) -> list[list[int]]:
    """Cut token ids into windows of at most `size`, each beginning with the text's own first `edges[0]` special
    tokens and ending with its last `edges[1]`, so that every window looks like a whole text.

    `overlap` is the share of a window that the next one repeats. Of very many windows, MOST_WINDOWS are kept, evenly
    spread, the first and the last among them.
    """
    if len(ids) <= size:
        return [list(ids)]
    head, tail = list(ids[: edges[0]]), list(ids[len(ids) - edges[1] :])
    body = list(ids[edges[0] : len(ids) - edges[1]])
    room = max(1, size - len(head) - len(tail))
    stride = max(1, round(room * (1 - overlap)))
    starts = [*range(0, len(body) - room, stride), len(body) - room]
    if len(starts) > MOST_WINDOWS:
        starts = [starts[round(at * (len(starts) - 1) / (MOST_WINDOWS - 1))] for at in range(MOST_WINDOWS)]
    return [head + body[start : start + room] + tail for start in starts]


def pool(values: Array, owner: Sequence[int], count: int) -> Array:
    """One value a text from those of its windows: mostly the worst, a little the mean.

    `values` [windows] or [windows, k]; `owner` says whose each window is; returns [count] or [count, k]. The worst
    alone would let one odd window of a harmless book decide, the mean alone would drown one bad paragraph.
    """
    owners = np.asarray(owner, int)
    shape = (count, *values.shape[1:])
    worst_one, total = np.full(shape, -np.inf), np.zeros(shape)
    np.maximum.at(worst_one, owners, values)
    np.add.at(total, owners, values)
    windows_each = np.bincount(owners, minlength=count).reshape(-1, *[1] * (values.ndim - 1))
    return worst_one + MEAN_SHARE * (total / windows_each - worst_one)


# Disguises


class Scores(Protocol):
    """Anything that answers for texts with (unsafe [n], categories [n, k])."""

    def scores(self, texts: Sequence[str], progress: Any = None, /) -> tuple[Any, Any]: ...


@dataclass(frozen=True)
class Scored:
    """Scores of texts as they came, undisguised, and the worse of the two; each [n], categories [n, k]."""

    raw: Array
    undisguised: Array
    unsafe: Array
    categories: Array
    found: list[tuple[str, ...]]  # disguises, by name


def worst(scorer: Scores, texts: Sequence[str], progress: Any = None) -> Scored:
    """Score each text as it came and with its disguises off; only texts that wear one are scored twice."""
    readings = [read(text) for text in texts]
    raw, categories = scorer.scores(texts, progress) if progress else scorer.scores(texts)
    undisguised, both = raw.copy(), categories.copy()
    hidden = [at for at, reading in enumerate(readings) if reading.found]
    if hidden:
        undisguised[hidden], other = scorer.scores([readings[at].text for at in hidden])
        both[hidden] = np.maximum(both[hidden], other)
    return Scored(raw, undisguised, np.maximum(raw, undisguised), both, [reading.found for reading in readings])
