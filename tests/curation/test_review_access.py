from __future__ import annotations

import uuid
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db.models.functions import Now
from django.test import Client

from curation.models import Example, PersonalToken, Project, Verdict
from tests.curation.review_desk import JSON, Desk
from tests.factories import make_example, make_lease, make_member, make_project, make_rules, make_token

pytestmark = pytest.mark.django_db


@pytest.fixture
def project() -> Project:
    return make_project()


@pytest.fixture
def ana(project: Project) -> User:
    return make_member(project, "annotator")


@pytest.fixture
def desk(project: Project, ana: User) -> Desk:
    return Desk(project, ana)


# Many at once


def test_a_bulk_act_judges_all_and_one_undo_takes_all_back(project: Project, desk: Desk) -> None:
    for _ in range(4):
        make_example(project)
    items = desk.claim()
    key = str(uuid.uuid4())
    body = {"items": [{"example": item["example"], "lease": item["lease"]} for item in items], "decision": "accept"}

    first, again = desk.post("bulk", body, Idempotency_Key=key), desk.post("bulk", body | {"key": key})

    assert first.json()["count"] == 4
    assert again.json() == first.json()
    assert Verdict.objects.count() == 4
    undone = desk.post("bulk/undo", {"bulk": first.json()["bulk"]})
    assert len(undone.json()["items"]) == 4
    assert set(Example.objects.values_list("state", flat=True)) == {"queued"}
    assert desk.post("bulk/undo").status_code == 409


def test_a_bulk_act_with_one_lost_item_changes_nothing(project: Project, desk: Desk) -> None:
    ids = [make_example(project).pk for _ in range(2)]
    ids.append(make_example(project, state="accepted").pk)

    answer = desk.post("bulk", {"items": ids, "decision": "reject"}, Idempotency_Key=str(uuid.uuid4()))

    assert answer.status_code == 409
    assert not Verdict.objects.exists()


@pytest.mark.parametrize("rules", [{"bulk_allowed": False}, {"bulk_adversarial": False}])
def test_a_project_may_forbid_bulk(project: Project, desk: Desk, rules: dict[str, bool]) -> None:
    make_rules(project, **rules)
    example = make_example(project, origin="adversarial")

    answer = desk.post("bulk", {"items": [example.pk], "decision": "accept"}, Idempotency_Key=str(uuid.uuid4()))

    assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")


# Who may


def test_strangers_and_viewers_find_nothing(project: Project) -> None:
    example = make_example(project)
    lease = make_lease(example, make_member(project, "annotator"))
    elsewhere = make_member(make_project(), "owner")

    for user in (elsewhere, make_member(project, "viewer")):
        desk = Desk(project, user)
        assert desk.post("claim").status_code == 404
        assert desk.judge({"lease": lease.pk, "example": example.pk, "version": 1}).status_code == 404
        assert desk.get(f"examples/{example.pk}/context").status_code == 404


def test_ids_of_another_project_are_not_there(project: Project, desk: Desk) -> None:
    foreign = make_example()

    assert desk.judge({"lease": 1, "example": foreign.pk, "version": 1}).status_code == 404
    assert desk.post(f"examples/{foreign.pk}/flag").status_code == 404
    assert desk.put(f"examples/{foreign.pk}/text", {"text": "x"}, If_Match="1").status_code == 404
    answer = desk.post("bulk", {"items": [foreign.pk], "decision": "accept"}, Idempotency_Key=str(uuid.uuid4()))
    assert answer.status_code == 404
    assert desk.get(f"examples/{10**30}/context").status_code == 404


def test_a_cookie_alone_is_not_enough_to_write(project: Project, ana: User) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(ana)

    answer = client.post(f"/api/v1/projects/{project.slug}/review/claim", {}, JSON)

    assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")


def test_a_personal_token_does_the_same_without_a_cookie(project: Project, ana: User) -> None:
    make_example(project)
    desk = Desk(project, ana, make_token(ana))

    (item,) = desk.claim()

    assert desk.judge(item).json()["state"] == "accepted"
    row = PersonalToken.objects.get()
    assert row.last_used_at is not None
    assert row.hash not in (row.prefix, desk.headers["Authorization"])


@pytest.mark.parametrize("changes", [{"revoked_at": Now()}, {"expires_at": Now()}, {"scopes": []}])
def test_a_token_that_is_over_opens_nothing(project: Project, ana: User, changes: dict[str, Any]) -> None:
    desk = Desk(project, ana, make_token(ana))
    PersonalToken.objects.update(**changes)

    assert desk.post("claim").status_code == 401


def test_the_token_of_somebody_deactivated_opens_nothing(project: Project, ana: User) -> None:
    desk = Desk(project, ana, make_token(ana))
    User.objects.filter(pk=ana.pk).update(is_active=False)

    assert desk.post("claim").status_code == 401
    assert Client().post(desk.base + "claim", {}, JSON).status_code == 401


def test_the_api_describes_itself(desk: Desk) -> None:
    described = desk.client.get("/api/v1/openapi.json").json()

    paths = {path.rsplit("/review/", 1)[1] for path in described["paths"] if "/review/" in path}
    assert {"claim", "verdicts", "undo", "leases/{lease}/renew", "bulk"} <= paths
