"""Small curves as inline SVG, made here: no script, and a table stands behind each."""

from __future__ import annotations

from dataclasses import dataclass

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
