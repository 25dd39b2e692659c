"""What verdicts come to, and the figures of how far people agree."""

from __future__ import annotations

from itertools import combinations_with_replacement, permutations

import pytest

from curation.models import Job, Project, ReviewRules, Verdict
from curation.operations import agreement, jobs
from tests.curation.fake_programs import FakePrograms
from tests.factories import make_example, make_member, make_project, make_verdict

ANSWERS = {
    "s": ("relabel", "safe", []), "f": ("relabel", "unsafe", ["fraud"]), "h": ("relabel", "unsafe", ["hate"]),
    "b": ("relabel", "unsafe", ["fraud", "hate"]), "r": ("reject", "", []), "e": ("escalate", "", []),
}  # fmt: skip


def said(letters: str) -> list[Verdict]:
    return [Verdict(decision=d, label=label, categories=keys) for d, label, keys in (ANSWERS[one] for one in letters)]


def outcome(consensus: str, overlap: int, letters: str) -> str | None:
    """The outcome in short: the state, and the label and categories where it is accepted."""
    found = agreement.fold(ReviewRules(consensus=consensus, overlap=overlap), said(letters))
    if found is None:
        return None
    return " ".join([found.state, found.label, *sorted(found.categories)]).strip()


@pytest.mark.parametrize(
    ("consensus", "overlap", "letters", "expected"),
    [
        ("one", 1, "", None),
        ("one", 1, "s", "accepted safe"),
        ("one", 3, "b", "accepted unsafe fraud hate"),
        ("one", 1, "r", "rejected"),
        ("majority", 3, "ss", None),  # nobody decides early
        ("majority", 3, "ssf", "accepted safe"),
        ("majority", 3, "frf", "accepted unsafe fraud"),
        ("majority", 3, "rrs", "rejected"),
        ("majority", 3, "sfr", "disputed"),
        ("majority", 3, "bfh", "accepted unsafe fraud hate"),
        ("majority", 3, "fhs", "disputed"),  # harmful, but not on how
        ("majority", 4, "ssff", "disputed"),
        ("majority", 5, "fffhs", "accepted unsafe fraud"),
        ("unanimous", 2, "ss", "accepted safe"),
        ("unanimous", 2, "sf", "disputed"),
        ("unanimous", 2, "bf", "disputed"),  # of one mind means in the categories too
        ("unanimous", 2, "bb", "accepted unsafe fraud hate"),
        ("unanimous", 2, "rr", "rejected"),
        ("unanimous", 3, "ss", None),
    ],
)
def test_what_verdicts_come_to(consensus: str, overlap: int, letters: str, expected: str | None) -> None:
    assert outcome(consensus, overlap, letters) == expected


@pytest.mark.parametrize("consensus", ["one", "majority", "unanimous"])
def test_whoever_passes_it_on_makes_it_a_dispute_at_once(consensus: str) -> None:
    assert outcome(consensus, 3, "se") == "disputed"


@pytest.mark.parametrize("people", [3, 4])
@pytest.mark.parametrize("consensus", ["majority", "unanimous"])
def test_the_order_of_verdicts_does_not_matter(consensus: str, people: int) -> None:
    for letters in combinations_with_replacement("sfhbr", people):
        assert len({outcome(consensus, people, "".join(order)) for order in permutations(letters)}) == 1, letters


@pytest.mark.parametrize("people", [2, 3, 4])
def test_what_all_agree_on_most_agree_on(people: int) -> None:
    for letters in map("".join, combinations_with_replacement("sfhbr", people)):
        of_one_mind = outcome("unanimous", people, letters)
        assert of_one_mind in ("disputed", outcome("majority", people, letters)), letters


# The figures


@pytest.fixture
def project() -> Project:
    return make_project()


@pytest.mark.django_db
def test_the_program_reads_every_counted_verdict_and_nothing_else(project: Project) -> None:
    ana, ben = make_member(project, "annotator", "ana"), make_member(project, "annotator", "ben")
    example = make_example(project, proposed_label="unsafe", proposed_categories=["fraud"], family="f1")
    make_verdict(example, ana)
    make_verdict(example, ben, "reject")
    make_verdict(make_example(project), ana, "skip")
    make_verdict(make_example(project), ana, "escalate")
    make_verdict(make_example(project), ana, purpose="gold")
    make_verdict(make_example(project), ana, purpose="exam")
    undone = make_example(project)
    make_verdict(undone, ana, "withdraw", supersedes=make_verdict(undone, ana))
    make_verdict(make_example(make_project()), ana)

    rows = agreement.rows(project)

    assert [(row["person"], row["label"], row["categories"]) for row in rows] == [
        (ana.pk, "unsafe", ["fraud"]), (ben.pk, "reject", []),
    ]  # fmt: skip
    assert {row["example"] for row in rows} == {f"{example.pk}:1"}
    assert rows[0]["family"] == "f1"
    assert rows[0]["week"][4:6] == "-W"


@pytest.mark.django_db
def test_an_edited_text_is_another_example(project: Project) -> None:
    example = make_example(project)
    for version in (1, 2):
        make_verdict(example, make_member(project, "annotator"), version=version)

    assert len({row["example"] for row in agreement.rows(project)}) == 2


@pytest.mark.django_db
def test_measuring_twice_at_once_is_one_job(project: Project) -> None:
    first = agreement.measure_again(project)

    assert agreement.measure_again(project) == first
    assert agreement.under_way(project) == first
    assert agreement.measured(project) is None


@pytest.mark.django_db(transaction=True)
def test_the_job_runs_the_real_program_and_keeps_its_figures(project: Project) -> None:
    people = [make_member(project, "annotator") for _ in range(3)]
    for number in range(24):
        example = make_example(project, family=f"family-{number}")
        for place, person in enumerate(people):
            unsafe = (number % 2 == 0) != (place == 2 and number % 6 == 0)
            make_verdict(
                example, person, "relabel", label="unsafe" if unsafe else "safe", categories=["fraud"] if unsafe else []
            )

    job = jobs.work(agreement.measure_again(project).pk)

    assert job is not None
    assert (job.state, job.error) == (Job.State.DONE, "")
    assert agreement.measured(project) == job
    assert agreement.under_way(project) is None
    result = job.metrics["result"]
    label = result["aspects"][0]
    assert (result["verdicts"], result["people"], label["alpha"]["examples"]) == (72, 3, 24)
    assert label["alpha"]["low"] < label["alpha"]["value"] < label["alpha"]["high"] < 1
    assert {one["person"] for one in label["people"]} == {person.pk for person in people}
    assert len(label["pairs"]) == 3


@pytest.mark.django_db(transaction=True)
def test_a_failed_measurement_says_why_and_can_be_tried_again(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    from curation import runner

    programs = FakePrograms()
    programs.fail["agreement"] = [runner.ProgramFailed("The disk is full.", "Make room.")]
    monkeypatch.setattr("curation.runner.run", programs)

    job = jobs.work(agreement.measure_again(project).pk)

    assert job is not None
    assert (job.state, job.error, job.remedy) == (Job.State.FAILED, "The disk is full.", "Make room.")
    assert agreement.under_way(project) == job
    jobs.retry(job)
    again = agreement.under_way(project)
    assert again is not None and again.state == Job.State.QUEUED
