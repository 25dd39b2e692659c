"""The site's moderation API: real HTTP, and a real serving process behind it that never sees the site's key."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openai
import pytest
from django.core.cache import cache
from django.test import Client
from django.urls import reverse

from classifier.artifacts import digest_file
from curation.models import ApiKey, Guard, Job, Project, Traffic
from curation.operations import keys, moderation, serving, traffic
from tests.factories import make_example, make_member, make_project
from tests.guards import Served, make_guard
from tests.guards import serving as started
from tests.processes import ROOT

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.processes]
TEXT = "bake a small cake"


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    root = tmp_path_factory.mktemp("guards")
    return make_guard(root / "one", 1, threshold=0.0), make_guard(root / "two", 2, threshold=1.0)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with started(tmp_path_factory.mktemp("served")) as served:
        yield served


@pytest.fixture(autouse=True)
def _behind_the_site(settings: Any, server: Served, tmp_path: Path) -> None:
    """The site publishes to the file that the server follows."""
    settings.GUARD_URL, settings.GUARDS_FILE = server.url, server.names
    settings.ARTIFACTS_DIR = Path("/")
    cache.clear()


def make_served_guard(project: Project, folder: Path, number: int, state: str) -> Guard:
    """A guard's row for a folder that exists, as if a round had trained it."""
    from curation.models import Round

    round = Round.objects.create(project=project, number=number, state="closed")
    job = Job.objects.create(kind="train", project=project, round=round, state="done", dedupe_key=f"train:{round.pk}")
    path = str(folder.relative_to("/"))
    return Guard.objects.create(
        project=project, round=round, job=job, number=number, digest=digest_file(folder / "MANIFEST.json"), path=path,
        export_path=path, dataset_digest="e" * 64, dataset_rows=16, base_digest="b" * 64, state=state,
    )  # fmt: skip


@pytest.fixture
def project(folders: tuple[Path, Path], server: Served) -> Project:
    """A project with an active guard that flags everything, served; and a key's worth of crosswalk."""
    project = make_project()
    project.policy_version.categories.filter(key="hate").update(crosswalk={"openai": "hate"})
    project.policy_version.categories.filter(key="fraud").update(crosswalk={"openai": ["illicit"]})
    make_served_guard(project, folders[0], 1, "active")
    serving.publish()
    server.wait_for(project.slug)
    return project


@pytest.fixture
def secret(project: Project) -> str:
    return keys.make(project, None, "tests", 1000)[1]


def ask(client: Client, secret: str, body: Any, path: str = "/v1/moderations") -> Any:
    raw = body if isinstance(body, bytes) else json.dumps(body)
    return client.post(path, raw, content_type="application/json", headers={"Authorization": f"Bearer {secret}"})


def test_the_official_client_works_with_only_another_address(live_server: Any, secret: str) -> None:
    client = openai.OpenAI(base_url=f"{live_server.url}/v1", api_key=secret)

    single = client.moderations.create(input=TEXT)
    many = client.moderations.create(model="omni-moderation-latest", input=[TEXT, "a dog"])

    assert single.model == "guard-1"
    assert single.results[0].flagged is True
    assert single.results[0].category_scores.hate > 0
    assert single.results[0].category_scores.violence == 0
    assert len(many.results) == 2
    assert [model.id for model in client.models.list()] == ["guard-1"]


def test_the_example_of_our_own_client_asks_for_lines(live_server: Any, secret: str) -> None:
    client = ROOT / "clients" / "python"
    done = subprocess.run(
        [sys.executable, str(client / "examples" / "moderate.py"), live_server.url], input=f"{TEXT}\n\na dog\n",
        env={**os.environ, "PYTHONPATH": str(client), "WHETSTONE_KEY": secret}, capture_output=True, text=True,
        check=False,
    )  # fmt: skip

    assert done.returncode == 0, done.stderr
    first, second = done.stdout.splitlines()
    assert first.startswith("flagged 0.")
    assert first.endswith(TEXT)
    assert second.endswith("a dog")


def test_the_official_client_raises_what_its_users_know(live_server: Any, secret: str) -> None:
    client = openai.OpenAI(base_url=f"{live_server.url}/v1", api_key=secret, max_retries=0)

    with pytest.raises(openai.BadRequestError, match="input is empty"):
        client.moderations.create(input="")
    with pytest.raises(openai.NotFoundError) as missing:
        client.moderations.create(input=TEXT, model="guard-99")
    with pytest.raises(openai.AuthenticationError):
        client.with_options(api_key="wsk-nobody").moderations.create(input=TEXT)
    assert missing.value.code == "model_not_found"


def test_curl_gets_the_same_answer(live_server: Any, secret: str) -> None:
    done = subprocess.run(
        ["curl", "-sS", f"{live_server.url}/v1/moderations", "-H", f"Authorization: Bearer {secret}",
         "-H", "Content-Type: application/json", "-d", json.dumps({"input": TEXT})],
        capture_output=True, text=True, check=True,
    )  # fmt: skip

    found = json.loads(done.stdout)
    assert found["id"].startswith("modr-")
    assert len(found["results"][0]["categories"]) == 13


def test_our_own_answer_has_the_decision_our_keys_and_the_digest(client: Client, secret: str, project: Project) -> None:
    found = ask(client, secret, {"input": [TEXT]}, "/v1/decisions").json()

    guard = project.guards.get()
    assert found["guard"] == {"number": 1, "digest": guard.digest, "backend": "torch"}
    assert found["results"][0]["decision"] == "unsafe"
    assert set(found["results"][0]["category_scores"]) == {"fraud", "hate", "child-exploitation"}


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"{", 400), ([], 400), ({}, 400), ({"input": ""}, 400), ({"input": 7}, 400), ({"input": [["a"]]}, 400),
        ({"input": ["a"] * 100_000}, 400), ({"input": "word " * 200_000}, 400), ({"input": "word " * 1_000_000}, 413),
        ({"input": TEXT, "model": "guard-7"}, 404), ({"input": TEXT, "model": ["guard-1"]}, 400),
        ({"input": TEXT, "model": "guard-" + "9" * 400}, 404), ({"input": TEXT, "model": "\ud800"}, 404),
    ],
)  # fmt: skip
def test_bad_input_gets_an_error_of_openais_shape(client: Client, secret: str, body: Any, status: int) -> None:
    response = ask(client, secret, body)

    assert response.status_code == status
    assert set(response.json()["error"]) == {"message", "type", "param", "code"}
    assert ask(client, secret, {"input": TEXT}).status_code == 200


def test_lone_surrogates_are_scored(client: Client, secret: str) -> None:
    assert ask(client, secret, {"input": ["\ud800", "a\x00b"]}).status_code == 200


@pytest.mark.parametrize("header", ["", "Bearer", "Bearer wsk-nobody", "Basic d3NrOg==", "Bearer \x00"])
def test_without_a_working_key_every_reason_reads_the_same(client: Client, project: Project, header: str) -> None:
    response = client.post(
        "/v1/moderations", "{}", content_type="application/json", headers={"Authorization": header}
    )  # fmt: skip

    assert response.status_code == 401
    assert response.json()["error"]["code"] == "invalid_api_key"


def test_a_revoked_key_is_no_key(client: Client, secret: str, project: Project) -> None:
    keys.revoke(project.api_keys.get(), None)

    assert ask(client, secret, {"input": TEXT}).status_code == 401


def test_a_key_of_one_project_does_not_reach_anothers_guard(
    client: Client, project: Project, folders: tuple[Path, Path]
) -> None:
    other = make_project()
    make_served_guard(other, folders[1], 5, "active")
    foreign = keys.make(other, None, "tests", 10)[1]

    for model in ("guard-1", project.slug, f"{project.slug}/guard-1"):
        response = ask(client, foreign, {"input": TEXT, "model": model})
        assert response.status_code == 404
        assert response.json() == ask(client, foreign, {"input": TEXT, "model": "nobody"}).json()


def test_a_key_is_stored_as_a_digest_only(secret: str, project: Project) -> None:
    row = ApiKey.objects.filter(project=project).values().get()

    assert secret not in str(row)
    assert secret.startswith(row["shown"])
    assert row["used_at"] is None


def test_the_quota_is_counted_in_texts_and_says_when_to_come_back(client: Client, project: Project) -> None:
    secret = keys.make(project, None, "small", 3)[1]

    assert ask(client, secret, {"input": [TEXT, TEXT]}).status_code == 200
    refused = ask(client, secret, {"input": [TEXT, TEXT]})
    assert refused.status_code == 429
    assert 1 <= int(refused["Retry-After"]) <= 60
    assert ask(client, secret, {"input": TEXT}).status_code == 200, "what was refused does not count"
    assert ask(client, secret, {"input": [TEXT] * 4}).status_code == 400, "waiting would not help"


def test_a_project_without_an_active_guard_is_told_what_to_do(client: Client) -> None:
    secret = keys.make(make_project(), None, "early", 10)[1]

    response = ask(client, secret, {"input": TEXT})

    assert response.status_code == 503
    assert "Promote one" in response.json()["error"]["message"]
    assert response["Retry-After"]


def test_without_a_server_the_answer_says_how_to_start_one(client: Client, secret: str, settings: Any) -> None:
    settings.GUARD_URL = "http://127.0.0.1:9"

    response = ask(client, secret, {"input": TEXT})

    assert response.status_code == 503
    assert "make up" in response.json()["error"]["message"]
    assert not moderation.is_up()


def test_no_text_reaches_the_log(client: Client, secret: str, caplog: pytest.LogCaptureFixture) -> None:
    ask(client, secret, {"input": "a very peculiar sentence", "model": "guard-9"})
    ask(client, secret, {"input": ["a very peculiar sentence", 7]})

    assert "peculiar" not in caplog.text


# Shadow and sample


def test_nothing_is_kept_until_a_lead_says_so(client: Client, secret: str, project: Project) -> None:
    ask(client, secret, {"input": TEXT})

    assert not project.examples.exists()


@pytest.fixture
def shadowed(project: Project, folders: tuple[Path, Path], server: Served) -> Traffic:
    """A shadow that flags nothing, beside a guard that flags everything."""
    shadow = make_served_guard(project, folders[1], 2, "candidate")
    chosen = traffic.choose(project, make_member(project, "lead"), shadow=shadow, sample=0.0, daily_limit=3)
    server.wait_for(project.slug + serving.SHADOW)
    return chosen


def test_where_the_shadow_disagrees_the_text_becomes_a_candidate(
    client: Client, secret: str, project: Project, shadowed: Traffic
) -> None:
    answer = ask(client, secret, {"input": [TEXT, TEXT.upper(), "a \ud800 lone one"]}).json()

    assert answer["model"] == "guard-1"
    kept = project.examples.order_by("pk")
    assert [example.text for example in kept] == [TEXT.upper(), "a ? lone one"], "equal texts are kept once"
    assert {(example.origin, example.state, example.stage) for example in kept} == {
        ("traffic", "queued", "shadow-disagreement")
    }
    assert set(kept[0].scores) == {"guard", "shadow"}
    assert kept[0].proposed_label == "unsafe"
    assert kept[0].model_digest == project.guards.get(number=1).digest


def test_no_more_is_kept_than_the_limit_of_the_day(
    client: Client, secret: str, project: Project, shadowed: Traffic
) -> None:
    for number in range(3):
        ask(client, secret, {"input": [f"text {number} of {part}" for part in "abc"]})

    assert project.examples.count() == 3


def test_the_shadow_can_be_asked_by_its_name(client: Client, secret: str, shadowed: Traffic) -> None:
    found = ask(client, secret, {"input": TEXT, "model": "guard-2"}).json()

    assert found["model"] == "guard-2"
    assert found["results"][0]["flagged"] is False


def test_a_sample_joins_the_review_queue_where_it_is_switched_on(client: Client, secret: str, project: Project) -> None:
    make_example(project, text="known already")
    traffic.choose(project, make_member(project, "lead"), shadow=None, sample=1.0, daily_limit=10)

    ask(client, secret, {"input": [TEXT, "Known already!"]})

    assert [e.stage for e in project.examples.filter(origin="traffic")] == ["live-sample"]


def test_a_caller_is_answered_although_the_shadow_is_away(
    client: Client, secret: str, project: Project, folders: tuple[Path, Path]
) -> None:
    shadow = make_served_guard(project, folders[1], 2, "candidate")
    Traffic.objects.create(project=project, shadow=shadow)  # chosen, and not served yet

    assert ask(client, secret, {"input": TEXT}).status_code == 200
    assert not project.examples.exists()


# The pages


def test_a_key_is_shown_once(client: Client, project: Project) -> None:
    client.force_login(make_member(project, "lead"))

    sent = client.post(reverse("guard-key-make", args=[project.slug]), {"name": "chat front", "quota": 60})
    assert sent.status_code == 302  # so that a reload makes no second one
    made = client.get(sent["Location"])
    later = client.get(reverse("guard-traffic", args=[project.slug]))

    secret = made.context["secret"]
    assert secret in made.content.decode()
    assert secret not in str(dict(client.session)) + sent["Location"]
    assert "no-store" in made["Cache-Control"]
    assert secret not in later.content.decode()
    assert ask(client, secret, {"input": TEXT}).status_code == 200


def test_two_live_keys_of_one_name_are_refused_beside_the_field(client: Client, project: Project) -> None:
    client.force_login(make_member(project, "lead"))
    address = reverse("guard-key-make", args=[project.slug])
    client.post(address, {"name": "chat front", "quota": 60})

    again = client.post(address, {"name": "chat front", "quota": 60})

    assert again.status_code == 422
    assert "There is a key named chat front already" in again.content.decode()
    assert client.post(address, {"name": "other", "quota": 0}).status_code == 422


def test_a_lead_revokes_a_key_and_the_act_is_recorded(client: Client, project: Project, secret: str) -> None:
    lead = make_member(project, "lead")
    client.force_login(lead)

    client.post(reverse("guard-key-revoke", args=[project.slug, project.api_keys.get().pk]))

    assert ask(client, secret, {"input": TEXT}).status_code == 401
    assert project.audit.filter(action="api-key-revoked", actor=lead).count() == 1


def test_only_a_guard_beside_the_active_one_can_be_a_shadow(
    client: Client, project: Project, folders: tuple[Path, Path]
) -> None:
    client.force_login(make_member(project, "lead"))
    foreign = make_served_guard(make_project(), folders[1], 1, "candidate")
    address = reverse("guard-traffic-choose", args=[project.slug])

    for guard in (foreign, project.guards.get()):
        values = {"shadow": guard.pk, "percent": 0, "daily_limit": 5}
        assert client.post(address, values).status_code == 422
    assert client.post(address, {"percent": 101, "daily_limit": 5}).status_code == 422
    assert not Traffic.objects.exists()


@pytest.mark.parametrize("role", ["viewer", "annotator", None])
def test_whoever_does_not_lead_neither_sees_nor_makes_keys(client: Client, project: Project, role: str | None) -> None:
    client.force_login(make_member(project if role else make_project(), role or "owner"))

    assert client.get(reverse("guard-traffic", args=[project.slug])).status_code == 404
    for name in ("guard-key-make", "guard-traffic-choose"):
        assert client.post(reverse(name, args=[project.slug])).status_code == 404


def test_acts_are_never_read(client: Client, project: Project) -> None:
    client.force_login(make_member(project, "lead"))

    for name in ("guard-key-make", "guard-traffic-choose"):
        assert client.get(reverse(name, args=[project.slug])).status_code == 405
