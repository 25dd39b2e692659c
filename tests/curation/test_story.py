"""What the page of one example tells of it: in order, in words, and nothing that a blind reviewer should not know."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from curation.models import Example, Finding, Job, Project, Provenance
from curation.operations import edits, examples, reviews, story
from curation.operations.reviews import Answer
from tests.factories import make_example, make_member, make_project, make_rules, make_verdict

pytestmark = pytest.mark.django_db


@pytest.fixture
def project() -> Project:
    return make_project()


@pytest.fixture
def lead(project: Project) -> User:
    return make_member(project, "lead", "lea")


@pytest.fixture
def ana(project: Project) -> User:
    return make_member(project, "annotator", "ana")


def page_of(client: Client, reader: User, example: Example) -> str:
    client.force_login(reader)
    return client.get(reverse("example", args=[example.project.slug, example.pk])).content.decode()


def told(example: Example, reader: User, role: str = "lead") -> list[tuple[str, str, str]]:
    return [(event.by, event.words, event.said) for event in story.of(example, reader, role)]


def test_all_that_happened_is_told_in_its_order(project: Project, lead: User, ana: User) -> None:
    example = make_example(project, origin="paraphrased", stage="persona", state="filtered", text="how do i water it")
    job = Job.objects.create(project=project, kind=Job.Kind.FILTER)
    for name, keep in (("length", True), ("fidelity", False)):
        Finding.objects.create(example=example, job=job, filter=name, keep=keep, reason="drifted")
    examples.overrule(example, lead)
    edits.flag(example, ana, "is it one?")
    edits.comment(example, ana, "it was unclear")
    edits.edit(project, ana, example.pk, 1, "how do i water the oak")
    edits.unflag(example, lead)
    reviews.submit(project, ana, example.pk, Answer("relabel", label="unsafe", categories=("fraud",)))
    example.refresh_from_db()

    assert told(example, lead) == [
        ("", "Rewritten by a machine", ""), ("", "Filters advised against it: fidelity", ""),
        ("lea", "overruled the filters", ""), ("ana", "flagged it", "is it one?"),
        ("ana", "commented", "it was unclear"), ("ana", "changed the text, which read before", "how do i water it"),
        ("lea", "looked at the flag", ""), ("ana", "changed the label", ""), ("", "Accepted", ""),
    ]  # fmt: skip
    assert [finding.filter for finding in story.of(example, lead, "lead")[1].findings] == ["length", "fidelity"]


def test_a_verdict_that_was_taken_back_no_longer_counts(project: Project, lead: User, ana: User) -> None:
    example = make_example(project)
    reviews.submit(project, ana, example.pk, Answer("reject", reason="Meaning is unclear"))
    reviews.undo(ana, project)
    example.refresh_from_db()

    events = story.of(example, lead, "lead")

    assert [event.words for event in events if event.by == "ana"] == ["rejected it", "took the verdict back"]
    assert {event.words for event in events if event.is_outcome} == {"Rejected", "In the queue"}
    assert [event.words for event in events if event.is_void] == ["rejected it"]


def test_who_may_still_judge_it_blind_reads_nothing_of_what_others_decided(
    client: Client, project: Project, ana: User
) -> None:
    make_rules(project, overlap=3, blind=True)
    example = make_example(project, scores={"guard": 0.7, "novelty": 0.2, "guard_digest": "ab"})
    make_verdict(example, make_member(project, "annotator", "ben"), "reject")
    make_verdict(example, ana, "skip")

    page = page_of(client, ana, example)

    assert "ben" not in page
    assert "skipped it" in page
    assert "judges blind" in page
    assert story.scores(example, "annotator") == {"novelty": 0.2}
    assert story.scores(example, "lead") == {"guard": 0.7, "novelty": 0.2}
    Example.objects.filter(pk=example.pk).update(state="rejected")
    assert "<b>ben</b> rejected it" in page_of(client, ana, example)


def looked_at(example: Example, *names: str, drop: str) -> None:
    job = Job.objects.create(project=example.project, kind=Job.Kind.FILTER)
    for name in names:
        keep, reason = name != drop, f"said by {name}"
        Finding.objects.create(example=example, job=job, filter=name, keep=keep, score=0.875, reason=reason)


@pytest.mark.parametrize("state", ["queued", "filtered"])
def test_who_may_still_judge_it_blind_reads_nothing_of_what_machines_think_of_its_label(
    state: str, client: Client, project: Project, lead: User, ana: User
) -> None:
    example = make_example(project, state="filtered", scores={"shadow": 0.8125})
    looked_at(example, "length", "label-judge", "endpoint-judge", drop="label-judge")
    if state == "queued":
        examples.overrule(example, lead)
    blind, seen = page_of(client, ana, example), page_of(client, lead, example)

    for said in ("label-judge", "endpoint-judge", "0.813", "Set aside", "overruled the filters", "All filters"):
        assert said not in blind
    assert "said by length" in blind
    assert "Filters kept it" in blind
    assert "said by label-judge" in seen
    assert "Filters advised against it: label-judge" in seen
    make_rules(project, blind=False)
    assert "said by endpoint-judge" in page_of(client, ana, example)


def test_where_only_judges_looked_who_judges_blind_reads_of_no_filter(project: Project, ana: User) -> None:
    example = make_example(project)
    looked_at(example, "label-judge", drop="")

    assert told(example, ana, "annotator") == [("", "Written by a machine", "")]


def test_what_a_filter_says_that_knows_nothing_of_the_label_stays_readable(
    client: Client, project: Project, ana: User
) -> None:
    example = make_example(project)
    looked_at(example, "near-duplicate", "label-judge", drop="near-duplicate")

    page = page_of(client, ana, example)

    assert "Filters advised against it: near-duplicate" in page
    assert "said by near-duplicate" in page
    assert "label-judge" not in page


def test_who_may_still_judge_it_blind_reads_nothing_of_what_a_file_said_of_it(
    client: Client, project: Project, lead: User, ana: User
) -> None:
    example = make_example(project, origin="human")
    said = {"annotator": "dora", "label": "unsafe", "categories": [], "said": ["dreadful"], "machine": False}
    Provenance.objects.create(example=example, external_id="row-7", judgements=[said])

    blind, seen = page_of(client, ana, example), page_of(client, lead, example)

    for word in ("dora", "dreadful", "in the file"):
        assert word not in blind
        assert word in seen
    Example.objects.filter(pk=example.pk).update(state="rejected")
    assert "dora" in page_of(client, ana, example)


def test_what_people_wrote_is_shown_as_text(client: Client, project: Project, lead: User) -> None:
    example = make_example(project)
    edits.comment(example, lead, "<b>look</b> pay\u200bpal")

    page = page_of(client, lead, example)

    assert "&lt;b&gt;look" in page
    assert "U+200B" in page


@pytest.mark.parametrize("words", [story.STATES, story.ORIGINS, story.USES, story.DECISIONS])
def test_every_state_origin_split_and_decision_has_words(words: dict[str, str]) -> None:
    from curation.models import Verdict
    from curation.models.example import Split

    assert set(words) in [set(choices.values) for choices in (Example.State, Example.Origin, Split, Verdict.Decision)]
