"""Many people at the same moment, each over a connection of their own."""

from __future__ import annotations

import threading
import uuid
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.db.models.functions import Now

from curation.models import Example, Lease, Project, Verdict
from curation.operations import Refused, queue, reviews
from tests.factories import make_example, make_lease, make_member, make_project, make_rules

pytestmark = pytest.mark.django_db(transaction=True)
PEOPLE = 10


def at_once(acts: list[Callable[[], Any]]) -> list[Any]:
    """Do all of it at the same moment; return what each came to, a refusal being an answer too."""
    barrier, answers = threading.Barrier(len(acts)), [None] * len(acts)

    def run(place: int, act: Callable[[], Any]) -> None:
        barrier.wait()
        try:
            answers[place] = act()
        except Refused as no:
            answers[place] = no
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=pair) for pair in enumerate(acts)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers


@pytest.fixture
def project() -> Project:
    return make_project()


def reviewers(project: Project, count: int = PEOPLE) -> list[User]:
    return [make_member(project, "annotator") for _ in range(count)]


def reload(project: Project) -> Project:
    """A project object of one's own, as each request has."""
    return Project.objects.get(pk=project.pk)


@pytest.mark.parametrize(("overlap", "consensus"), [(1, "one"), (3, "majority")])
def test_ten_who_claim_at_once_never_hold_more_than_the_overlap(project: Project, overlap: int, consensus: str) -> None:
    make_rules(project, overlap=overlap, consensus=consensus)
    for _ in range(12):
        make_example(project)
    people = reviewers(project)

    hands = at_once([lambda person=person: queue.claim(reload(project), person, 5) for person in people])

    held = [(lease.example_id, lease.slot) for hand in hands for lease in hand.leases]
    assert len(set(held)) == len(held) == Lease.objects.live().count()
    assert max(Counter(example for example, _ in held).values()) <= overlap
    # Who came at the same moment is passed over rather than kept waiting; on asking again they find what is left.
    for person in people:
        queue.claim(reload(project), person, 5)
    slots = list(Lease.objects.live().values_list("example_id", "slot"))
    assert len(set(slots)) == len(slots) == 12 * overlap


def test_claiming_and_judging_at_once_neither_deadlocks_nor_doubles(project: Project) -> None:
    for _ in range(60):
        make_example(project)

    def work(person: User) -> int:
        done, mine = 0, reload(project)
        while leases := queue.claim(mine, person, 3).leases:
            for lease in leases:
                answer = reviews.Answer("accept", lease=lease.pk, key=uuid.uuid4(), version=1)
                reviews.submit(mine, person, lease.example_id, answer)
                done += 1
        return done

    done = at_once([lambda person=person: work(person) for person in reviewers(project)])

    assert sum(done) == 60 == Verdict.objects.count()
    assert set(Example.objects.values_list("state", flat=True)) == {"accepted"}
    assert not Lease.objects.open().exists()


def test_one_verdict_sent_by_ten_connections_at_once_counts_once(project: Project) -> None:
    example, person = make_example(project), make_member(project, "annotator")
    lease, key = make_lease(example, person), uuid.uuid4()
    answer = reviews.Answer("accept", lease=lease.pk, key=key, version=1)

    verdicts = at_once([lambda: reviews.submit(reload(project), person, example.pk, answer)] * PEOPLE)

    assert {verdict.pk for verdict in verdicts} == {Verdict.objects.get().pk}


def test_one_key_for_two_examples_at_once_counts_once(project: Project) -> None:
    person, key = make_member(project, "annotator"), uuid.uuid4()
    leases = [make_lease(make_example(project), person) for _ in range(2)]
    acts = [
        lambda lease=lease: reviews.submit(
            reload(project), person, lease.example_id, reviews.Answer("accept", lease=lease.pk, key=key)
        )
        for lease in leases
    ]

    answers = at_once(acts)

    assert sorted(type(answer).__name__ for answer in answers) == ["Refused", "Verdict"]
    assert next(answer.code for answer in answers if isinstance(answer, Refused)) == "key-reused"
    assert Lease.objects.open().count() == 1, "the refused one is still held"


def test_of_a_late_verdict_and_a_new_claim_exactly_one_gets_the_item(project: Project) -> None:
    for _ in range(5):
        example = make_example(project)
        late, other = reviewers(project, 2)
        lease = make_lease(example, late, seconds=-1)
        answer = reviews.Answer("accept", lease=lease.pk)

        verdict, hand = at_once([
            lambda example=example, late=late, answer=answer: reviews.submit(reload(project), late, example.pk, answer),
            lambda other=other: queue.claim(reload(project), other, 1),
        ])  # fmt: skip

        if hand.leases:
            assert isinstance(verdict, Refused)
            queue.retire(example, other)
        else:
            assert isinstance(verdict, Verdict)


def test_a_verdict_and_its_undo_from_two_windows_leave_a_whole_state(project: Project) -> None:
    example, person = make_example(project), make_member(project, "annotator")
    first = reviews.judge(example, person, "accept")

    answers = at_once([lambda: reviews.undo(person, reload(project), first.pk)] * 4)

    assert sum(isinstance(answer, Example) for answer in answers) == 1
    assert Verdict.objects.filter(decision="withdraw").count() == 1
    assert Example.objects.get().state == "queued"
    assert Lease.objects.live().get().reviewer == person


def test_a_lead_who_retires_while_somebody_judges_waits_or_is_told(project: Project) -> None:
    example, person, lead = make_example(project), make_member(project, "annotator"), make_member(project, "lead")
    lease = make_lease(example, person)
    answer = reviews.Answer("reject", lease=lease.pk)

    at_once([
        lambda: reviews.submit(reload(project), person, example.pk, answer),
        lambda: queue.retire(Example.objects.get(pk=example.pk), lead),
    ])  # fmt: skip

    state = Example.objects.get().state
    assert (state, Verdict.objects.count()) in [("rejected", 1), ("retired", 0)]
    assert not Lease.objects.open().exists()


def test_expired_leases_are_closed_once_by_whoever_claims_first(project: Project) -> None:
    """A claim does not wait for another that closes them at this moment; whoever asks next gets what was left."""
    for _ in range(8):
        make_lease(make_example(project), make_member(project, "annotator"), seconds=-1)
    people = reviewers(project, 6)

    at_once([lambda person=person: queue.claim(reload(project), person, 2) for person in people])
    held = [lease.example_id for person in people for lease in queue.claim(reload(project), person, 2).leases]

    assert len(set(held)) == len(held) == 8
    assert Lease.objects.filter(ended="expired", closed_at__lte=Now()).count() == 8
