from __future__ import annotations

import io
import logging
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import orjson
import pytest
from django.core.cache import cache
from django.db import connection
from django.test import Client
from prometheus_client.parser import text_string_to_metric_families
from pythonjsonlogger.json import JsonFormatter
from redis.exceptions import ConnectionError

from curation import logs
from curation.models import Job, Project
from curation.operations import health, queue, reviews
from tests.factories import make_example, make_member, make_project

pytestmark = pytest.mark.django_db
TOKEN = "a token of the tests"
AWAY = {"default": {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": "unix:///nowhere/redis.sock"}}


@pytest.fixture(autouse=True)
def _looked_at_anew() -> Iterator[None]:
    cache.delete("losses")
    yield
    with suppress(ConnectionError):  # of the test that has no Redis
        cache.delete("losses")


# Ready


def test_a_site_that_has_all_it_needs_is_ready(client: Client) -> None:
    answer = client.get("/readyz")

    assert (answer.status_code, answer.json()) == (200, {"database": "ok", "migrations": "ok", "redis": "ok"})


def test_a_migration_that_is_missing_is_told_with_what_to_do(client: Client) -> None:
    with connection.cursor() as cursor:
        newest = "SELECT max(name) FROM django_migrations WHERE app = 'curation'"
        cursor.execute(f"DELETE FROM django_migrations WHERE app = 'curation' AND name = ({newest})")

    answer = client.get("/readyz")

    assert answer.status_code == 503
    assert "manage.py migrate" in answer.json()["migrations"]


def test_a_redis_that_is_away_is_named_without_its_address(client: Client, settings: Any) -> None:
    settings.CACHES = AWAY

    answer = client.get("/readyz")

    assert answer.status_code == 503
    assert answer.json() == {"database": "ok", "migrations": "ok", "redis": "does not answer"}


# Meters


def scraped(client: Client) -> dict[tuple[str, ...], float]:
    answer = client.get("/metrics", headers={"authorization": f"Bearer {TOKEN}"})
    assert answer.status_code == 200
    families = text_string_to_metric_families(answer.content.decode())
    return {(one.name, *one.labels.values()): one.value for family in families for one in family.samples}


def test_without_a_token_in_the_settings_there_are_no_meters(client: Client, settings: Any) -> None:
    settings.METRICS_TOKEN = ""

    assert client.get("/metrics", headers={"authorization": "Bearer "}).status_code == 404


@pytest.mark.parametrize("given", ["", "Bearer another", TOKEN[:-1]])
def test_another_token_gets_nothing(given: str, client: Client, settings: Any) -> None:
    settings.METRICS_TOKEN = TOKEN

    answer = client.get("/metrics", headers={"authorization": given})

    assert (answer.status_code, answer.content) == (401, b"")


def test_what_waits_and_who_holds_it_is_told_without_a_word_or_a_name(
    client: Client, settings: Any, project: Project
) -> None:
    settings.METRICS_TOKEN = TOKEN
    ana = make_member(project, "annotator", "ana-who-reviews")
    first, *_ = [make_example(project, text=f"a very particular remark {n}", priority=9 - n) for n in range(5)]
    queue.claim(project, ana, 3)
    reviews.judge(first, ana, "accept")
    Job.objects.enqueue(Job.Kind.TRAIN, project)
    with connection.cursor() as cursor:
        cursor.execute("UPDATE curation_job SET created_at = now() - interval '90 seconds'")
        cursor.execute("UPDATE curation_example SET created_at = now() - interval '1 hour'")

    found = scraped(client)

    assert found["whetstone_waiting", project.slug] == 4
    assert found["whetstone_waiting_seconds", project.slug] == pytest.approx(3600, abs=60)
    assert found["whetstone_leases", project.slug] == 2
    assert found["whetstone_verdicts_5m",] == 1
    assert found["whetstone_jobs", "train", "queued"] == 1
    assert found["whetstone_job_wait_seconds", "compute"] == pytest.approx(90, abs=30)
    assert found["whetstone_job_wait_seconds", "default"] == 0
    assert found["whetstone_guard_up",] == 0
    text = client.get("/metrics", headers={"authorization": f"Bearer {TOKEN}"}).content.decode()
    assert "particular" not in text
    assert "ana-who-reviews" not in text


# What a crash would lose


@pytest.fixture
def project() -> Project:
    return make_project()


def test_a_database_that_forgets_is_a_warning_to_leads_alone(client: Client, project: Project) -> None:
    lead, ana = make_member(project, "lead"), make_member(project, "annotator")
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL synchronous_commit = off")

    client.force_login(lead)
    assert "synchronous_commit = off" in client.get(f"/p/{project.slug}/").content.decode()
    client.force_login(ana)
    assert "synchronous_commit" not in client.get(f"/p/{project.slug}/").content.decode()


def test_artifacts_in_memory_are_named_with_what_to_do(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.ARTIFACTS_DIR = Path("/dev/shm/artifacts")
    monkeypatch.setattr(health, "file_system", lambda folder: {"/dev/shm/artifacts": "tmpfs"}[str(folder)])

    (said,) = health.losses()

    assert "/dev/shm/artifacts is on tmpfs" in said
    assert "disk" in said


def test_a_folder_is_on_the_file_system_that_is_mounted_nearest(monkeypatch: pytest.MonkeyPatch) -> None:
    class Mount:
        def __init__(self, mountpoint: str, fstype: str) -> None:
            self.mountpoint, self.fstype = mountpoint, fstype

    mounts = [Mount("/", "ext4"), Mount("/data", "xfs"), Mount("/data/fast", "tmpfs"), Mount("/data/fastest", "zfs")]
    monkeypatch.setattr(health.psutil, "disk_partitions", lambda all: mounts)

    kinds = [health.file_system(Path(one)) for one in ("/srv", "/data/a", "/data/fast/a", "/data/fastest")]

    assert kinds == ["ext4", "xfs", "tmpfs", "zfs"]


def test_what_the_tests_run_on_keeps_what_it_is_told() -> None:
    with connection.cursor() as cursor:
        cursor.execute(health.DURABLE)
        assert cursor.fetchone()[2] != "off"


# Logs


def test_a_request_leaves_its_route_and_not_its_address(client: Client, project: Project, settings: Any) -> None:
    out = io.StringIO()
    handler = logging.StreamHandler(out)
    about = settings.LOGGING["formatters"]["json"]
    handler.setFormatter(JsonFormatter(about["format"], rename_fields=about["rename_fields"]))
    handler.addFilter(logs.WithRequest())
    before = logs.logger.level
    logs.logger.addHandler(handler)
    logs.logger.setLevel(logging.INFO)
    try:
        client.force_login(make_member(project, "lead"))
        client.get(f"/p/{project.slug}/examples/?q=a+very+private+remark", headers={"x-request-id": "from-a-proxy-1"})
    finally:
        logs.logger.removeHandler(handler)
        logs.logger.setLevel(before)

    said = orjson.loads(out.getvalue())
    assert said["request_id"] == "from-a-proxy-1"
    assert (said["method"], said["status"], said["level"]) == ("GET", 200, "INFO")
    assert said["route"] == "p/<slug:slug>/examples/"
    assert "private" not in out.getvalue()


@pytest.mark.parametrize("given", ["", "short", "a remark with spaces", "x" * 65, "tab\there"])
def test_a_request_without_a_usable_id_gets_one(given: str, client: Client) -> None:
    answer = client.get("/healthz", headers={"x-request-id": given})

    assert len(answer["X-Request-ID"]) == 32
    assert answer["X-Request-ID"] != client.get("/healthz")["X-Request-ID"]
