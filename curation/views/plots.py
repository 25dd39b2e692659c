"""Charts that the browser draws from a few numbers in the page; a table with the same numbers stands behind each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from curation.operations import curves
from curation.operations.scored import Scored

TABLED = 25  # rows of the table behind a curve
TONES = ("running", "review", "machine", "safe")


@dataclass(frozen=True)
class Plot:
    """What `charts.js` reads, and the table behind it."""

    question: str
    spec: dict[str, Any]
    headers: tuple[str, ...]
    rows: list[tuple[Any, ...]]
    note: str = ""


def _series(name: str, points: Sequence[tuple[float, float]], tone: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "tone": tone, "points": [[round(x, 5), round(y, 5)] for x, y in points], **more}


def _axis(name: str, low: float | None = 0, high: float | None = 1, percent: bool = True) -> dict[str, Any]:
    return {"name": name, "min": low, "max": high, "percent": percent}


def lines(
    question: str, series: Sequence[dict[str, Any]], x: dict[str, Any], y: dict[str, Any], note: str = ""
) -> Plot:
    """Curves over one pair of axes."""
    rows = [
        (one["name"], px, py)
        for one in series
        if not one.get("helper")
        for px, py in one["points"][:: max(1, len(one["points"]) // TABLED)]
    ]
    spec = {"kind": "lines", "label": question, "x": x, "y": y, "series": list(series)}
    return Plot(question, spec, ("Curve", x["name"], y["name"]), rows, note)


def of_guards(measured: Sequence[Scored]) -> list[Plot]:
    """The three curves that say how a guard ranks, what it costs at low rates, and whether it means what it says."""
    tones = list(zip(measured, TONES, strict=False))
    ranked = [_series(str(one.guard), curves.precision_recall(one.scores, one.labels), tone) for one, tone in tones]
    low = [_series(str(one.guard), curves.roc(one.scores, one.labels, 0.1), tone) for one, tone in tones]
    honest = [_bands(one, tone) for one, tone in tones]
    ideal = _series("as it says", [(0, 0), (1, 1)], "ink-soft", helper=True)
    return [
        lines("How much harm for how much precision?", ranked, _axis("Harm found"), _axis("Precision")),
        lines("How much harm at few false alarms?", low, _axis("Harmless blocked", 0, 0.1), _axis("Harm found")),
        lines("Does a score mean what it says?", [*honest, ideal], _axis("Score"), _axis("Share that is unsafe")),
    ]  # fmt: skip


def _bands(one: Scored, tone: str) -> dict[str, Any]:
    bands = curves.reliability(one.scores, one.labels)
    spans = [[band["mean"], *band["share"].span] for band in bands]
    return _series(
        str(one.guard), [(band["mean"], band["share"].value) for band in bands], tone, dots=True, spans=spans
    )


def history(question: str, metric: str, points: Sequence[tuple[float, float]], tone: str) -> Plot:
    """One metric of a job over its steps."""
    series = [_series(metric, onward(points), tone)]
    low = 0 if all(y >= 0 for _, y in points) else None
    return lines(question, series, _axis("Step", None, None, False), _axis(metric, low, None, False))


def onward(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """The points of a job, with steps that only go up.

    A phase of a program counts from one again: it goes on after the phase before. An attempt that went on from a
    checkpoint did some steps again: the newer ones stand.
    """
    found: list[tuple[float, float]] = []
    past = 0.0
    for at, value in points:
        if found and past + at <= found[-1][0]:
            if at <= 1:
                past = found[-1][0]
            else:
                found = [point for point in found if point[0] < past + at]
        found.append((past + at, value))
    return found


def flow(question: str, nodes: Sequence[tuple[str, int, str]], links: Sequence[tuple[str, str, int]]) -> Plot:
    """Where things went: what flowed from which stage to which."""
    kept = [(a, b, count) for a, b, count in links if count]
    named = {name for a, b, _ in kept for name in (a, b)}
    spec = {
        "kind": "flow", "label": question,
        "nodes": [{"name": name, "value": count, "tone": tone} for name, count, tone in nodes if name in named],
        "links": [{"source": a, "target": b, "value": count} for a, b, count in kept],
    }  # fmt: skip
    return Plot(question, spec, ("From", "To", "Examples"), list(kept))
