"""Anything that people do to the queue, in any order, over HTTP: the ten invariants hold after every step.

The machine knows what the server acknowledged and nothing else; after each step it asks the database. The clock is
moved by moving the leases' ends. In `test_review_server.py` the same machine runs against a real web server.
"""

from __future__ import annotations

import os
import uuid
from collections import Counter
from typing import Any, ClassVar

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.db.models import F
from django.db.models.functions import Now
from django.test import Client
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, rule

from curation.models import Example, Lease, Membership, Revision, Verdict
from curation.operations import members, queue
from tests.factories import make_example, make_member, make_project, make_rules

EXAMPLES, PEOPLE = 5, 3
UNDECIDED = ("queued",)
DECIDED = ("accepted", "rejected", "disputed")
people = st.integers(0, PEOPLE - 1)
decisions = st.sampled_from(["accept", "reject", "skip", "escalate"])


class Review(RuleBasedStateMachine):
    """People at the API of one project."""

    items = Bundle("items")
    sent = Bundle("sent")
    overlap: ClassVar[int] = 1

    @initialize(overlap=st.sampled_from([1, 2]), skip_rule=st.sampled_from(["others", "mine", "retire"]))
    def begin(self, overlap: int, skip_rule: str) -> None:
        self.project = make_project()
        consensus = "one" if overlap == 1 else "majority"
        self.rules = make_rules(self.project, overlap=overlap, consensus=consensus, skip_rule=skip_rule)
        self.lead = make_member(self.project, "lead")
        self.users = [make_member(self.project, "annotator") for _ in range(PEOPLE)]
        self.clients = [self.client(user) for user in self.users]
        self.examples = [make_example(self.project, priority=n) for n in range(EXAMPLES)]
        self.kicked: set[int] = set()
        self.answers: dict[str, tuple[int, Any]] = {}  # key → verdict and whole answer, as acknowledged
        self.withdrawn = 0

    @property
    def log(self) -> Any:
        return Verdict.objects.filter(example__project=self.project)

    def client(self, user: User) -> Any:
        client = Client()
        client.force_login(user)
        return client

    def ask(self, person: int, path: str, body: Any = None, method: str = "post", **headers: str) -> tuple[int, Any]:
        status, answer = self.send(person, path, body, method, headers)
        assert status < 500
        if person in self.kicked:
            assert status == 404, "who was taken off the project finds nothing"
        return status, answer

    def send(self, person: int, path: str, body: Any, method: str, headers: dict[str, str]) -> tuple[int, Any]:
        answer = getattr(self.clients[person], method)(
            f"/api/v1/projects/{self.project.slug}/review/{path}", body or {}, "application/json",
            headers={name.replace("_", "-"): value for name, value in headers.items()},
        )  # fmt: skip
        return answer.status_code, answer.json()

    @rule(target=items, person=people, n=st.integers(1, 4))
    def claim(self, person: int, n: int) -> Any:
        status, answer = self.ask(person, "claim", {"n": n})
        if status != 200:
            return None
        assert not Lease.objects.filter(project=self.project).expired().exists(), "I3: what ran out is free at once"
        assert len({item["example"] for item in answer["items"]}) == len(answer["items"])
        return [(person, item) for item in answer["items"]]

    @rule(held=items, hold=st.booleans())
    def renew(self, held: Any, hold: bool) -> None:
        for person, item in held or ():
            status, answer = self.ask(person, f"leases/{item['lease']}/{'hold' if hold else 'renew'}")
            if person not in self.kicked:
                closed = Lease.objects.get(pk=item["lease"]).closed_at is not None
                assert (status == 409) == closed
                assert closed or answer["expires_in"] > 0

    @rule(held=items)
    def give_back(self, held: Any) -> None:
        for person, item in held or ():
            self.ask(person, f"leases/{item['lease']}/return")

    @rule(target=sent, held=items, which=st.integers(0, 3), decision=decisions)
    def submit(self, held: Any, which: int, decision: str) -> Any:
        if not held:
            return None
        person, item = held[which % len(held)]
        body = {"lease": item["lease"], "example": item["example"], "version": item["version"], "decision": decision}
        return self.deliver(person, str(uuid.uuid4()), body)

    def deliver(self, person: int, key: str, body: dict[str, Any]) -> Any:
        before = self.log.count()
        status, answer = self.ask(person, "verdicts", body, Idempotency_Key=key)
        added = self.log.count() - before
        if status != 200:
            assert added == 0, "I4: a refused verdict leaves nothing"
            return person, key, body
        if key in self.answers:
            assert (answer, added) == (self.answers[key], 0), "I5: sent again, it is answered the same and counts once"
        else:
            assert added == 1
            self.answers[key] = answer
        return person, key, body

    @rule(delivery=sent)
    def resubmit(self, delivery: Any) -> None:
        if delivery:
            self.deliver(*delivery)

    @rule(delivery=sent)
    def resubmit_something_else(self, delivery: Any) -> None:
        if delivery and delivery[1] in self.answers:
            person, key, body = delivery
            changed = body | {"decision": "reject" if body["decision"] != "reject" else "accept"}
            status, _ = self.ask(person, "verdicts", changed, Idempotency_Key=key)
            assert status == (404 if person in self.kicked else 422), "I5: a key belongs to one body"

    @rule(person=people, delivery=sent)
    def submit_with_the_lease_of_another(self, person: int, delivery: Any) -> None:
        """I4. A lease is nobody else's: the verdict counts only where the item is free for this person anyway."""
        if delivery:
            self.deliver(person, str(uuid.uuid4()), delivery[2])

    @rule(target=items, person=people)
    def undo(self, person: int) -> Any:
        status, answer = self.ask(person, "undo")
        if status != 200:
            return None
        assert Lease.objects.open().filter(pk=answer["lease"], reviewer=self.users[person]).exists()
        assert self.log.filter(decision="withdraw").count() == self.withdrawn + 1
        self.withdrawn += 1
        return [(person, answer)]

    @rule(held=items, words=st.sampled_from(["how are you", "where is the station", "what time is it"]))
    def edit(self, held: Any, words: str) -> None:
        if not held:
            return
        person, item = held[0]
        example = Example.objects.get(pk=item["example"])
        status, answer = self.ask(
            person, f"examples/{example.pk}/text", {"text": words}, "put", If_Match=str(item["version"])
        )
        if person in self.kicked:
            return
        if item["version"] != example.version:
            assert status == 412, "I8: an edit names the version that it saw"
            assert answer["text"] == example.text
        elif status == 200:
            assert answer["version"] == example.version + (words != example.text)

    @rule(held=items)
    def expire(self, held: Any) -> None:
        """The clock passes the end of these leases."""
        ids = [item["lease"] for _, item in held or ()]
        Lease.objects.filter(pk__in=ids, closed_at=None).update(expires_at=Now(), granted_at=F("granted_at"))

    @rule()
    def release(self) -> None:
        lease = Lease.objects.filter(project=self.project).open().first()
        if lease is not None:
            queue.release(self.project, self.lead, lease=lease.pk)

    @rule(which=st.integers(0, EXAMPLES - 1))
    def retire(self, which: int) -> None:
        example = Example.objects.get(pk=self.examples[which].pk)
        if example.state in ("queued", "disputed"):
            queue.retire(example, self.lead)

    @rule(person=people)
    def kick(self, person: int) -> None:
        if person in self.kicked or len(self.kicked) == PEOPLE - 1:
            return
        members.remove(Membership.objects.get(project=self.project, user=self.users[person]), self.lead)
        self.kicked.add(person)

    # What always holds

    @invariant()
    def one_live_lease_a_slot(self) -> None:
        """I1, and I2: nobody has two."""
        held = (
            Lease.objects.filter(project=self.project, purpose="queue")
            .open()
            .values_list("example", "slot", "reviewer")
        )
        assert max(Counter((example, slot) for example, slot, _ in held).values(), default=0) <= 1
        assert max(Counter((example, person) for example, _, person in held).values(), default=0) <= 1
        assert all(1 <= slot <= self.rules.overlap for _, slot, _ in held)

    @invariant()
    def nobody_judges_an_example_twice(self) -> None:
        """I2, and no more people than it needs."""
        counted = list(
            Verdict.objects.counted().filter(example__project=self.project).values_list("example", "reviewer")
        )
        assert len(set(counted)) == len(counted)
        assert max(Counter(example for example, _ in counted).values(), default=0) <= self.rules.overlap

    @invariant()
    def what_was_acknowledged_is_in_the_log(self) -> None:
        """I9 and I6: each once, whatever came after."""
        stored = {
            str(key): pk for key, pk in self.log.exclude(idempotency_key=None).values_list("idempotency_key", "pk")
        }
        assert stored == {key: answer["verdict"] for key, answer in self.answers.items()}
        assert self.log.filter(decision="withdraw").count() == self.withdrawn

    @invariant()
    def the_state_is_the_fold_of_the_log(self) -> None:
        """I7."""
        from curation.operations.agreement import fold

        for example in Example.objects.filter(project=self.project):
            counted = list(Verdict.objects.counted().filter(example=example))
            outcome = fold(self.rules, counted, example.overlap)
            if example.state == "retired":
                continue  # by a lead, or by a skip where the rules say so
            assert example.state == (outcome.state if outcome else "queued")
            assert example.label == (outcome.label if outcome else "")

    @invariant()
    def versions_count_the_revisions(self) -> None:
        """I8: the text is the newest revision's, and the original is kept."""
        for example in Example.objects.filter(project=self.project, version__gt=1):
            numbers = list(Revision.objects.filter(example=example).values_list("number", flat=True))
            assert numbers == list(range(1, example.version + 1))
            assert example.revisions.get(number=example.version).text == example.text

    @invariant()
    def nothing_appears_or_is_lost(self) -> None:
        """I10: open, leased, decided and retired are all there is, and only what is queued is leased."""
        states = Counter(Example.objects.filter(project=self.project).values_list("state", flat=True))
        assert sum(states.values()) == EXAMPLES
        assert set(states) <= {"queued", "retired", *DECIDED}
        leased = (
            Lease.objects.filter(project=self.project, purpose="queue").open().values_list("example__state", flat=True)
        )
        assert set(leased) <= {"queued"}


def run(machine: type[Review], examples: int, steps: int) -> None:
    """Each run begins with empty tables: what a run leaves is rolled back."""
    from hypothesis.stateful import run_state_machine_as_test

    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=examples, stateful_step_count=steps, deadline=None, database=None,
            derandomize="CI" in os.environ,  # what lands is judged on the same runs; new ones are looked for by people
            phases=[Phase.explicit, Phase.generate, Phase.shrink],
            suppress_health_check=list(HealthCheck),
        ),
    )  # fmt: skip


class RolledBack(Review):
    """Inside a savepoint, so that two hundred runs need no clean-up."""

    def __init__(self) -> None:
        super().__init__()
        self.sid = connection.savepoint()

    def teardown(self) -> None:
        connection.savepoint_rollback(self.sid)


@pytest.mark.django_db
def test_whatever_people_do_the_invariants_hold() -> None:
    run(RolledBack, examples=200, steps=12)
