"""The entry exam of a category: known questions, answered at once and graded at once."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from django.core import signing
from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils import timezone

from curation.models import ExamAttempt, GoldQuestion, Project, Purpose, ReviewRules, Verdict
from curation.models.example import Label
from curation.operations import Refused, gold

if TYPE_CHECKING:
    from django.contrib.auth.models import User

WAIT = timedelta(days=1)  # after a failed exam: the questions would still be in mind
LONGEST = 24 * 3600  # seconds that a paper stays valid
SALT = "exam-paper"


@dataclass(frozen=True, slots=True)
class Exam:
    """How one person stands with one category."""

    category: str
    name: str
    questions: int
    last: ExamAttempt | None
    passed: bool
    again_at: datetime | None

    @property
    def is_open(self) -> bool:
        """There is an exam, and this person may take it now."""
        return bool(self.questions) and not self.passed and self.again_at is None


def pool(project: Project, category: str) -> QuerySet[GoldQuestion]:
    """The questions of a category's exam: those of its own, and harmless ones."""
    active = GoldQuestion.objects.filter(project=project, active=True)
    return active.filter(Q(categories__contains=[category]) | Q(label=Label.SAFE))


def sizes(project: Project, rules: ReviewRules) -> dict[str, int]:
    """Questions of each category's exam; 0 where there are too few of its own to make one."""
    active = list(GoldQuestion.objects.filter(project=project, active=True).values_list("label", "categories"))
    safe = sum(label == Label.SAFE for label, _ in active)
    found = {}
    for key in project.category_names():
        own = sum(key in categories for _, categories in active)
        whole = min(rules.exam_size, own + min(own, safe))
        found[key] = whole if whole == rules.exam_size else 0
    return found


def overview(project: Project, user: User, rules: ReviewRules) -> list[Exam]:
    """Every category of the policy with this person's exam in it."""
    last: dict[str, ExamAttempt] = {}
    passed = set()
    for attempt in ExamAttempt.objects.filter(project=project, user=user):
        last[attempt.category] = attempt
        passed |= {attempt.category} if attempt.passed else set()
    counts, now = sizes(project, rules), timezone.now()
    return [
        Exam(key, name, counts[key], last.get(key), key in passed, _again_at(last.get(key), now))
        for key, name in project.category_names().items()
    ]


def _again_at(last: ExamAttempt | None, now: datetime) -> datetime | None:
    return last.at + WAIT if last and not last.passed and last.at + WAIT > now else None


def passed(project: Project, user: User) -> set[str]:
    """Categories whose exam this person has passed."""
    return set(ExamAttempt.objects.filter(project=project, user=user, passed=True).values_list("category", flat=True))


def missing(project: Project, user: User, rules: ReviewRules) -> set[str]:
    """Categories that have an exam which this person has not passed. Without enough questions there is no exam."""
    return {key for key, size in sizes(project, rules).items() if size} - passed(project, user)


def has_none(project: Project, user: User, rules: ReviewRules) -> bool:
    """There are exams, and this person passed not one of them."""
    return any(sizes(project, rules).values()) and not passed(project, user)


def paper(project: Project, user: User, category: str, rules: ReviewRules) -> tuple[list[GoldQuestion], str]:
    """Draw the questions of an exam; return them with the signed paper that `grade` wants back.

    Raises:
        Refused: there is no exam, it is passed already, or it was failed too lately.
    """
    exam = next((one for one in overview(project, user, rules) if one.category == category), None)
    if exam is None or not exam.questions:
        raise Refused("This category has no exam.", "Ask a lead for more known questions.")
    if not exam.is_open:
        raise Refused("This exam cannot be taken now.", "It is passed, or was failed less than a day ago.")
    chosen = _draw(list(pool(project, category).select_related("example")), category, exam.questions, user)
    paper = {"user": user.pk, "category": category, "questions": [one.pk for one in chosen]}
    return chosen, signing.dumps(paper, salt=SALT)


def _draw(found: list[GoldQuestion], category: str, wanted: int, user: User) -> list[GoldQuestion]:
    """About half of the category and half harmless, those first that this person has not answered yet."""
    answered = set(Verdict.objects.filter(reviewer=user, example__gold__in=found).values_list("example", flat=True))
    # Harmless texts that somebody took for this category say more than any other harmless text.
    far = {one.pk for one in found if category not in (*one.categories, *one.example.proposed_categories)}
    order = sorted(found, key=lambda one: (one.example_id in answered, one.pk in far, random.random()))
    own = [one for one in order if category in one.categories]
    other = [one for one in order if category not in one.categories]
    half = max(wanted // 2, wanted - len(other))
    chosen = own[:half] + other[: wanted - half]
    random.shuffle(chosen)
    return chosen


@dataclass(frozen=True, slots=True)
class Graded:
    """One question of an exam with the answer that was given."""

    question: GoldQuestion
    label: str
    categories: list[str]
    right: bool


def grade(
    project: Project, user: User, rules: ReviewRules, signed: str, answers: Mapping[int, tuple[str, list[str]]]
) -> tuple[ExamAttempt, list[Graded]]:
    """Grade a paper and keep every answer; `answers` are label and categories by question.

    Raises:
        Refused: the paper is not this person's, is too old or was handed in already, or a question has no answer.
    """
    try:
        paper = signing.loads(signed, salt=SALT, max_age=LONGEST)
    except signing.BadSignature:
        raise Refused("This paper is too old or was changed.", "Begin the exam again.") from None
    questions = list(GoldQuestion.objects.filter(project=project, pk__in=paper["questions"]).select_related("example"))
    if paper["user"] != user.pk or not questions:
        raise Refused("This paper is somebody else's.", "Begin the exam again.")
    if unanswered := [one for one in questions if one.pk not in answers]:
        raise Refused(f"{len(unanswered)} questions have no answer.", "Answer every one.", field="answers")
    graded = [
        Graded(one, *answers[one.pk], right=gold.is_right(one, *answers[one.pk])) for one in _in_order(questions, paper)
    ]
    return _keep(project, user, rules, paper["category"], graded), graded


def _in_order(questions: list[GoldQuestion], paper: Mapping[str, list[int]]) -> list[GoldQuestion]:
    return sorted(questions, key=lambda one: paper["questions"].index(one.pk))


def _keep(project: Project, user: User, rules: ReviewRules, category: str, graded: list[Graded]) -> ExamAttempt:
    right = sum(one.right for one in graded)
    with transaction.atomic():
        # The membership's row makes a second hand-in of the same paper wait, and then find the first one's attempt.
        project.memberships.select_for_update().get(user=user)
        exam = next(one for one in overview(project, user, rules) if one.category == category)
        if exam.passed or exam.again_at:
            raise Refused("This exam was handed in already.", "Its result stands on the page of exams.")
        Verdict.objects.bulk_create(_verdict(project, user, one) for one in graded)
        return ExamAttempt.objects.create(
            project=project, user=user, category=category, right=right, total=len(graded),
            passed=right >= rules.exam_bar * len(graded),
        )  # fmt: skip


def _verdict(project: Project, user: User, one: Graded) -> Verdict:
    decision = Verdict.Decision.RELABEL if one.label else Verdict.Decision.REJECT
    return Verdict(
        example=one.question.example, reviewer=user, maker=Verdict.Maker.PERSON, decision=decision, label=one.label,
        categories=one.categories, purpose=Purpose.EXAM, version=one.question.example.version,
        policy_version=project.policy_version,
    )  # fmt: skip
