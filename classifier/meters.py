"""What Prometheus may know of the serving program: counts and times, by guard and address; never a word of a text."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily, Metric
from prometheus_client.registry import Collector

if TYPE_CHECKING:
    from classifier.hosting import Shelf

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
PATHS = {
    "/score",
    "/v1/moderations",
    "/embed",
    "/healthz",
    "/metrics",
    "/reload",
}  # any other would be the caller's own words


class Meters:
    """The meters of one server, in a registry of their own."""

    def __init__(self, shelf: Shelf) -> None:
        self._registry = CollectorRegistry()
        self._requests = Counter("guard_requests", "Requests answered", ["path", "status"], registry=self._registry)
        self._seconds = Histogram(
            "guard_request_seconds", "From request to answer", ["path"], buckets=SECONDS, registry=self._registry
        )
        self.texts = Counter("guard_texts", "Texts that were taken for scoring", ["model"], registry=self._registry)
        self._registry.register(_OfShelf(shelf))

    def note(self, path: str, status: int, seconds: float) -> None:
        """Count an answer."""
        known = path if path in PATHS else "other"
        self._requests.labels(known, status).inc()
        self._seconds.labels(known).observe(seconds)

    def text(self) -> bytes:
        """All meters in Prometheus' text format."""
        return generate_latest(self._registry)


class _OfShelf(Collector):
    """What the shelf knows at the moment of asking."""

    def __init__(self, shelf: Shelf) -> None:
        self._shelf = shelf

    def collect(self) -> Iterator[Metric]:
        depth = GaugeMetricFamily("guard_queue_texts", "Texts that wait for their turn", labels=["model"])
        turns = CounterMetricFamily("guard_turns", "Batches scored", labels=["model"])
        info = InfoMetricFamily("guard_model", "Guards that answer", labels=["model"])
        for hosted in self._shelf:
            depth.add_metric([hosted.name], hosted.batcher.depth)
            turns.add_metric([hosted.name], hosted.batcher.turns)
            about = {key: str(value) for key, value in hosted.about.items() if key in ("digest", "backend")}
            info.add_metric([hosted.name], about)
        yield depth
        yield turns
        yield info
        yield CounterMetricFamily("guard_swaps", "Guards that took another's place", value=self._shelf.swaps)
        yield GaugeMetricFamily("guard_load_failures", "Guards that do not load", value=len(self._shelf.failures))
