from __future__ import annotations

from typing import Any

import httpx
import orjson
import pytest
from django.test import Client
from django.urls import reverse

from curation.models import Project, SavedView
from curation.operations import explore, moderation
from tests.factories import make_example, make_member, make_project

pytestmark = pytest.mark.django_db


@pytest.fixture
def project() -> Project:
    return make_project(content_note="")


def found(project: Project, **wanted: Any) -> list[int]:
    return [row.pk for row in explore.page(project, wanted)[0]]


@pytest.mark.parametrize("window", [10_000, 1])
def test_words_and_filters_combine_from_the_newest_rows_and_from_the_index(
    project: Project, window: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(explore, "WINDOW", window)
    wanted = make_example(project, text="where do tall oaks grow", language="de", state="rejected")
    make_example(project, text="where do tall oaks grow in spring", language="en", state="rejected")
    make_example(project, text="where do tall pines grow", language="de", state="rejected")
    make_example(make_project(), text="where do tall oaks grow", language="de", state="rejected")

    assert found(project, q="Oaks tall", language="de", state="rejected") == [wanted.pk]


def test_the_decided_label_counts_before_the_proposed_one(project: Project) -> None:
    decided = make_example(project, label="unsafe", categories=["fraud"])

    assert found(project, label="unsafe") == found(project, category="fraud") == [decided.pk]
    assert found(project, label="safe") == []


def test_a_changed_state_is_found_at_once(project: Project) -> None:
    example = make_example(project)
    example.move_to("accepted")

    assert found(project, state="accepted") == [example.pk]
    assert found(project, state="queued") == []


@pytest.mark.parametrize("window", [10_000, 1])
def test_pages_follow_each_other_without_gap_or_repeat(
    project: Project, window: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(explore, "WINDOW", window)
    monkeypatch.setattr(explore, "PAGE", 3)
    made = [make_example(project).pk for _ in range(7)]
    seen: list[int] = []
    key: int | None = None
    while True:
        rows, key = explore.page(project, {"state": "queued"}, key)
        seen += [row.pk for row in rows]
        if key is None:
            break

    assert seen == made[::-1]


def test_what_looks_like_a_query_language_is_words(project: Project) -> None:
    for hostile in ("') OR 1=1 --", '"', "a & | !", "((", "\\"):
        assert found(project, q=hostile) == []


def test_likeness_follows_the_embedding_and_stays_in_the_project(project: Project) -> None:
    east, north = [1.0] + [0.0] * 383, [0.0, 1.0] + [0.0] * 382
    between = [0.9, 0.1] + [0.0] * 382
    first = make_example(project, embedding=east)
    far, near = make_example(project, embedding=north), make_example(project)
    near.embedding = between
    near.save()
    make_example(make_project(), embedding=east)

    assert [row.pk for row in explore.like(project, first)] == [near.pk, far.pk]
    near.embedding = None
    near.save()
    assert [row.pk for row in explore.like(project, first)] == [far.pk]


def reading(monkeypatch: pytest.MonkeyPatch, answer: httpx.Response | Exception) -> list[Any]:
    """Let the serving program answer so; return what it was asked."""
    asked: list[Any] = []

    def handler(request: httpx.Request) -> httpx.Response:
        asked.append((request.url.path, orjson.loads(request.content)))
        if isinstance(answer, Exception):
            raise answer
        return answer

    client = httpx.Client(transport=httpx.MockTransport(handler), base_url="http://guard")
    monkeypatch.setattr(moderation, "client", lambda url: client)
    return asked


def test_a_typed_text_is_searched_by_its_meaning_and_filters_hold(
    project: Project, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    east, north = [1.0] + [0.0] * 383, [0.0, 1.0] + [0.0] * 382
    far = make_example(project, text="a remark about oaks", embedding=north)
    near = make_example(project, text="a remark about lakes", embedding=[0.9, 0.1] + [0.0] * 382)
    make_example(project, text="an old remark", embedding=east, state="rejected")
    make_example(make_project(), text="of another project", embedding=east)
    asked = reading(monkeypatch, httpx.Response(200, json={"vectors": [east]}))
    client.force_login(make_member(project, "viewer"))

    page = client.get(reverse("examples", args=[project.slug]), {"q": "water", "by": "meaning", "state": "queued"})

    assert asked == [("/embed", {"texts": ["water"]})]
    assert [row.pk for row in page.context["rows"]] == [near.pk, far.pk]
    assert "0.006" in page.content.decode()


@pytest.mark.parametrize(
    "answer",
    [httpx.ConnectError("away"), httpx.Response(500), httpx.Response(200, text="no"), httpx.Response(200, json={})],
)
def test_searching_by_meaning_says_what_it_needs(
    answer: Any, project: Project, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    reading(monkeypatch, answer)
    client.force_login(make_member(project, "viewer"))

    page = client.get(reverse("examples", args=[project.slug]), {"q": "water", "by": "meaning"})

    assert page.status_code == 200
    assert "search by words" in page.content.decode()


def test_a_family_is_a_tree_from_its_seed(project: Project) -> None:
    seed = make_example(project, family="f", origin="seed")
    child = make_example(project, family="f", parent=seed)
    grandchild = make_example(project, family="f", parent=child)
    sibling = make_example(project, family="f", parent=seed)

    assert [(depth, row.pk) for depth, row in explore.family(grandchild)] == [
        (0, seed.pk), (1, child.pk), (2, grandchild.pk), (1, sibling.pk),
    ]  # fmt: skip


def test_a_saved_view_is_its_makers_alone(project: Project, client: Client) -> None:
    ana, ben = make_member(project, "viewer"), make_member(project, "lead")
    client.force_login(ana)
    client.post(reverse("example-view-save", args=[project.slug]), {"name": "Lost", "query": "state=rejected&x=1"})
    view = SavedView.objects.get()

    assert view.query == {"state": "rejected"}
    assert "Lost" in client.get(reverse("examples", args=[project.slug])).content.decode()
    client.force_login(ben)
    assert "Lost" not in client.get(reverse("examples", args=[project.slug])).content.decode()
    assert client.post(reverse("example-view-forget", args=[project.slug, view.pk])).status_code == 404
    client.force_login(ana)
    client.post(reverse("example-view-forget", args=[project.slug, view.pk]))
    assert not SavedView.objects.exists()


def test_columns_are_chosen_kept_in_a_view_and_are_no_filter(project: Project, client: Client) -> None:
    client.force_login(make_member(project, "lead"))
    make_example(project, language="de", stage="persona", family="family-of-oaks")
    address = reverse("examples", args=[project.slug])

    chosen = client.get(f"{address}?columns=language&columns=stage")
    page = chosen.content.decode()
    usual = client.get(address).content.decode()
    client.post(
        reverse("example-view-save", args=[project.slug]), {"name": "By", "query": "columns=language&columns=stage"}
    )

    assert "<th>Language</th><th>Made by</th>" in page
    assert "<th>Label</th>" not in page
    assert "persona" in page
    assert "<th>Label</th><th>Category</th><th>Origin</th><th>State</th>" in usual
    assert chosen.context["is_filtered"] is False
    assert SavedView.objects.get().address == "columns=language&columns=stage"


def test_filters_that_a_batch_knows_are_handed_to_it(project: Project, client: Client) -> None:
    client.force_login(make_member(project, "lead"))
    make_example(project, language="de")

    for query, offered in (("language=de", True), ("language=de&state=accepted", False), ("q=plant", False)):
        body = client.get(f"{reverse('examples', args=[project.slug])}?{query}").content.decode()
        assert ("Make a batch of these" in body) is offered, query
    assert 'value="de"' in client.get(f"{reverse('queue-cut', args=[project.slug])}?language=de").content.decode()


def test_pages_of_likeness_and_of_one_example_open(project: Project, client: Client) -> None:
    client.force_login(make_member(project, "viewer"))
    example = make_example(project, embedding=[0.1] * 384)

    for name in ("example", "example-like"):
        assert client.get(reverse(name, args=[project.slug, example.pk])).status_code == 200
