"""Requests that fit the OpenAPI document, and many that do not: none of them is the site's fault."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, given
from hypothesis import settings as bounded

from classifier.artifacts import digest_file
from curation.models import Guard, Job, Round
from curation.operations import keys, serving
from tests.factories import make_project
from tests.guards import make_guard
from tests.guards import serving as started

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.processes]
EXAMPLES = 25  # of each operation and kind: a bounded look


@pytest.fixture
def secret(settings: Any, tmp_path: Path) -> Any:
    """A key of a project whose guard is served."""
    project, folder = make_project(), make_guard(tmp_path / "guard")
    round = Round.objects.create(project=project, number=1, state="closed")
    job = Job.objects.create(kind="train", project=project, round=round, state="done", dedupe_key="train")
    settings.ARTIFACTS_DIR = Path("/")
    Guard.objects.create(
        project=project, round=round, job=job, number=1, digest=digest_file(folder / "MANIFEST.json"), state="active",
        path=str(folder.relative_to("/")), dataset_digest="e" * 64, dataset_rows=1, base_digest="b" * 64,
    )  # fmt: skip
    with started(tmp_path) as server:
        settings.GUARD_URL, settings.GUARDS_FILE = server.url, server.names
        serving.publish()
        server.wait_for(project.slug)
        yield keys.make(project, None, "tests", 1_000_000)[1]


def answered(operation: Any, mode: Any, url: str, secret: str) -> set[int]:
    """Send requests of a kind to one operation; return the statuses, none of which may be a failure."""
    seen = set()

    @bounded(
        max_examples=EXAMPLES, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck)
    )  # fmt: skip
    @given(case=operation.as_strategy(generation_mode=mode))
    def every(case: Any) -> None:
        response = case.call(base_url=url, headers={"Authorization": f"Bearer {secret}"})
        seen.add(response.status_code)
        assert response.status_code < 500, response.text

    every()
    return seen


@pytest.mark.parametrize("fitting", [True, False], ids=["requests that fit", "requests that do not"])
def test_no_request_makes_the_site_fail(live_server: Any, secret: str, fitting: bool) -> None:
    schema = schemathesis.openapi.from_url(f"{live_server.url}/v1/openapi.json")
    mode = schemathesis.GenerationMode.POSITIVE if fitting else schemathesis.GenerationMode.NEGATIVE
    statuses: dict[str, set[int]] = {}

    for found in schema.get_all_operations():
        operation = found.ok()
        if fitting or operation.method.upper() != "GET":  # a GET takes nothing that could be wrong
            statuses[operation.label] = answered(operation, mode, live_server.url, secret)

    assert len(statuses) == (3 if fitting else 2)
    assert all(200 in seen for seen in statuses.values()) or not fitting
    assert all(seen & {400, 401, 405, 415} for seen in statuses.values()) or fitting


def test_the_document_names_every_address_and_every_answer(live_server: Any) -> None:
    document = httpx.get(f"{live_server.url}/v1/openapi.json").json()

    assert set(document["paths"]) == {"/v1/moderations", "/v1/decisions", "/v1/models"}
    for path in ("/v1/moderations", "/v1/decisions"):
        post = document["paths"][path]["post"]
        assert {"200", "400", "401", "404", "413", "429", "503"} <= set(post["responses"])
        assert post["requestBody"]["content"]["application/json"]["schema"]["required"] == ["input"]
