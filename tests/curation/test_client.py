"""The Python client against a site that answers over HTTP, and against a network that does not behave."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from curation.models import Project, Release, Verdict
from curation.operations import jobs, releases
from tests.factories import make_example, make_member, make_project, make_seeds, make_token
from tests.processes import ROOT

CLIENT = ROOT / "clients" / "python"
sys.path.insert(0, str(CLIENT))
import whetstone_client  # noqa: E402 - found where it lies, as nobody has installed it
from whetstone_client import Refused, Unreachable, Whetstone  # noqa: E402

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def project() -> Project:
    return make_project()


@pytest.fixture
def release(project: Project, settings: Any, tmp_path: Path) -> Release:
    settings.ARTIFACTS_DIR = tmp_path / "artifacts"
    make_seeds(project, 12)
    made = releases.start(project, None)
    jobs.work(made.jobs.get().pk)
    made.refresh_from_db()
    return made


@pytest.fixture(autouse=True)
def naps(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How long the client would have waited."""
    found: list[float] = []
    monkeypatch.setattr(whetstone_client.time, "sleep", found.append)
    return found


def example(name: str, *arguments: str, **environment: str) -> str:
    done = subprocess.run(
        [sys.executable, str(CLIENT / "examples" / name), *arguments], capture_output=True, text=True, check=False,
        env={**os.environ, "PYTHONPATH": str(CLIENT), **environment},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_example_reviews_three(live_server: Any, project: Project) -> None:
    for _ in range(4):
        make_example(project)
    token = make_token(make_member(project, "annotator"), scopes=["review"])

    said = example("review_three.py", live_server.url, project.slug, WHETSTONE_TOKEN=token)

    assert [line.split()[1:] for line in said.splitlines()] == [["safe", "accepted"]] * 3
    assert Verdict.objects.filter(decision="accept").count() == 3


def test_the_example_downloads_a_release(live_server: Any, project: Project, release: Release, tmp_path: Path) -> None:
    token = make_token(make_member(project, "lead"), scopes=["read"])

    said = example(
        "download_release.py", live_server.url, project.slug, str(tmp_path / "rows.jsonl"), WHETSTONE_TOKEN=token
    )

    assert f"release 1 ({release.digest[:12]})" in said
    assert len((tmp_path / "rows.jsonl").read_text().splitlines()) == release.counts["rows"]


def test_a_refusal_has_the_sites_own_words(live_server: Any, project: Project) -> None:
    with Whetstone(live_server.url, make_token(make_member(project, "annotator"), scopes=["review"])) as site:
        with pytest.raises(Refused, match="nothing to take back") as no:
            site.undo(project.slug)
        with pytest.raises(Refused, match="personal token"):
            site.projects()

    assert (no.value.status, no.value.code) == (409, "conflict")


# A network that does not behave

Handler = Callable[[httpx.Request], httpx.Response]


def site_of(handler: Handler) -> Whetstone:
    return Whetstone("http://site", "wst_x", transport=httpx.MockTransport(handler))


def test_a_verdict_whose_answer_was_lost_is_sent_again_under_the_same_key(naps: list[float]) -> None:
    keys = []

    def answer(request: httpx.Request) -> httpx.Response:
        keys.append(request.headers["Idempotency-Key"])
        if len(keys) == 1:
            raise httpx.ReadTimeout("lost")
        return httpx.Response(503 if len(keys) == 2 else 200, json={"verdict": 5}, headers={"Retry-After": "7"})

    verdict = site_of(answer).judge("p", {"lease": 1, "example": 2, "version": 1}, "accept")

    assert verdict["verdict"] == 5
    assert len(keys) == 3
    assert len(set(keys)) == 1
    assert naps == [0.5, 7.0]


def test_a_stream_that_breaks_goes_on_after_the_last_row() -> None:
    asked = []

    class Broken(httpx.SyncByteStream):
        def __init__(self, rows: range) -> None:
            self.rows = rows

        def __iter__(self) -> Any:
            for number in self.rows:
                if len(asked) < 3 and number == self.rows.start + 2:
                    yield b'{"id": 99, "tex'  # half a line is no row
                    raise httpx.ReadError("broken")
                yield json.dumps({"id": number}).encode() + b"\n"

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(int(request.url.params["after"]))
        return httpx.Response(200, stream=Broken(range(asked[-1] + 1, 8)))

    rows = list(site_of(answer).examples("p", state="accepted"))

    assert [row["id"] for row in rows] == [1, 2, 3, 4, 5, 6, 7]
    assert asked == [0, 2, 4]


def test_a_download_that_breaks_goes_on_and_a_damaged_one_is_thrown_away(tmp_path: Path) -> None:
    import hashlib

    content = bytes(range(256)) * 40
    sums = [hashlib.sha256(content).hexdigest(), "0" * 64]
    ranges = []

    class Half(httpx.SyncByteStream):
        def __iter__(self) -> Any:
            yield content[:5000]
            raise httpx.ReadError("broken")

    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith("/releases"):
            file = {"name": "data.jsonl", "sha256": sums[0], "bytes": len(content)}
            return httpx.Response(200, json=[{"number": 1, "files": [file]}])
        ranges.append(request.headers.get("Range"))
        if len(ranges) == 1:
            return httpx.Response(200, stream=Half())
        return httpx.Response(206, content=content[5000:])

    site, target = site_of(answer), tmp_path / "rows"
    site.download("p", 1, "data.jsonl", target)
    assert target.read_bytes() == content
    assert ranges == [None, "bytes=5000-"]

    target.unlink()
    ranges[:] = [None]
    sums.reverse()
    (tmp_path / "rows.part").write_bytes(content[:5000])
    with pytest.raises(Refused, match="damaged"):
        site.download("p", 1, "data.jsonl", target)
    assert list(tmp_path.iterdir()) == []


def test_who_never_answers_is_given_up_with_a_sentence(naps: list[float]) -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("nobody")

    with pytest.raises(Unreachable, match="did not answer GET"):
        site_of(answer).projects()
    with pytest.raises(Unreachable, match="broke off"):
        list(site_of(answer).examples("p"))
    assert len(naps) == 12
