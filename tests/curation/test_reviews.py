from __future__ import annotations

import threading
from typing import Any

import pytest
from django.db import ProgrammingError, connection, transaction

from curation.models import Example, IllegalMove, Verdict
from curation.operations import Refused, examples, reviews
from tests.factories import make_example, make_member, make_project, make_rules

pytestmark = pytest.mark.django_db(transaction=True)


def test_accepting_takes_the_proposed_label() -> None:
    example = make_example(proposed_label="unsafe", proposed_categories=["fraud"])
    ana = make_member(example.project, "annotator")

    reviews.judge(example, ana, "accept")

    example.refresh_from_db()
    assert (example.state, example.label, example.categories) == ("accepted", "unsafe", ["fraud"])


def test_relabelling_to_what_was_proposed_is_an_approval() -> None:
    example = make_example(proposed_label="unsafe", proposed_categories=["hate", "fraud"])

    verdict = reviews.judge(
        example, make_member(example.project, "annotator"), "relabel", label="unsafe", categories=["fraud", "hate"]
    )

    assert verdict.decision == "accept"
    assert Example.objects.get(pk=example.pk).state == "accepted"


def test_relabelling_accepts_with_the_new_label() -> None:
    example = make_example(proposed_label="unsafe", proposed_categories=["fraud"])

    reviews.judge(example, make_member(example.project, "annotator"), "relabel", label="safe")

    example.refresh_from_db()
    assert (example.state, example.label, example.categories) == ("accepted", "safe", [])


@pytest.mark.parametrize(
    ("label", "categories", "says"),
    [("unsafe", [], "at least one category"), ("unsafe", ["nonsense"], "no category"), ("maybe", [], "safe or unsafe")],
)
def test_a_relabel_that_makes_no_sense_is_refused(label: str, categories: list[str], says: str) -> None:
    example = make_example()

    with pytest.raises(Refused, match=says):
        reviews.judge(example, make_member(example.project, "annotator"), "relabel", label=label, categories=categories)

    example.refresh_from_db()
    assert example.state == "queued"


def test_a_rejected_example_has_no_label() -> None:
    example = make_example()

    reviews.judge(example, make_member(example.project, "annotator"), "reject", reason="not a message")

    example.refresh_from_db()
    assert (example.state, example.label) == ("rejected", "")
    assert example.verdicts.get().reason == "not a message"


def test_a_skipped_example_waits_for_the_others_only() -> None:
    example = make_example()
    ana, ben = make_member(example.project, "annotator"), make_member(example.project, "annotator")

    reviews.judge(example, ana, "skip")

    assert not Example.objects.waiting_for(ana).exists()
    assert Example.objects.waiting_for(ben).get() == example


def test_undo_withdraws_the_newest_verdict_and_keeps_the_log() -> None:
    example = make_example()
    ana = make_member(example.project, "annotator")
    verdict = reviews.judge(example, ana, "accept")

    assert reviews.undo(ana, example.project) == example

    example.refresh_from_db()
    assert (example.state, example.label) == ("queued", "")
    assert [row.decision for row in example.verdicts.all()] == ["accept", "withdraw"]
    assert Verdict.objects.get(supersedes=verdict).decision == "withdraw"
    assert not Verdict.objects.current().exists()
    assert Example.objects.waiting_for(ana).get() == example


def test_undo_does_not_take_an_example_out_of_a_dispute_that_somebody_else_opened() -> None:
    project = make_project()
    make_rules(project, overlap=2, consensus="majority")
    example, ana, ben = make_example(project), make_member(project, "annotator"), make_member(project, "annotator")
    reviews.judge(example, ben, "accept")
    reviews.judge(Example.objects.get(pk=example.pk), ana, "escalate")

    with pytest.raises(Refused, match="moved on since"):
        reviews.undo(ben, project)

    example.refresh_from_db()
    assert example.state == "disputed"
    assert not Verdict.objects.filter(example=example, decision="withdraw").exists()


def test_undo_with_nothing_to_undo_says_so_quietly() -> None:
    project = make_project()

    assert reviews.undo(make_member(project, "annotator"), project) is None


def test_the_second_of_two_verdicts_is_told_that_it_was_decided() -> None:
    example = make_example()
    mine, theirs = Example.objects.get(pk=example.pk), Example.objects.get(pk=example.pk)
    reviews.judge(theirs, make_member(example.project, "annotator"), "reject")

    with pytest.raises(Refused, match="already decided by someone else"):
        reviews.judge(mine, make_member(example.project, "annotator"), "accept")

    assert Verdict.objects.count() == 1


def test_of_many_verdicts_at_once_exactly_one_counts() -> None:
    example = make_example()
    people = [make_member(example.project, "annotator") for _ in range(8)]
    outcomes: list[str] = []
    barrier = threading.Barrier(len(people))

    def judge(person: Any) -> None:
        barrier.wait()
        try:
            reviews.judge(Example.objects.get(pk=example.pk), person, "accept")
            outcomes.append("taken")
        except Refused:
            outcomes.append("refused")
        finally:
            connection.close()

    threads = [threading.Thread(target=judge, args=[person]) for person in people]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(outcomes) == ["refused"] * 7 + ["taken"]
    assert Verdict.objects.count() == 1


def test_strangers_and_viewers_have_nothing_to_judge() -> None:
    example = make_example()

    assert not Example.objects.waiting_for(make_member(make_project(), "annotator")).exists()
    assert not Example.objects.waiting_for(make_member(example.project, "viewer")).exists()


@pytest.mark.parametrize("statement", ["UPDATE curation_verdict SET reason = 'x'", "DELETE FROM curation_verdict"])
def test_the_database_refuses_to_change_a_verdict(statement: str) -> None:
    example = make_example()
    reviews.judge(example, make_member(example.project, "annotator"), "accept")

    with pytest.raises(ProgrammingError, match="append-only"), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(statement)


def test_a_person_overrules_the_filters() -> None:
    example = make_example(state="filtered")

    examples.overrule(example, make_member(example.project, "lead"))

    assert Example.objects.get(pk=example.pk).state == "queued"
    with pytest.raises(Refused, match="Only a filtered example"):
        examples.overrule(example, make_member(example.project, "lead"))


def test_a_move_that_the_life_cycle_lacks_is_refused() -> None:
    with pytest.raises(IllegalMove, match="from new to accepted"):
        make_example(state="new").move_to("accepted")


def test_an_example_never_names_itself_by_its_text() -> None:
    assert "hello" not in str(make_example(text="hello there my friend"))
