from __future__ import annotations

import random
from typing import Any

import pytest
from django.db.models.functions import Now
from django.test import Client
from django.urls import reverse

from curation.models import AuditEntry, Example, GoldQuestion, Lease, OptOut, Project, Purpose, Standing
from curation.operations import Refused, gold, wellbeing
from curation.operations.wellbeing import Care
from tests.factories import make_example, make_gold, make_lease, make_member, make_project, make_rules, make_verdict

pytestmark = pytest.mark.django_db


@pytest.fixture
def project() -> Project:
    return make_project()


@pytest.fixture
def ana(project: Project) -> Any:
    return make_member(project, "annotator", "ana")


def question(
    project: Project, label: str = "unsafe", categories: tuple[str, ...] = ("fraud",), **fields: Any
) -> GoldQuestion:
    proposed = {"proposed_label": "unsafe", "proposed_categories": ["fraud"], "state": "accepted"}
    return make_gold(make_example(project, **{**proposed, **fields}), label=label, categories=list(categories))


def answer(one: GoldQuestion, reviewer: Any, right: bool = True) -> None:
    label = one.label if right else "safe" if one.label == "unsafe" else "unsafe"
    verdict = make_verdict(
        one.example,
        reviewer,
        "relabel",
        purpose="gold",
        label=label,
        categories=one.categories if label == "unsafe" else [],
    )
    gold.judged(verdict)


@pytest.mark.parametrize(
    ("label", "categories", "right"),
    [
        ("unsafe", ["fraud"], True), ("unsafe", ["hate", "fraud"], True), ("unsafe", ["hate"], False),
        ("unsafe", [], False), ("safe", [], False), ("", [], False),
    ],
)  # fmt: skip
def test_an_answer_is_right_with_the_label_and_one_of_the_categories(
    label: str, categories: list[str], right: bool
) -> None:
    assert gold.is_right(GoldQuestion(label="unsafe", categories=["fraud"]), label, categories) is right


def test_a_question_that_is_to_be_rejected_is_answered_by_rejecting() -> None:
    assert gold.is_right(GoldQuestion(label=""), "", [])
    assert not gold.is_right(GoldQuestion(label=""), "safe", [])


def test_questions_come_at_the_set_rate(project: Project, ana: Any) -> None:
    for _ in range(12):
        question(project)
    rules = make_rules(project, gold_rate=0.25)
    random.seed(4)

    mixed = [len(gold.due(project, ana, rules, 6)) for _ in range(400)]

    # 2400 draws at 0.25: four standard deviations are 85.
    assert abs(sum(mixed) - 600) < 85
    assert len(set(mixed)) > 3  # and nobody can count on where
    assert all(purpose == Purpose.GOLD for _, purpose in gold.due(project, ana, make_rules(project, gold_rate=0.5), 6))


def test_without_a_rate_or_without_questions_none_comes(project: Project, ana: Any) -> None:
    assert gold.due(project, ana, make_rules(project, gold_rate=0.5), 50) == []
    question(project)
    assert gold.due(project, ana, make_rules(project, gold_rate=0), 50) == []


def test_nobody_gets_a_question_twice_or_one_of_what_they_judged_opted_out_of_or_hold(
    project: Project, ana: Any
) -> None:
    rules = make_rules(project, gold_rate=0.5)
    answered, judged, held, retired, hate, left = (question(project) for _ in range(6))
    answer(answered, ana)
    make_verdict(judged.example, ana)
    make_lease(held.example, ana, purpose="gold")
    GoldQuestion.objects.filter(pk=retired.pk).update(active=False)
    GoldQuestion.objects.filter(pk=hate.pk).update(categories=["hate"])
    OptOut.objects.create(user=ana, project=project, category="hate")
    question(make_project())

    assert {pk for pk, _ in gold.due(project, ana, rules, 50)} == {left.example_id}


def test_known_questions_keep_to_what_is_left_out_and_to_the_limit_of_severe_ones(project: Project, ana: Any) -> None:
    rules = make_rules(project, gold_rate=0.5)
    for category in ("hate", "hate", "hate", "fraud", "child-exploitation"):
        question(project, proposed_categories=[category])
    care = Care(avoid=frozenset(["child-exploitation"]), severe=frozenset(["hate"]), severe_left=1)

    due = gold.due(project, ana, rules, 100, care)

    asked = Example.objects.filter(pk__in=[pk for pk, _ in due])
    assert sorted(one.proposed_categories[0] for one in asked) == ["fraud", "hate"]
    assert len(gold.due(project, ana, rules, 100)) == 5


def test_feedback_is_told_only_where_the_project_says_so_and_only_for_known_questions(
    project: Project, ana: Any
) -> None:
    one = question(project)
    known = make_lease(one.example, ana, purpose="gold")
    other = make_lease(make_example(project), ana)

    assert gold.feedback(known, "accept", "unsafe", ["fraud"]) is None
    make_rules(project, gold_feedback=True)
    known.refresh_from_db()
    assert gold.feedback(known, "accept", "unsafe", ["fraud"]) == {"right": True, "explanation": "It is unsafe: Fraud."}
    assert gold.feedback(known, "relabel", "safe", [])["right"] is False  # type: ignore[index]
    assert gold.feedback(known, "skip", "", []) is None
    assert gold.feedback(other, "accept", "safe", []) is None


def test_whoever_falls_below_the_bar_is_paused_and_a_lead_lets_them_go_on(project: Project, ana: Any) -> None:
    make_rules(project, gold_rate=0.2, gold_window=4, gold_bar=0.75)
    lead = make_member(project, "lead")
    for right in (True, True, True, False):
        answer(question(project), ana, right)
    assert wellbeing.pause(project, ana, project.review_rules) is None  # three of four: at the bar

    answer(question(project), ana, right=False)
    stop = wellbeing.pause(project, ana, project.review_rules)
    assert stop is not None
    assert (stop.kind, "2 of the last 4" in stop.message) == ("paused", True)

    gold.resume(project, ana, lead)
    assert wellbeing.pause(project, ana, project.review_rules) is None
    answer(question(project), ana, right=False)  # one wrong answer after it does not pause at once
    assert wellbeing.pause(project, ana, project.review_rules) is None
    assert list(AuditEntry.objects.filter(project=project).order_by("pk").values_list("action", "actor")) == [
        ("reviewer-paused", None), ("reviewer-resumed", lead.pk),
    ]  # fmt: skip


def test_answers_that_were_taken_back_do_not_count(project: Project, ana: Any) -> None:
    one = question(project)
    verdict = make_verdict(one.example, ana, "relabel", purpose="gold", label="safe")
    make_verdict(one.example, ana, "withdraw", supersedes=verdict)

    assert gold.results(project, ana) == []


def test_only_a_paused_person_can_be_let_go_on(project: Project, ana: Any) -> None:
    with pytest.raises(Refused, match="not paused"):
        gold.resume(project, ana, ana)


def test_a_pause_in_one_project_is_none_in_another(project: Project, ana: Any) -> None:
    other = make_project()
    gold.stop(other, ana, "6 of the last 10.")

    assert wellbeing.pause(project, ana, project.review_rules) is None
    assert Standing.objects.get(user=ana).project == other


def test_questions_are_taken_from_what_several_people_agreed_on(project: Project, ana: Any) -> None:
    ben, lead = make_member(project, "annotator", "ben"), make_member(project, "lead")
    unsafe = {
        "state": "accepted",
        "proposed_label": "unsafe",
        "proposed_categories": ["fraud"],
        "label": "unsafe",
        "categories": ["fraud"],
    }
    both, one, torn, undone = (make_example(project, **unsafe) for _ in range(4))
    turned = make_example(project, **{**unsafe, "proposed_label": "safe", "proposed_categories": []})
    rejected = make_example(project, state="rejected")
    reordered = make_example(project, **{**unsafe, "categories": ["hate", "fraud"]})
    for reviewer in (ana, ben):
        make_verdict(reordered, reviewer, "relabel", label="unsafe", categories=["fraud", "hate"])
    for example in (both, torn, turned, undone):
        make_verdict(example, ana, "relabel", label="unsafe", categories=["fraud"])
    for example in (both, turned):
        make_verdict(example, ben, "relabel", label="unsafe", categories=["fraud"])
    make_verdict(one, ben)
    make_verdict(torn, ben, "relabel", label="safe")
    make_verdict(undone, ben, "withdraw", supersedes=make_verdict(undone, ben))
    for reviewer in (ana, ben):
        make_verdict(rejected, reviewer, "reject")

    assert set(gold.agreed(project)) == {both, turned, rejected, reordered}
    assert gold.take_agreed(project, lead, 2) == 2
    # Where approving would be wrong comes first.
    assert {one.example for one in GoldQuestion.objects.all()} == {turned, rejected}
    assert gold.take_agreed(project, lead, 10) == 2
    assert gold.take_agreed(project, lead, 10) == 0
    assert GoldQuestion.objects.get(example=rejected).label == ""


def test_questions_are_taken_from_each_label_and_category_in_turn(project: Project, ana: Any) -> None:
    ben, lead = make_member(project, "annotator", "ben"), make_member(project, "lead")
    for category in ("", "", "", "hate", "fraud", "fraud", "fraud", "fraud", "fraud"):
        label, categories = ("unsafe", [category]) if category else ("safe", [])
        example = make_example(
            project, state="accepted", proposed_label=label, proposed_categories=categories, label=label,
            categories=categories,
        )  # fmt: skip
        for reviewer in (ana, ben):
            make_verdict(example, reviewer)

    gold.take_agreed(project, lead, 4)

    made = sorted((one.label, *one.categories) for one in GoldQuestion.objects.all())
    assert made == [("safe",), ("safe",), ("unsafe", "fraud"), ("unsafe", "hate")]


def test_a_lead_writes_a_question_which_never_waits_or_trains(project: Project) -> None:
    lead = make_member(project, "lead")

    made = gold.write(project, lead, "how do i kill a python process", ("unsafe", ["hate"]), ("safe", []), "A program.")

    assert (made.example.state, made.example.proposed_label, made.label) == ("new", "unsafe", "safe")
    assert not project.examples.trainable().exists()
    assert not project.examples.waiting().exists()
    with pytest.raises(Refused, match="already"):
        gold.write(project, lead, "how do i kill a python process", ("safe", []), ("safe", []), "")


@pytest.mark.parametrize("state", ["queued", "disputed"])
def test_what_still_waits_for_people_is_no_known_question(project: Project, ana: Any, state: str) -> None:
    with pytest.raises(Refused, match="still waits"):
        gold.add(project, ana, make_example(project, state=state), "safe", [])


def test_an_example_is_a_question_once(project: Project, ana: Any) -> None:
    one = question(project)

    with pytest.raises(Refused, match="already"):
        gold.add(project, ana, one.example, "safe", [])


def test_what_most_get_wrong_is_marked_as_doubtful(project: Project) -> None:
    hard, easy = question(project), question(project)
    for number in range(3):
        reviewer = make_member(project, "annotator")
        answer(hard, reviewer, right=number == 0)
        answer(easy, reviewer)

    rows = {row["question"].pk: row for row in gold.with_answers(project)}

    assert (rows[hard.pk]["answers"], rows[hard.pk]["right"], rows[hard.pk]["doubtful"]) == (3, 1, True)
    assert (rows[easy.pk]["right"], rows[easy.pk]["doubtful"]) == (3, False)
    assert Example.objects.filter(gold__isnull=False).count() == 2


def test_what_one_is_asked_cannot_be_looked_up_before_the_answer(project: Project, ana: Any, client: Client) -> None:
    known, waiting = question(project), make_example(project, text="waits for its turn")
    Example.objects.filter(pk=known.example_id).update(text="a known question")
    make_lease(known.example, ana, purpose="gold")
    make_lease(waiting, ana)
    listing, page = reverse("examples", args=[project.slug]), reverse("example", args=[project.slug, known.example_id])

    client.force_login(ana)
    shown = client.get(listing).content.decode()
    assert "a known question" not in shown
    assert "waits for its turn" not in shown, "what is missing would tell which is the known one"
    assert "a known question" not in client.get(listing, {"q": "known"}).content.decode()
    answered = client.get(page, follow=True)
    assert answered.redirect_chain[0][0] == reverse("review", args=[project.slug])
    assert "Its page opens once you have answered." in answered.content.decode()
    assert client.get(reverse("example-like", args=[project.slug, known.example_id])).status_code == 302

    Lease.objects.open().filter(reviewer=ana).update(closed_at=Now(), ended="verdict")
    assert "a known question" in client.get(listing).content.decode()
    assert "a known question" in client.get(page).content.decode()

    make_lease(known.example, ana, purpose="gold")
    client.force_login(make_member(project, "lead", "lea"))
    assert "a known question" in client.get(page).content.decode()
