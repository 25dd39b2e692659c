"""Texts that are nearly the same belong together: a split that parts them measures memory, not judgement."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from classifier.normalize import words

LIKENESS = 0.7  # Jaccard over word pairs, by MinHash
PERMUTATIONS = 64


def families(texts: Sequence[str]) -> list[int]:
    """A number for each text, the same for texts that are alike or linked by a chain of likeness [n]."""
    from rensa import RMinHash, RMinHashLSH

    index = RMinHashLSH(LIKENESS, PERMUTATIONS, PERMUTATIONS // 4)
    parent = list(range(len(texts)))
    for number, text in enumerate(texts):
        signature = RMinHash(num_perm=PERMUTATIONS, seed=1)
        signature.update(_shingles(text))
        for other in index.query(signature):
            parent[_root(parent, other)] = _root(parent, number)
        index.insert(number, signature)
    return [_root(parent, number) for number in range(len(texts))]


def _shingles(text: str) -> list[str]:
    found = words(text)
    return sorted({" ".join(found[at : at + 2]) for at in range(max(1, len(found) - 1))})


def _root(parent: list[int], one: int) -> int:
    while parent[one] != one:
        parent[one] = parent[parent[one]]
        one = parent[one]
    return one


def hold_out(rows: Sequence[Mapping[str, Any]], share: float, seed: int = 0) -> list[bool]:
    """Whether each row is held out: `share` of every source and label, families never parted [n]."""
    family = families([row["text"] for row in rows])
    members: dict[int, list[int]] = defaultdict(list)
    for number, one in enumerate(family):
        members[one].append(number)
    strata: dict[tuple[str, str], list[list[int]]] = defaultdict(list)
    for group in members.values():
        first = rows[group[0]]
        strata[(str(first.get("source")), first["label"])].append(group)
    held = [False] * len(rows)
    for key in sorted(strata):
        wanted = share * sum(map(len, strata[key]))
        random.Random(f"{seed}:{key}").shuffle(strata[key])
        for group in sorted(strata[key], key=len):  # a huge family would be the whole split
            if wanted <= 0:
                break
            wanted -= len(group)
            for number in group:
                held[number] = True
    return held
