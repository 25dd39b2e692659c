from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import pytest
from django.test import Client

from curation.api import data
from curation.models import Project, Release
from curation.operations import jobs, releases, reviews
from tests.factories import make_example, make_member, make_project, make_seeds, make_token

pytestmark = pytest.mark.django_db


@pytest.fixture
def project() -> Project:
    return make_project()


@pytest.fixture
def release(project: Project, settings: Any, tmp_path: Path) -> Release:
    settings.ARTIFACTS_DIR = tmp_path
    first, *_ = make_seeds(project, 12)
    project.examples.filter(family=first.family).update(split="validation")
    made = releases.start(project, None)
    jobs.work(made.jobs.get().pk)
    made.refresh_from_db()
    assert made.is_ready
    return made


class Reader:
    """A program with a token of somebody's."""

    def __init__(self, project: Project, role: str = "lead", scopes: tuple[str, ...] = ("read",)) -> None:
        self.user = make_member(project, role)
        self.place = f"/api/v1/projects/{project.slug}/"
        self.headers = {"authorization": f"Bearer {make_token(self.user, scopes=list(scopes))}"}

    def get(self, path: str, status: int = 200, **query: Any) -> Any:
        answer = Client().get(self.place + path, query, headers=self.headers)
        assert answer.status_code == status, answer.content
        return answer.json()

    def pages(self, path: str, **query: Any) -> list[dict[str, Any]]:
        """All rows, a page after the other."""
        rows, after = [], 0
        while after is not None:
            page = self.get(path, after=after, **query)
            rows += page["items"]
            after = page["next"]
        return rows

    def stream(self, path: str, **query: Any) -> list[dict[str, Any]]:
        answer = Client().get(self.place + path, query, headers=self.headers | {"accept": data.LINES})
        assert answer.status_code == 200
        assert answer["Content-Type"] == data.LINES
        return [orjson.loads(line) for line in answer.getvalue().splitlines()]  # type: ignore[attr-defined]


# Lists


@pytest.mark.parametrize("limit", [1, 3, 7, 100])
def test_pages_show_every_example_once_in_order(limit: int, project: Project) -> None:
    ids = [make_example(project).pk for _ in range(7)]
    make_example()  # of another project

    assert [row["id"] for row in Reader(project, "viewer").pages("examples", limit=limit)] == ids


def test_a_stream_holds_what_the_pages_hold_over_the_border_of_its_chunks(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(data, "CHUNK", 3)
    for number in range(9):
        make_example(project, text=f"a remark\nwith a line break {number}", proposed_categories=[])
    reader = Reader(project)

    assert reader.stream("examples") == reader.pages("examples", limit=2)
    assert reader.stream("examples", after=reader.pages("examples")[4]["id"]) == reader.pages("examples")[5:]


def test_a_filter_chooses(project: Project) -> None:
    wanted = make_example(project, proposed_label="unsafe", proposed_categories=["fraud"], language="de")
    make_example(project, language="de")
    make_example(project, proposed_label="unsafe", proposed_categories=["fraud"], state="rejected")
    reader = Reader(project)

    assert [row["id"] for row in reader.pages("examples", category="fraud", language="de")] == [wanted.pk]
    assert len(reader.pages("examples", state="rejected")) == 1


def test_verdicts_are_told_to_leads_with_who_decided(project: Project) -> None:
    ana = make_member(project, "annotator", "ana")
    first = reviews.judge(make_example(project), ana, "accept")
    reviews.undo(ana, project)

    rows = Reader(project).pages("verdicts")

    assert [(row["decision"], row["reviewer"], row["supersedes"]) for row in rows] == [
        ("accept", "ana", None), ("withdraw", "ana", first.pk)
    ]  # fmt: skip
    assert Reader(project, "annotator").get("verdicts", 404)["code"] == "not-found"


@pytest.mark.parametrize(
    ("query", "field"), [({"after": -1}, "after"), ({"limit": 0}, "limit"), ({"limit": 1001}, "limit"),
                         ({"after": "x"}, "after"), ({"after": 2**63}, "after"), ({"state": "x" * 61}, "state")],
)  # fmt: skip
def test_a_cursor_that_is_none_is_named(query: dict[str, Any], field: str, project: Project) -> None:
    assert Reader(project).get("examples", 422, **query)["field"] == field


# Releases


def test_the_rows_of_a_release_are_those_of_its_file(project: Project, release: Release, tmp_path: Path) -> None:
    reader = Reader(project)
    (told,) = reader.get("releases")
    file = [orjson.loads(line) for line in (tmp_path / release.path / "data.jsonl").read_bytes().splitlines()]

    rows = reader.stream(f"releases/{release.number}/rows")

    assert told["digest"] == release.digest
    assert [(row["text"], row["label"], row["split"]) for row in rows] == [
        (row["text"], row["label"], row["split"]) for row in file
    ]
    assert rows == reader.pages(f"releases/{release.number}/rows", limit=5)
    train = reader.stream(f"releases/{release.number}/rows", split="train")
    assert train == [row for row in rows if row["split"] == "train"]
    assert 0 < len(train) < len(rows)


def test_a_file_comes_in_ranges_and_none_that_is_not_listed(project: Project, release: Release, tmp_path: Path) -> None:
    (tmp_path / release.path / "secret").write_text("not of the release")
    reader = Reader(project)
    place = f"{reader.place}releases/{release.number}/files/"

    whole = Client().get(f"{place}data.jsonl", headers=reader.headers)
    part = Client().get(f"{place}data.jsonl", headers=reader.headers | {"range": "bytes=10-19"})

    content = b"".join(whole.streaming_content)  # type: ignore[attr-defined]
    assert b"".join(part.streaming_content) == content[10:20]  # type: ignore[attr-defined]
    (tmp_path / release.path / "README.md").unlink()
    for name in ("secret", "../data.jsonl", "nothing", "README.md"):
        assert Client().get(f"{place}{name}", headers=reader.headers).status_code == 404


# Who may


@pytest.mark.parametrize("path", ["examples", "verdicts", "releases"])
def test_a_token_reads_only_where_its_person_may_and_only_with_the_scope(path: str, project: Project) -> None:
    assert Reader(make_project()).headers
    stranger = Reader(make_project())
    stranger.place = f"/api/v1/projects/{project.slug}/"

    assert stranger.get(path, 404)["code"] == "not-found"
    assert Reader(project, scopes=("review",)).get(path, 401)["code"] == "signed-out"
    assert Client().get(f"/api/v1/projects/{project.slug}/{path}").status_code == 401


def test_a_token_for_reading_judges_nothing(project: Project) -> None:
    reader = Reader(project)

    answer = Client().post(
        f"{reader.place}review/claim", {"n": 1}, content_type="application/json", headers=reader.headers
    )

    assert answer.status_code == 401


def test_one_sees_ones_own_projects_with_ones_role(project: Project) -> None:
    make_project()
    reader = Reader(project, "viewer")

    answer = Client().get("/api/v1/projects", headers=reader.headers)

    assert answer.json() == [{"slug": project.slug, "name": project.name, "role": "viewer"}]
