"""Small charts as inline SVG, made here: no script, and a table stands behind each."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

WIDTH, HEIGHT, LEFT, BOTTOM = 400, 150, 40, 22


@dataclass(frozen=True)
class Curve:
    """One metric over a job's progress."""

    title: str
    stage: str
    points: list[tuple[float, float]]
    unit: str = "step"

    @property
    def first(self) -> float:
        return self.points[0][0]

    @property
    def end(self) -> float:
        return self.points[-1][0]

    @property
    def low(self) -> float:
        return min(0.0, *(y for _, y in self.points))  # zero is where a reader expects the floor

    @property
    def high(self) -> float:
        return max(y for _, y in self.points) or 1.0

    @property
    def path(self) -> str:
        """The points of a polyline in the chart's own units."""
        width, height = max(self.end - self.first, 1e-9), max(self.high - self.low, 1e-9)
        return " ".join(
            f"{LEFT + (x - self.first) / width * (WIDTH - LEFT - 6):.1f},"
            f"{8 + (self.high - y) / height * (HEIGHT - BOTTOM - 8):.1f}"
            for x, y in self.points
        )

    @property
    def floor(self) -> int:
        return HEIGHT - BOTTOM

    @property
    def last(self) -> float:
        return self.points[-1][1]

    @property
    def some(self) -> list[tuple[float, float]]:
        """At most a dozen points, for the table."""
        return self.points[:: max(1, len(self.points) // 12)]


SPAN_WIDTH = 200  # of a coefficient's line, in the chart's own units
FIRM, TENTATIVE = 0.8, 0.667  # Krippendorff (2004): from here labels hold, below here nothing follows from them


@dataclass(frozen=True)
class Span:
    """A coefficient with its interval, drawn on a scale that a whole table shares; the figures stand beside it."""

    value: float | None
    low: float | None
    high: float | None
    floor: float = 0.0  # the scale's left end; its right end is 1

    @property
    def x(self) -> float | None:
        return self._place(self.value)

    @property
    def left(self) -> float | None:
        return self._place(self.low)

    @property
    def right(self) -> float | None:
        return self._place(self.high)

    @property
    def zero(self) -> float | None:
        return self._place(0.0)

    @property
    def firm(self) -> float | None:
        return self._place(FIRM)

    @property
    def verdict(self) -> str:
        """What Krippendorff's thresholds say of it, for the colour and its word."""
        if self.value is None:
            return ""
        return "firm" if self.value >= FIRM else "tentative" if self.value >= TENTATIVE else "weak"

    def _place(self, value: float | None) -> float | None:
        if value is None:
            return None
        return round(4 + (max(value, self.floor) - self.floor) / (1 - self.floor) * (SPAN_WIDTH - 8), 1)


def floor_of(figures: Iterable[Mapping[str, Any]]) -> float:
    """The left end of a scale that all these coefficients fit on: 0, or lower where one is."""
    lowest = min((low for one in figures if (low := _lowest(one)) is not None), default=0.0)
    return max(-1.0, min(0.0, lowest))


def _lowest(figure: Mapping[str, Any]) -> float | None:
    lowest: float | None = figure["value"] if figure["low"] is None else figure["low"]
    return lowest


def spans(figures: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The figures, each with its span on the scale that they share."""
    floor = floor_of(figures)
    return [{**one, "span": Span(one["value"], one["low"], one["high"], floor)} for one in figures]
