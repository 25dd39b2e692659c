from __future__ import annotations

import io
import json
import re
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from curation.models import Example, Guard, Job, Project, Release, Round, Verdict
from curation.operations import releases, rounds
from tests.factories import make_example, make_member, make_project, make_seeds, make_user

pytestmark = pytest.mark.django_db
XSS = '<script>alert(1)</script><img src=x onerror="alert(2)">{{ 7|add:7 }}'


@pytest.fixture
def project() -> Project:
    return make_project(content_note="")


@pytest.fixture
def lead(project: Project, client: Client) -> Client:
    client.force_login(make_member(project, "lead"))
    return client


@pytest.fixture
def filled(project: Project) -> dict[str, Any]:
    """One row of everything, so that every page has something to show."""
    make_seeds(project, 8)
    round = rounds.start(project, None)
    job = round.current_job
    example = make_example(project, round=round, state="filtered", text=XSS, stage="persona")
    guard = Guard.objects.create(
        project=project, round=round, job=job, number=1, digest="d" * 64, path="guards/d", dataset_digest="e" * 64,
        dataset_rows=16, base_digest="b" * 64, state="candidate",
    )  # fmt: skip
    release = releases.start(project, None)
    return {"round": round, "example": example, "guard": guard, "release": release}


def addresses(project: Project, filled: dict[str, Any]) -> dict[str, str]:
    """Every page that is read, by the name of its address."""
    slug = project.slug
    return {
        "overview": reverse("overview", args=[slug]),
        "examples": reverse("examples", args=[slug]),
        "example": reverse("example", args=[slug, filled["example"].pk]),
        "import": reverse("import", args=[slug]),
        "rounds": reverse("rounds", args=[slug]),
        "round-start": reverse("round-start", args=[slug]),
        "round": reverse("round", args=[slug, filled["round"].number]),
        "review": reverse("review", args=[slug]),
        "guards": reverse("guards", args=[slug]),
        "guard": reverse("guard", args=[slug, 1]),
        "releases": reverse("releases", args=[slug]),
        "release": reverse("release", args=[slug, 1]),
    }


def acts(project: Project, filled: dict[str, Any]) -> dict[str, str]:
    """Every address that changes something."""
    slug = project.slug
    return {
        "overrule": reverse("example-overrule", args=[slug, filled["example"].pk]),
        "cancel": reverse("round-act", args=[slug, filled["round"].number, "cancel"]),
        "judge": reverse("review-judge", args=[slug]),
        "undo": reverse("review-undo", args=[slug]),
        "promote": reverse("guard-promote", args=[slug, 1]),
        "release": reverse("release-start", args=[slug]),
    }


def test_a_lead_sees_every_page(lead: Client, project: Project, filled: dict[str, Any]) -> None:
    for name, address in addresses(project, filled).items():
        assert lead.get(address).status_code == 200, name


def test_a_stranger_sees_no_page(client: Client, project: Project, filled: dict[str, Any]) -> None:
    client.force_login(make_member(make_project(), "owner"))

    for name, address in addresses(project, filled).items():
        assert client.get(address).status_code == 404, name
    for name, address in acts(project, filled).items():
        assert client.post(address).status_code == 404, name


def test_whoever_has_not_signed_in_is_sent_to_do_so(client: Client, project: Project, filled: dict[str, Any]) -> None:
    for name, address in (addresses(project, filled) | acts(project, filled)).items():
        response = client.post(address) if name in acts(project, filled) else client.get(address)
        assert response.status_code == 302, name
        assert response["Location"].startswith(reverse("login")), name


def test_a_viewer_reads_but_changes_nothing(client: Client, project: Project, filled: dict[str, Any]) -> None:
    client.force_login(make_member(project, "viewer"))

    assert client.get(reverse("overview", args=[project.slug])).status_code == 200
    for name in ("import", "round-start", "review"):
        assert client.get(reverse(name, args=[project.slug])).status_code == 404, name
    for name, address in acts(project, filled).items():
        assert client.post(address).status_code == 404, name


def test_an_annotator_judges_but_does_not_steer(client: Client, project: Project, filled: dict[str, Any]) -> None:
    client.force_login(make_member(project, "annotator"))

    assert client.get(reverse("review", args=[project.slug])).status_code == 200
    for name in ("overrule", "cancel", "promote", "release"):
        assert client.post(acts(project, filled)[name]).status_code == 404, name


def test_what_changes_something_is_never_read(lead: Client, project: Project, filled: dict[str, Any]) -> None:
    for name, address in acts(project, filled).items():
        assert lead.get(address).status_code == 405, name


def test_hostile_text_is_shown_as_text_everywhere(lead: Client, project: Project, filled: dict[str, Any]) -> None:
    Example.objects.filter(pk=filled["example"].pk).update(state="queued")

    for name, address in addresses(project, filled).items():
        body = lead.get(address).content.decode()
        assert "<script>alert" not in body, name
        assert "onerror=&quot;" in body or "onerror" not in body, name
    assert "&lt;script&gt;" in lead.get(reverse("review", args=[project.slug])).content.decode()


def test_text_of_examples_is_in_no_title(lead: Client, project: Project) -> None:
    example = make_example(project, text="a very peculiar sentence")

    body = lead.get(reverse("example", args=[project.slug, example.pk])).content.decode()

    assert "peculiar" in body
    assert "peculiar" not in body.split("</title>")[0]


def test_characters_that_do_not_show_are_made_visible(lead: Client, project: Project) -> None:
    example = make_example(project, text="pay\u200bpal \u202eevil")

    body = lead.get(reverse("example", args=[project.slug, example.pk])).content.decode()

    assert "U+200B" in body
    assert "U+202E" in body
    assert "\u202e" not in body


def test_every_page_forbids_foreign_and_inline_scripts(lead: Client, project: Project) -> None:
    policy = lead.get(reverse("overview", args=[project.slug]))["Content-Security-Policy"]

    assert "default-src 'self'" in policy
    assert "unsafe" not in policy


def test_examples_are_paged_by_key(lead: Client, project: Project) -> None:
    for _ in range(60):
        make_example(project)

    first = lead.get(reverse("examples", args=[project.slug]))
    second = lead.get(f"{reverse('examples', args=[project.slug])}?{first.context['next']}")

    assert len(first.context["rows"]) == 50
    assert len(second.context["rows"]) == 10
    assert not {row.pk for row in first.context["rows"]} & {row.pk for row in second.context["rows"]}


def test_examples_are_filtered_by_what_they_are(lead: Client, project: Project) -> None:
    make_example(project, state="rejected")
    wanted = make_example(project, proposed_label="unsafe", proposed_categories=["fraud"])

    response = lead.get(reverse("examples", args=[project.slug]), {"category": "fraud", "label": "unsafe"})

    assert [row.pk for row in response.context["rows"]] == [wanted.pk]


def test_the_list_asks_the_database_as_often_for_many_as_for_few(
    lead: Client, project: Project, django_assert_max_num_queries: Any
) -> None:
    for _ in range(30):
        make_example(project)
    lead.get(reverse("overview", args=[project.slug]))  # a session begins, and notes where one is

    with django_assert_max_num_queries(12):
        lead.get(reverse("examples", args=[project.slug]))


def upload(client: Client, project: Project, name: str, content: bytes, purpose: str = "training") -> Any:
    file = io.BytesIO(content)
    file.name = name
    return client.post(reverse("import-start", args=[project.slug]), {"file": file, "purpose": purpose})


def test_a_file_that_is_too_large_is_refused_with_both_sizes(lead: Client, project: Project, settings: Any) -> None:
    settings.MAX_IMPORT_BYTES = 1024 * 1024

    response = upload(lead, project, "seeds.jsonl", b"x" * (2 * 1024 * 1024))

    assert response.status_code == 422
    assert "takes up to 1 MB" in response.content.decode()


def test_a_round_starts_from_the_form(lead: Client, project: Project) -> None:
    make_seeds(project, 8)
    values = {"seeds": 10, "copies": 2, "review": "people", "adversary": "best-of-n", "generator": "local"}

    response = lead.post(reverse("round-start", args=[project.slug]), values)

    round = Round.objects.get()
    assert response["Location"] == reverse("round", args=[project.slug, round.number])
    assert round.recipe["attack"]["method"]["key"] == "best-of-n"
    assert {entry["copies"] for entry in round.recipe["generate"]["augmenters"]} == {2}


def test_an_endpoint_needs_an_address_and_a_model(lead: Client, project: Project) -> None:
    values = {"seeds": 10, "copies": 1, "review": "people", "adversary": "", "generator": "endpoint"}

    response = lead.post(reverse("round-start", args=[project.slug]), values)

    assert response.status_code == 422
    assert "needs its address" in response.content.decode()


def test_a_failed_step_says_why_and_offers_to_retry(lead: Client, project: Project, filled: dict[str, Any]) -> None:
    round = filled["round"]
    job = round.current_job
    Job.objects.filter(pk=job.pk).update(state="failed", error="No model named 'x'.", remedy="Use another.")

    body = lead.get(reverse("round", args=[project.slug, round.number])).content.decode()
    assert "No model named &#x27;x&#x27;." in body
    assert "Use another." in body
    lead.post(reverse("round-act", args=[project.slug, round.number, "retry"]))

    assert Job.objects.get(pk=job.pk).state == "queued"


def test_the_round_page_asks_again_only_while_something_runs(
    lead: Client, project: Project, filled: dict[str, Any]
) -> None:
    address = reverse("round", args=[project.slug, filled["round"].number])
    assert "hx-trigger" in lead.get(address, headers={"HX-Request": "true"}).content.decode()

    lead.post(reverse("round-act", args=[project.slug, filled["round"].number, "cancel"]))

    assert "hx-trigger" not in lead.get(address, headers={"HX-Request": "true"}).content.decode()


@pytest.mark.usefixtures("redis_is_empty")
def test_without_a_worker_the_page_says_so(lead: Client, project: Project, filled: dict[str, Any]) -> None:
    assert "No worker is alive" in lead.get(reverse("overview", args=[project.slug])).content.decode()


def test_the_flow_of_a_round_loses_no_example(lead: Client, project: Project) -> None:
    make_seeds(project, 12)
    round = rounds.start(project, None)
    for state, many in (("accepted", 3), ("queued", 2), ("disputed", 2), ("rejected", 1), ("filtered", 1)):
        for _ in range(many):
            make_example(project, round=round, state=state)

    page = lead.get(reverse("round", args=[project.slug, round.number])).content.decode()

    (flow,) = [json.loads(one) for one in re.findall(r"<script[^>]*json[^>]*>(.*?)</script>", page) if "flow" in one]
    into = {link["target"]: link["value"] for link in flow["links"] if link["source"] == "Kept"}
    assert into == {"Accepted": 3, "Waiting": 2, "Disputed": 2, "Rejected": 1}
    assert sum(into.values()) == 8  # of nine, one was filtered out


def test_the_import_page_shows_what_a_file_looks_like_with_the_projects_own_categories(
    lead: Client, project: Project
) -> None:
    page = lead.get(reverse("import", args=[project.slug])).content.decode()

    assert "text,label,categories" in page
    for key in project.policy_version.keys():  # noqa: SIM118  # a method of ours, no dictionary
        assert f'<span class="mono">{key}</span>' in page


def test_judging_moves_on_to_the_next_example(lead: Client, project: Project) -> None:
    first, second = make_example(project, priority=2), make_example(project, priority=1)

    response = lead.post(
        reverse("review-judge", args=[project.slug]), {"example": first.pk, "decision": "accept", "seconds": "3.5"}
    )

    assert response.context["example"] == second
    assert Verdict.objects.get().seconds == 3.5


def test_the_plain_form_sent_twice_counts_once(lead: Client, project: Project) -> None:
    example = make_example(project)
    key = lead.get(reverse("review", args=[project.slug])).context["key"]
    form = {"example": example.pk, "decision": "accept", "key": str(key), "version": "1"}

    for _ in range(2):
        assert lead.post(reverse("review-judge", args=[project.slug]), form).status_code == 200

    assert Verdict.objects.count() == 1


def test_judging_works_without_scripts(lead: Client, project: Project) -> None:
    example = make_example(project)

    response = lead.post(reverse("review-judge", args=[project.slug]), {"example": example.pk, "decision": "reject"})

    assert "<html" in response.content.decode()
    assert Example.objects.get(pk=example.pk).state == "rejected"


def test_a_verdict_that_comes_too_late_is_told_so(lead: Client, project: Project) -> None:
    example = make_example(project, state="rejected")

    response = lead.post(reverse("review-judge", args=[project.slug]), {"example": example.pk, "decision": "accept"})

    assert response.status_code == 409
    assert "already decided by someone else" in response.content.decode()


@pytest.mark.parametrize("wanted", ["", "x", "999999999", "-1", "1" * 30])
def test_an_example_that_is_not_there_is_no_error(lead: Client, project: Project, wanted: str) -> None:
    response = lead.post(reverse("review-judge", args=[project.slug]), {"example": wanted, "decision": "accept"})

    assert response.status_code == 409


def test_an_example_of_another_project_cannot_be_judged(lead: Client, project: Project) -> None:
    other = make_example()

    lead.post(reverse("review-judge", args=[project.slug]), {"example": other.pk, "decision": "accept"})

    assert not Verdict.objects.exists()


def test_undo_brings_the_example_back(lead: Client, project: Project) -> None:
    example = make_example(project)
    lead.post(reverse("review-judge", args=[project.slug]), {"example": example.pk, "decision": "accept"})

    response = lead.post(reverse("review-undo", args=[project.slug]))

    assert response.context["example"] == example


def test_nothing_left_for_you_is_not_everything_decided(lead: Client, project: Project) -> None:
    example = make_example(project)
    lead.post(reverse("review-judge", args=[project.slug]), {"example": example.pk, "decision": "skip"})

    assert "Nothing left for you" in lead.get(reverse("review", args=[project.slug])).content.decode()


def test_the_content_note_comes_before_the_first_example(client: Client) -> None:
    project = make_project(content_note="You will read unpleasant things.")
    make_example(project, text="the very first text")
    client.force_login(make_member(project, "annotator"))
    address = reverse("review", args=[project.slug])

    assert "the very first text" not in client.get(address).content.decode()
    assert "the very first text" in client.get(address, {"understood": "1"}, follow=True).content.decode()
    assert "the very first text" in client.get(address).content.decode()


def test_only_files_of_the_release_can_be_downloaded(lead: Client, project: Project, settings: Any) -> None:
    folder = settings.ARTIFACTS_DIR / "releases" / "1"
    folder.mkdir(parents=True)
    (folder / "data.jsonl").write_text("{}\n")
    (folder / "secret").write_text("no")
    Release.objects.create(
        project=project, number=1, digest="d" * 64, path="releases/1",
        counts={"rows": 1, "label": {}, "label_source": {}},
        files=[{"name": "data.jsonl", "bytes": 3, "sha256": "s"}],
    )  # fmt: skip

    good = lead.get(reverse("release-file", args=[project.slug, 1, "data.jsonl"]))
    assert good["Content-Disposition"].startswith("attachment")
    assert b"".join(good.streaming_content) == b"{}\n"  # type: ignore[arg-type]
    for name in ("secret", "..", "README.md"):
        assert lead.get(f"/p/{project.slug}/releases/1/files/{name}").status_code == 404, name


def test_nobody_can_register(client: Client) -> None:
    for address in ("/register", "/signup", "/accounts/signup/", "/accounts/register/"):
        assert client.get(address).status_code == 404


def test_signing_in_with_a_wrong_password_says_so(client: Client) -> None:
    make_user("mo")

    response = client.post(reverse("login"), {"username": "mo", "password": "admin"})

    assert "do not go together" in response.content.decode()


def test_the_site_says_that_it_is_well(client: Client) -> None:
    assert client.get(reverse("healthz")).content == b"ok"


def test_a_download_goes_on_where_it_broke_off(lead: Client, project: Project, settings: Any) -> None:
    folder = settings.ARTIFACTS_DIR / "releases" / "1" / "data"
    folder.mkdir(parents=True)
    (folder / "train.parquet").write_bytes(b"0123456789")
    Release.objects.create(
        project=project, number=1, digest="d" * 64, path="releases/1", counts={"rows": 1},
        files=[{"name": "data/train.parquet", "bytes": 10, "sha256": "s"}],
    )  # fmt: skip
    address = reverse("release-file", args=[project.slug, 1, "data/train.parquet"])

    def asked(**headers: str) -> tuple[int, bytes, str]:
        answer = lead.get(address, headers=headers)
        body = b"".join(answer.streaming_content) if answer.streaming else answer.content  # type: ignore[arg-type]
        return answer.status_code, body, answer.get("Content-Range", "")

    assert asked() == (200, b"0123456789", "")
    assert asked(Range="bytes=4-", If_Range='"s"') == (206, b"456789", "bytes 4-9/10")
    assert asked(Range="bytes=-3") == (206, b"789", "bytes 7-9/10")
    assert asked(Range="bytes=4-", If_Range='"another"') == (200, b"0123456789", "")
    assert asked(Range="bytes=10-") == (416, b"", "bytes */10")
    assert asked(Range="lines=1-2") == (200, b"0123456789", "")


def test_shares_that_are_no_whole_are_refused_beside_the_form(lead: Client, project: Project) -> None:
    make_seeds(project, 4)

    answer = lead.post(reverse("release-start", args=[project.slug]), {"splits": "draw", "train": 50, "test": 20})

    assert answer.status_code == 422
    assert "The shares come to 70% and should come to 100 %." in answer.content.decode()
    assert not Release.objects.exists()


@pytest.mark.parametrize("name", ["settings", "password", "sessions", "tokens"])
def test_ones_own_pages_keep_the_navigation_of_the_project_one_comes_from(
    lead: Client, project: Project, name: str
) -> None:
    overview = reverse("overview", args=[project.slug])
    assert overview not in lead.get(reverse(name)).content.decode()

    lead.get(overview)

    assert f'href="{overview}"' in lead.get(reverse(name)).content.decode()


def test_where_nothing_is_the_navigation_leads_on(lead: Client, project: Project, client: Client) -> None:
    overview = reverse("overview", args=[project.slug])
    lead.get(overview)

    lost = lead.get("/no-such-page/")
    stranger = Client().get("/no-such-page/")

    assert (lost.status_code, stranger.status_code) == (404, 404)
    assert f'href="{overview}"' in lost.content.decode()
    assert "Sign out" not in stranger.content.decode()


def test_a_project_that_one_may_not_see_is_in_no_navigation(lead: Client, project: Project) -> None:
    lead.get(reverse("overview", args=[project.slug]))
    project.memberships.all().delete()

    assert project.name not in lead.get(reverse("settings")).content.decode()


def test_the_machine_reviews_the_rest_only_after_it_was_told_how_many(lead: Client, project: Project) -> None:
    round = Round.objects.create(project=project, number=1, state="reviewing")
    for _ in range(3):
        make_example(project, round=round, state="queued")

    page = lead.get(reverse("round", args=[project.slug, 1])).content.decode()

    asked = page.partition('id="confirm-machine"')[2].partition("</details>")[0]
    assert reverse("round-act", args=[project.slug, 1, "review-by-machine"]) in asked
    assert "all 3 texts" in asked
