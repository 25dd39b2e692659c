from __future__ import annotations

import uuid
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db.models.functions import Now

from curation.models import Comment, Example, Finding, Flag, Job, Lease, Project, Revision, Verdict
from curation.operations import queue
from tests.curation.review_desk import JSON, Desk
from tests.factories import make_example, make_lease, make_member, make_project, make_rules

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


def test_a_claim_leases_what_waits_in_order_of_priority(project: Project, desk: Desk) -> None:
    late, early = make_example(project, priority=0.1), make_example(project, priority=0.9)

    answer = desk.post("claim", {"n": 6}).json()

    assert [item["example"] for item in answer["items"]] == [early.pk, late.pk]
    assert answer["counts"] == {"mine_today": 0, "waiting": 0, "waiting_capped": False}
    assert answer["items"][0]["text"] == early.text
    assert 890 < answer["items"][0]["expires_in"] <= 900
    assert "purpose" not in answer["items"][0]


def test_a_reload_gets_the_same_items_again(project: Project, desk: Desk) -> None:
    for _ in range(5):
        make_example(project)

    first, again = desk.claim(3), desk.claim(3)

    assert [item["lease"] for item in first] == [item["lease"] for item in again]
    assert len(desk.claim(5)) == 5


def test_two_people_never_hold_the_same_item(project: Project, desk: Desk) -> None:
    for _ in range(6):
        make_example(project)
    other = Desk(project, make_member(project, "annotator"))

    mine, theirs = ({item["example"] for item in one.claim(4)} for one in (desk, other))

    assert (len(mine), len(theirs)) == (4, 2)
    assert not mine & theirs


def test_a_verdict_decides_the_example_and_ends_the_lease(project: Project, desk: Desk) -> None:
    example = make_example(project, proposed_label="unsafe", proposed_categories=["fraud"])
    (item,) = desk.claim()

    answer = desk.judge(item, seconds=4.5, active_seconds=3.0, confidence=3)

    assert answer.status_code == 200
    verdict = Verdict.objects.get()
    assert answer.json() == {"verdict": verdict.pk, "example": example.pk, "state": "accepted", "feedback": None}
    assert (verdict.active_seconds, verdict.confidence, verdict.version) == (3.0, 3, 1)
    assert Example.objects.get().state == "accepted"
    assert Lease.objects.get().ended == "verdict"


def test_the_same_key_and_body_get_the_same_answer_and_count_once(project: Project, desk: Desk) -> None:
    make_example(project)
    (item,) = desk.claim()
    key = str(uuid.uuid4())

    first, again = desk.judge(item, key=key), desk.judge(item, key=key)

    assert (first.status_code, first.json()) == (again.status_code, again.json())
    assert Verdict.objects.count() == 1


def test_the_same_key_with_another_body_is_refused(project: Project, desk: Desk) -> None:
    make_example(project), make_example(project)
    item, other = desk.claim()
    key = str(uuid.uuid4())
    desk.judge(item, key=key)

    for answer in (desk.judge(item, "reject", key=key), desk.judge(other, key=key)):
        assert answer.status_code == 422
        assert answer.json()["code"] == "key-reused"
    assert Verdict.objects.count() == 1


def test_a_late_verdict_is_taken_while_nobody_else_has_the_item(project: Project, ana: User, desk: Desk) -> None:
    lease = make_lease(make_example(project), ana, seconds=-5, closed_at=Now(), ended="expired")

    answer = desk.judge({"lease": lease.pk, "example": lease.example_id, "version": 1})

    assert answer.json()["state"] == "accepted"


def test_a_verdict_on_a_lease_that_somebody_else_took_is_refused(project: Project, ana: User, desk: Desk) -> None:
    lease = make_lease(make_example(project), ana, seconds=-5)
    Desk(project, make_member(project, "annotator")).claim()

    answer = desk.judge({"lease": lease.pk, "example": lease.example_id, "version": 1})

    assert answer.status_code == 409
    assert answer.json()["code"] == "lease-lost"
    assert "taken by someone else" in answer.json()["message"]
    assert not Verdict.objects.exists()


def test_nobody_judges_with_the_lease_of_another(project: Project, desk: Desk) -> None:
    theirs = make_lease(make_example(project), make_member(project, "annotator"))

    answer = desk.judge({"lease": theirs.pk, "example": theirs.example_id, "version": 1})

    assert answer.status_code == 409
    assert desk.post(f"leases/{theirs.pk}/renew").status_code == 404
    assert desk.post(f"leases/{theirs.pk}/return").status_code == 404


def test_an_expired_lease_goes_to_the_next_who_asks(project: Project, ana: User) -> None:
    lease = make_lease(make_example(project), ana, seconds=-1)

    (item,) = Desk(project, make_member(project, "annotator")).claim()

    assert item["example"] == lease.example_id
    lease.refresh_from_db()
    assert lease.ended == "expired"


def test_renewing_keeps_a_lease_that_ran_out_until_somebody_asks(project: Project, ana: User, desk: Desk) -> None:
    lease = make_lease(make_example(project), ana, seconds=-1)

    assert desk.post(f"leases/{lease.pk}/renew").json() == {"expires_in": 900}
    assert Desk(project, make_member(project, "annotator")).claim() == []


def test_a_lease_that_is_over_cannot_be_renewed(project: Project, ana: User, desk: Desk) -> None:
    lease = make_lease(make_example(project), ana, closed_at=Now(), ended="released")

    assert desk.post(f"leases/{lease.pk}/renew").status_code == 409


def test_hold_keeps_an_item_for_hours(project: Project, desk: Desk) -> None:
    make_example(project)
    (item,) = desk.claim()

    assert desk.post(f"leases/{item['lease']}/hold").json() == {"expires_in": 4 * 3600}
    assert desk.post(f"leases/{item['lease']}/renew").json() == {"expires_in": 4 * 3600}


def test_a_returned_item_waits_for_anybody_without_a_trace_of_blame(project: Project, desk: Desk) -> None:
    make_example(project)
    (item,) = desk.claim()

    assert desk.post(f"leases/{item['lease']}/return").status_code == 200
    assert desk.post(f"leases/{item['lease']}/return").status_code == 200
    assert not Verdict.objects.exists()
    assert len(desk.claim()) == 1


def test_undo_reaches_ten_verdicts_back(project: Project, desk: Desk) -> None:
    for _ in range(11):
        make_example(project)
    verdicts = [desk.judge(item).json() for item in desk.claim(11)]

    too_old = desk.post("undo", {"verdict": verdicts[0]["verdict"]})
    oldest = desk.post("undo", {"verdict": verdicts[1]["verdict"]})
    newest = desk.post("undo")

    assert too_old.status_code == 409
    assert oldest.json()["example"] == verdicts[1]["example"]
    assert newest.json()["example"] == verdicts[10]["example"]
    assert {item["example"] for item in desk.claim()} == {verdicts[1]["example"], verdicts[10]["example"]}


def test_undo_with_nothing_to_take_back_says_so(desk: Desk) -> None:
    assert desk.post("undo").json() == {"code": "conflict", "message": "There is nothing to take back."}


def test_an_edit_keeps_the_original_and_asks_for_new_scores(project: Project, desk: Desk) -> None:
    example = make_example(project, text="wher is the station")

    answer = desk.put(f"examples/{example.pk}/text", {"text": "where is the station"}, If_Match="1")

    assert answer.json() == {"version": 2}
    assert list(Revision.objects.values_list("number", "text")) == [
        (1, "wher is the station"), (2, "where is the station"),
    ]  # fmt: skip
    assert Job.objects.get().kind == "rescore"


def test_an_edit_of_a_text_that_changed_meanwhile_is_shown_the_text(project: Project, desk: Desk) -> None:
    example = make_example(project)
    desk.put(f"examples/{example.pk}/text", {"text": "mine"}, If_Match='"1"')

    answer = desk.put(f"examples/{example.pk}/text", {"text": "yours"}, If_Match="1")

    assert answer.status_code == 412
    assert answer.json() | {"message": ""} == {"code": "stale", "message": "", "text": "mine", "version": 2}


def test_a_verdict_on_a_text_that_changed_meanwhile_is_refused(project: Project, desk: Desk) -> None:
    example = make_example(project)
    (item,) = desk.claim()
    other = Desk(project, make_member(project, "lead"))
    other.put(f"examples/{example.pk}/text", {"text": "changed"}, If_Match="1")

    answer = desk.judge(item)

    assert (answer.status_code, answer.json()["text"]) == (412, "changed")
    assert not Verdict.objects.exists()


@pytest.mark.parametrize(
    ("method", "path", "body", "field", "says"),
    [
        ("put", "text", {"text": "  "}, "text", "empty"),
        ("put", "text", {"text": "a\x00b"}, "text", "NUL"),
        ("put", "text", {"text": "a" * 40_000}, "text", "40,000 characters"),
        ("post", "comments", {"text": "a" * 1_000_000}, "text", "4,000 characters"),
        ("post", "comments", {"text": ""}, "text", "empty"),
        ("post", "flag", {"note": "a" * 501}, "note", "500"),
    ],
)
def test_a_bad_field_is_answered_with_a_sentence_beside_it(
    project: Project, desk: Desk, method: str, path: str, body: Any, field: str, says: str
) -> None:
    example = make_example(project)

    answer = getattr(desk, method)(f"examples/{example.pk}/{path}", body, If_Match="1")

    assert (answer.status_code, answer.json()["field"]) == (422, field)
    assert says in answer.json()["message"]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"decision": "relabel", "label": "unsafe", "categories": ["nonsense"]}, "categories"),
        ({"decision": "relabel", "label": "unsafe", "categories": []}, "categories"),
        ({"decision": "relabel"}, "label"),
        ({"decision": "maybe"}, "decision"),
        ({"decision": "accept", "seconds": "NaN"}, "seconds"),
        ({"decision": "accept", "confidence": 4}, "confidence"),
        ({"decision": "accept", "surprise": 1}, "surprise"),
        ({"decision": "reject", "reason": "\x00"}, "reason"),
    ],
)
def test_a_bad_verdict_is_refused_and_the_item_stays(project: Project, desk: Desk, body: Any, field: str) -> None:
    make_example(project)
    (item,) = desk.claim()

    answer = desk.judge(item, **body)

    assert (answer.status_code, answer.json()["field"]) == (422, field)
    assert len(desk.claim()) == 1


def test_no_json_and_no_body_are_bad_requests(desk: Desk) -> None:
    answer = desk.client.post(desk.base + "claim", "{", JSON)

    assert (answer.status_code, answer.json()["code"]) == (400, "bad-request")


def test_flags_and_comments_are_counted_on_the_item(project: Project, desk: Desk) -> None:
    example = make_example(project)
    desk.post(f"examples/{example.pk}/flag", {"note": "look"})
    desk.post(f"examples/{example.pk}/flag")
    desk.post(f"examples/{example.pk}/comments", {"text": "what is meant?"})

    (item,) = desk.claim()

    assert (item["flagged"], item["comments"]) == (True, 1)
    assert (Flag.objects.count(), Comment.objects.count()) == (1, 1)
    assert desk.delete(f"examples/{example.pk}/flag").json() == {"flagged": False}
    assert desk.claim()[0]["flagged"] is False


def test_context_shows_decided_neighbours_and_what_nearly_repeats_it(project: Project, desk: Desk) -> None:
    one, other = [1.0] + [0.0] * 383, [0.0, 1.0] + [0.0] * 382
    example = make_example(project, embedding=one)
    twin = make_example(project, embedding=[0.99, 0.01] + [0.0] * 382)
    decided = make_example(project, state="accepted", label="safe", embedding=other)
    make_example(project, state="queued", embedding=other)

    context = desk.get(f"examples/{example.pk}/context").json()

    assert [row["example"] for row in context["similar"]] == [decided.pk]
    assert [row["example"] for row in context["near_duplicates"]] == [twin.pk]


def test_the_guard_is_hidden_where_the_project_reviews_blind(project: Project, desk: Desk) -> None:
    make_example(project, scores={"guard": 0.7})

    assert desk.claim()[0]["guard"] is None
    make_rules(project, blind=False)
    assert desk.claim()[0]["guard"] == {"score": 0.7}


@pytest.mark.parametrize(
    ("reason", "shown"),
    [("The guard is torn: 0.46", False), ("Guard and judge disagree: 0.10 and 0.90", False),
     ("The judge is torn: 0.50", False), ("The adversary found it", True), ("Unlike anything decided so far", True)],
)  # fmt: skip
def test_blind_a_reason_tells_nothing_of_what_a_machine_thinks(
    reason: str, shown: bool, project: Project, desk: Desk
) -> None:
    make_example(project, priority_reason=reason)

    assert desk.claim()[0]["priority_reason"] == (reason if shown else "")
    make_rules(project, blind=False)
    assert desk.claim()[0]["priority_reason"] == reason


def test_blind_the_desk_is_told_no_opinion_that_a_filter_has_of_the_label(project: Project, desk: Desk) -> None:
    example, job = make_example(project), Job.objects.create(project=project, kind=Job.Kind.FILTER)
    names = ["label-judge", "endpoint-judge", "near-duplicate", "contamination"]
    for name in names:
        Finding.objects.create(example=example, job=job, filter=name, keep=True, score=0.9)

    assert [finding["filter"] for finding in desk.claim()[0]["findings"]] == ["near-duplicate", "contamination"]
    make_rules(project, blind=False)
    assert [finding["filter"] for finding in desk.claim()[0]["findings"]] == names


def test_severe_items_are_veiled_and_a_person_may_choose_from_where_on(project: Project, desk: Desk) -> None:
    project.policy_version.categories.filter(key="hate").update(severity=4)
    make_example(project, proposed_label="unsafe", proposed_categories=["hate"])
    make_example(project, proposed_label="unsafe", proposed_categories=["fraud"])

    assert [(item["severity"], item["veiled"]) for item in desk.claim()] == [(4, True), (2, False)]


# How many queries


def test_a_claim_takes_as_many_queries_for_many_as_for_one(
    project: Project, desk: Desk, django_assert_num_queries: Any
) -> None:
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    for _ in range(12):
        make_example(project)
    make_rules(project)
    desk.post("undo")  # the project is remembered from its first request on
    with CaptureQueriesContext(connection) as one:
        desk.claim(1)
    with CaptureQueriesContext(connection) as many:
        desk.claim(12)

    assert len(many) == len(one)


@pytest.mark.parametrize(("overlap", "consensus"), [(1, "one"), (2, "majority")])
def test_what_waits_is_counted_as_it_would_be_claimed(
    project: Project, desk: Desk, overlap: int, consensus: str
) -> None:
    make_rules(project, overlap=overlap, consensus=consensus)
    for _ in range(5):
        make_example(project)
    other = Desk(project, make_member(project, "annotator"))
    desk.judge(desk.claim(1)[0]), other.claim(2), desk.claim(1)
    make_example(project, reserved=True)

    told = desk.post("claim", {"n": 1}).json()["counts"]["waiting"]

    assert told == queue.waiting(project, User.objects.get(pk=desk.user.pk)).count() == len(desk.claim(50)) - 1


def test_expiry_is_by_the_clock_of_the_database(project: Project, ana: User, desk: Desk) -> None:
    make_lease(make_example(project), ana, expires_at=Now() + timedelta(seconds=60))

    assert 58 <= desk.claim()[0]["expires_in"] <= 60
