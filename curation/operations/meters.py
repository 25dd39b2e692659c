"""What Prometheus may know of the site. All of it is asked of the database when it is scraped, so that any web process
gives the same answer; never a word of a text, never a person's name.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
from django.conf import settings
from django.db import connection
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from curation.models import Job
from curation.operations import jobs, moderation

PATIENCE = 1.0  # seconds for the serving program's own meters
CAPPED = 10_000  # waiting examples and late verdicts are counted so far: a scrape must not read a whole table
JOBS = """
SELECT kind, state, count(*), coalesce(extract(epoch FROM statement_timestamp() - min(created_at)), 0)::float8
FROM curation_job WHERE state IN ('queued', 'running', 'paused', 'failed', 'dead') GROUP BY 1, 2
"""
QUEUES = """
SELECT p.slug,
    (SELECT count(*) FROM (SELECT FROM curation_example e
        WHERE e.project_id = p.id AND e.state = 'queued' AND NOT e.reserved LIMIT %(capped)s) waiting),
    (SELECT extract(epoch FROM statement_timestamp() - e.created_at) FROM curation_example e
        WHERE e.project_id = p.id AND e.state = 'queued' AND NOT e.reserved ORDER BY e.id LIMIT 1)::float8,
    (SELECT count(*) FROM curation_lease l
        WHERE l.project_id = p.id AND l.closed_at IS NULL AND l.expires_at > statement_timestamp())
FROM curation_project p ORDER BY 1
"""
# The newest come first, so what happened lately is read without an index on the time.
VERDICTS = """
SELECT count(*) FROM (
    SELECT created_at FROM curation_verdict WHERE maker = 'person' ORDER BY id DESC LIMIT %(capped)s
) newest WHERE created_at > statement_timestamp() - interval '5 minutes'
"""
ROUNDS = "SELECT state, count(*) FROM curation_round WHERE state <> 'draft' GROUP BY 1"


def text() -> bytes:
    """All meters in Prometheus' text format, those of the guards' serving program after ours where it answers."""
    registry = CollectorRegistry()
    registry.register(_OfDatabase())
    return generate_latest(registry) + _of_guards()


def _of_guards() -> bytes:
    try:
        answer = moderation.client(settings.GUARD_URL).get("/metrics", timeout=PATIENCE)
    except httpx.HTTPError:
        return b""
    return answer.content if answer.status_code == httpx.codes.OK else b""


class _OfDatabase(Collector):
    def collect(self) -> Iterator[Metric]:
        yield from self._jobs()
        yield from self._queues()
        yield _gauge("whetstone_workers_alive", "1 while any worker shows itself", float(jobs.workers_alive()))
        yield _gauge("whetstone_guard_up", "1 while the serving program answers", float(moderation.is_up()))
        (verdicts,) = _rows(VERDICTS)[0]
        yield _gauge("whetstone_verdicts_5m", f"People's verdicts of five minutes, up to {CAPPED}", float(verdicts))
        rounds = GaugeMetricFamily("whetstone_rounds", "Rounds by state", labels=["state"])
        for state, count in _rows(ROUNDS):
            rounds.add_metric([state], count)
        yield rounds

    def _jobs(self) -> Iterator[Metric]:
        states = GaugeMetricFamily(
            "whetstone_jobs", "Jobs that are not done, by kind and state", labels=["kind", "state"]
        )
        oldest = GaugeMetricFamily("whetstone_job_wait_seconds", "Age of the oldest waiting job", labels=["queue"])
        waits = {"compute": 0.0, "default": 0.0}
        for kind, state, count, age in _rows(JOBS):
            states.add_metric([kind, state], count)
            if state == Job.State.QUEUED:
                queue = Job(kind=kind).queue
                waits[queue] = max(waits[queue], age)
        for queue, age in waits.items():
            oldest.add_metric([queue], age)
        yield states
        yield oldest

    def _queues(self) -> Iterator[Metric]:
        waiting = GaugeMetricFamily(
            "whetstone_waiting", f"Examples that wait for people, up to {CAPPED}", labels=["project"]
        )
        oldest = GaugeMetricFamily("whetstone_waiting_seconds", "Age of the oldest of them", labels=["project"])
        leases = GaugeMetricFamily("whetstone_leases", "Examples that people hold", labels=["project"])
        for slug, count, age, held in _rows(QUEUES):
            waiting.add_metric([slug], count)
            oldest.add_metric([slug], age or 0.0)
            leases.add_metric([slug], held)
        yield waiting
        yield oldest
        yield leases


def _gauge(name: str, help_text: str, value: float) -> Metric:
    return GaugeMetricFamily(name, help_text, value=value)


def _rows(statement: str) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(statement, {"capped": CAPPED})
        return list(cursor.fetchall())
