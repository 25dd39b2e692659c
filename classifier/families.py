"""Texts that are nearly the same belong together: a split that parts them measures memory, not judgement."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from classifier.normalize import words
from classifier.targets import family_of

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
    held = [False] * len(rows)
    for groups in _strata(rows, seed):
        wanted = share * sum(map(len, groups))
        for group in sorted(groups, key=len):  # a huge family would be the whole split
            if wanted <= 0:
                break
            wanted -= len(group)
            for number in group:
                held[number] = True
    return held


def dealt(rows: Sequence[Mapping[str, Any]], folds: int, seed: int = 0) -> list[int]:
    """The fold of each row, 0 to `folds` - 1: as many of every source and label in each, families never parted [n]."""
    fold = [0] * len(rows)
    sizes = [0] * folds
    for groups in _strata(rows, seed):
        for group in sorted(groups, key=len, reverse=True):  # the small ones level what the huge ones left uneven
            smallest = sizes.index(min(sizes))
            sizes[smallest] += len(group)
            for number in group:
                fold[number] = smallest
    return fold


def _strata(rows: Sequence[Mapping[str, Any]], seed: int) -> list[list[list[int]]]:
    """The families of each source and label, shuffled: texts that are alike, or that share their row's family."""
    alike = families([row["text"] for row in rows])
    parent = list(range(len(rows)))
    first: dict[int | str, int] = {}
    for number, row in enumerate(rows):
        for known in (alike[number], family_of(row)):
            if known != "":
                parent[_root(parent, number)] = _root(parent, first.setdefault(known, number))
    members: dict[int, list[int]] = defaultdict(list)
    for number in range(len(rows)):
        members[_root(parent, number)].append(number)
    strata: dict[tuple[str, str], list[list[int]]] = defaultdict(list)
    for group in members.values():
        one = rows[group[0]]
        strata[(str(one.get("source")), one["label"])].append(group)
    for key in sorted(strata):
        random.Random(f"{seed}:{key}").shuffle(strata[key])
    return [strata[key] for key in sorted(strata)]
