"""Contrast pairs against the guard: which of the catalogue's pairs it cannot tell apart."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pipeline import catalogue
from pipeline.catalogue import Pair
from pipeline.context import Refusals
from pipeline.records import SAFE, UNSAFE, Draft, Label
from pipeline.rewards.guard_error import error

STAGE = "contrast-pairs"


@dataclass(frozen=True, slots=True)
class Tried:
    """One pair and how wrong the guard is about each of its texts, 0 to 1; above a half is a mistake."""

    pair: Pair
    texts: Sequence[tuple[str, Label, float, float]]  # text, label, probability of unsafe, error

    @property
    def confused(self) -> bool:
        return any(wrong > 0.5 for _, _, _, wrong in self.texts)

    @property
    def wrong(self) -> float:
        return sum(wrong for _, _, _, wrong in self.texts)


def contrast(
    settings: Mapping[str, Any], known: Sequence[str], guard: Callable[[Sequence[str]], Sequence[float]],
    threshold: float,
) -> tuple[list[Draft], dict[str, Any]]:  # fmt: skip
    """Try one pair of every template of the catalogue, and return those that the guard confuses most, with figures.

    Both texts of a pair are brought, the one that the guard gets right too: mistakes alone would teach it that all
    which looks like them is of the other label. `settings.pairs` says how many at most, `settings.policy_categories`
    which topics are harm; texts that are `known` do not come again.
    """
    wanted = int(settings.get("pairs") or 0)
    policy = settings.get("policy_categories")
    only = None if policy is None else _allowed(catalogue.categories(policy), Refusals.of(settings))
    there = {_same(text) for text in known}
    drawn = [
        pair for pair in catalogue.pairs(int(settings.get("seed", 0)), only)
        if wanted and not there.intersection(_same(text) for text in (pair.unsafe, pair.safe) if text)
    ]  # fmt: skip
    tried = _try(drawn, guard, threshold)
    confused = sorted((one for one in tried if one.confused), key=lambda one: (-one.wrong, one.pair.family))
    brought = confused[:wanted]
    return [draft for one in brought for draft in _drafts(one, only or {})], _figures(tried, brought)


def _allowed(found: Mapping[str, str], refusals: Refusals) -> dict[str, str]:
    return {topic: category for topic, category in found.items() if refusals.may_have([category])}


def _same(text: str) -> str:
    return " ".join(text.casefold().split())


def _try(drawn: Sequence[Pair], guard: Callable[[Sequence[str]], Sequence[float]], threshold: float) -> list[Tried]:
    texts = [(text, label) for pair in drawn for text, label in ((pair.unsafe, UNSAFE), (pair.safe, SAFE)) if text]
    scored = iter(zip(texts, guard([text for text, _ in texts]) if texts else [], strict=True))
    return [
        Tried(pair, [
            (text, label, float(p), error(label, float(p), threshold))
            for (text, label), p in (next(scored) for _ in range(2 if pair.unsafe else 1))
        ])
        for pair in drawn
    ]  # fmt: skip


def _drafts(one: Tried, only: Mapping[str, str]) -> list[Draft]:
    category = only.get(one.pair.topic)
    return [
        Draft(
            text=text, label=label, categories=(category,) if category and label == UNSAFE else (), parent_id=None,
            family=one.pair.family, origin="template", stage=STAGE,
            settings={"topic": one.pair.topic, "template": one.pair.number}, prompt=catalogue.reference(),
            language=catalogue.LANGUAGE, scores={"reward": wrong, "guard": p},
        )
        for text, label, p, wrong in one.texts
    ]  # fmt: skip


def _figures(tried: Sequence[Tried], brought: Sequence[Tried]) -> dict[str, Any]:
    by_topic: dict[str, list[Tried]] = defaultdict(list)
    for one in tried:
        by_topic[one.pair.topic].append(one)
    names = {topic.key: topic.name for topic in catalogue.topics()}
    return {
        "tried": len(tried), "confused": sum(one.confused for one in tried), "brought": len(brought),
        "by_topic": [
            {"topic": topic, "name": names[topic], "tried": len(some), "confused": sum(one.confused for one in some)}
            for topic, some in by_topic.items()
        ],
    }  # fmt: skip
