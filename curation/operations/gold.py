"""Questions with a known answer, mixed into the queue.

The queue asks `due` what to mix in; judging asks `feedback` before it stores the verdict and calls `judged` after, in
the same transaction.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from itertools import zip_longest
from typing import TYPE_CHECKING, Any

from django.db.models import Count, Exists, F, OuterRef, Q, QuerySet
from django.db.models.functions import Now
from django.utils.translation import gettext as _

from curation.models import AuditEntry, Example, GoldQuestion, Lease, OptOut, Project, Purpose, ReviewRules, Verdict
from curation.models.example import Label
from curation.models.gold import Standing
from curation.models.project import REVIEWERS
from curation.operations import Refused

if TYPE_CHECKING:
    from django.contrib.auth.models import User

    from curation.operations.wellbeing import Care


# At the desk


def due(
    project: Project, reviewer: User, rules: ReviewRules, free: int, care: Care | None = None
) -> list[tuple[int, Purpose]]:
    """Ids of examples that this claim of `free` items shall mix in, each with what it is for. The queue leases them.

    What `care` leaves out is left out here too, and severe ones beyond its limit.
    """
    wanted = sum(random.random() < rules.gold_rate for _ in range(free)) if rules.gold_rate else 0
    if not wanted:
        return []
    found = list(unanswered(project, reviewer).values_list("example", "example__proposed_categories"))
    picked: list[tuple[int, Purpose]] = []
    left = None if care is None else care.severe_left
    for pk, proposed in random.sample(found, len(found)):
        if len(picked) == wanted:
            break
        if care is not None and not care.avoid.isdisjoint(proposed):
            continue
        if care is not None and left is not None and not care.severe.isdisjoint(proposed):
            if left == 0:
                continue
            left -= 1
        picked.append((pk, Purpose.GOLD))
    return picked


def unanswered(project: Project, reviewer: User) -> QuerySet[GoldQuestion]:
    """Active questions whose example this person never judged, outside what they opted out of."""
    avoided = OptOut.objects.filter(user=reviewer, project=project).values_list("category", flat=True)
    seen = Verdict.objects.filter(example=OuterRef("example"), reviewer=reviewer)
    held = Lease.objects.open().filter(example=OuterRef("example"), reviewer=reviewer)
    active = GoldQuestion.objects.filter(project=project, active=True).exclude(Exists(seen) | Exists(held))
    return active.exclude(Q(categories__overlap=list(avoided)) | Q(example__proposed_categories__overlap=list(avoided)))


def is_right(question: GoldQuestion, label: str, categories: Sequence[str]) -> bool:
    """The same label and, where it is unsafe, at least one of the right categories."""
    if label != question.label:
        return False
    return label != Label.UNSAFE or bool(set(categories) & set(question.categories))


def feedback(lease: Lease, decision: str, label: str, categories: list[str]) -> dict[str, Any] | None:
    """What the person is told after answering a known question; None where nothing is told."""
    if lease.purpose != Purpose.GOLD or decision in (Verdict.Decision.SKIP, Verdict.Decision.ESCALATE):
        return None
    question = GoldQuestion.objects.filter(example=lease.example_id).first()
    if question is None or not lease.project.review_rules.gold_feedback:
        return None
    return {
        "right": is_right(question, label, categories),
        "explanation": question.explanation or answer_in_words(question),
    }


def answer_in_words(question: GoldQuestion) -> str:
    """The right answer as a sentence, for questions without an explanation."""
    if not question.label:
        return _("It should be rejected.")
    names = question.project.category_names()
    kinds = ", ".join(names.get(key, key) for key in question.categories)
    return _("It is unsafe: %(kinds)s.") % {"kinds": kinds} if kinds else _("It is safe.")


def judged(verdict: Verdict) -> None:
    """Note an answer to a known question: who falls below the bar is paused until a lead lets them go on."""
    if verdict.purpose != Purpose.GOLD or verdict.reviewer is None:
        return
    project = verdict.example.project
    rules = project.review_rules
    last = results(project, verdict.reviewer)[-rules.gold_window :]
    if len(last) >= rules.gold_window and sum(last) < rules.gold_bar * len(last):
        stop(project, verdict.reviewer, _("%(right)d of the last %(all)d.") % {"right": sum(last), "all": len(last)})


def answers(project: Project) -> QuerySet[Verdict]:
    """Current answers to known questions that were mixed into the queue; a skip is none."""
    undecided = (Verdict.Decision.SKIP, Verdict.Decision.ESCALATE)
    found = Verdict.objects.current().by_people().filter(purpose=Purpose.GOLD, example__project=project)
    return found.filter(example__gold__isnull=False).exclude(decision__in=undecided)


def results(project: Project, reviewer: User) -> list[bool]:
    """Whether each answer was right, oldest first, since a lead last let this person go on."""
    mine = answers(project).filter(reviewer=reviewer).select_related("example__gold").order_by("pk")
    standing = Standing.objects.filter(project=project, user=reviewer).exclude(resumed_at=None).first()
    if standing is not None and standing.resumed_at is not None:
        mine = mine.filter(created_at__gt=standing.resumed_at)
    return [is_right(one.example.gold, one.label, one.categories) for one in mine]


def stop(project: Project, reviewer: User, reason: str, by: User | None = None) -> None:
    """Hand this person nothing more until a lead lets them go on."""
    Standing.objects.get_or_create(project=project, user=reviewer)
    if Standing.objects.filter(project=project, user=reviewer, paused_at=None).update(
        paused_at=Now(), reason=reason[:300]
    ):
        AuditEntry.objects.create(
            project=project, actor=by, action="reviewer-paused", subject=f"user:{reviewer.pk}",
            detail={"reason": reason[:300]},
        )  # fmt: skip


def resume(project: Project, reviewer: User, by: User) -> None:
    """Let a paused person go on; their answers count anew from here.

    Raises:
        Refused: they are not paused.
    """
    paused = Standing.objects.filter(project=project, user=reviewer, paused_at__isnull=False)
    if not paused.update(paused_at=None, reason="", resumed_by=by, resumed_at=Now()):
        raise Refused("This person is not paused.", "Load the page again.")
    AuditEntry.objects.create(project=project, actor=by, action="reviewer-resumed", subject=f"user:{reviewer.pk}")


# Making questions


def add(
    project: Project, by: User, example: Example, label: str, categories: Sequence[str], explanation: str = ""
) -> GoldQuestion:
    """Make a known question of an example.

    Raises:
        Refused: it is one already, or still waits for people.
    """
    if GoldQuestion.objects.filter(example=example).exists():
        raise Refused(f"Example {example.pk} is a known question already.", "Choose another one.", field="example")
    if example.state in (Example.State.QUEUED, Example.State.DISPUTED):
        raise Refused(f"Example {example.pk} still waits for people.", "Choose a decided one.", field="example")
    known = project.policy_version.keys()
    return GoldQuestion.objects.create(
        project=project, example=example, label=label, categories=[key for key in known if key in categories],
        explanation=explanation, source=GoldQuestion.Source.LEAD, created_by=by,
    )  # fmt: skip


def write(
    project: Project, by: User, text: str, shown: tuple[str, list[str]], right: tuple[str, list[str]], explanation: str
) -> GoldQuestion:
    """Make a known question of a text that a lead wrote; `shown` is what the desk proposes, `right` the answer.

    It never enters the queue or a training set: it stays new, outside every round.

    Raises:
        Refused: the text is there already.
    """
    example = Example(
        project=project, text=text, origin=Example.Origin.HUMAN, state=Example.State.NEW, proposed_label=shown[0],
        proposed_categories=shown[1], family="", stage="known-question",
    )  # fmt: skip
    example.stamp()
    if project.examples.filter(text_hash=example.text_hash).exists():
        raise Refused("This text is in the project already.", "Make a known question of that example.", field="text")
    example.family = f"known-{example.text_hash[:40]}"
    example.save()
    return add(project, by, example, *right, explanation)


def agreed(project: Project) -> QuerySet[Example]:
    """Decided examples that two or more people judged alike, nobody otherwise, and that are no questions yet."""
    counted = Verdict.objects.counted().filter(example=OuterRef("pk"))
    decided = OuterRef("categories")
    other = counted.exclude(label=OuterRef("label"), categories__contains=decided, categories__contained_by=decided)
    ended = project.examples.filter(state__in=[Example.State.ACCEPTED, Example.State.REJECTED], gold=None)
    standing = Q(verdicts__superseded_by=None, verdicts__purpose=Purpose.QUEUE, verdicts__maker=Verdict.Maker.PERSON)
    judged = ~Q(verdicts__decision__in=[Verdict.Decision.SKIP, Verdict.Decision.WITHDRAW])
    many = ended.annotate(people=Count("verdicts__reviewer", filter=standing & judged, distinct=True))
    return many.filter(people__gte=2).exclude(Exists(other))


def take_agreed(project: Project, by: User, wanted: int) -> int:
    """Make known questions of agreed examples; return how many.

    The labels take turns, and within a label its categories. In each, those whose proposal was wrong come first:
    approving everything must not look like judging.
    """
    found = agreed(project).annotate(turned=~Q(label=F("proposed_label"))).order_by("-turned", "-pk")
    kinds: dict[str, dict[str, list[Example]]] = {}
    for example in found[: wanted * 20]:
        kind = (*example.categories, "")[0]
        kinds.setdefault(example.label, {}).setdefault(kind, []).append(example)
    chosen = _in_turn([_in_turn(list(group.values())) for group in kinds.values()])
    made = [
        GoldQuestion(
            project=project, example=one, label=one.label, categories=one.categories, created_by=by,
            source=GoldQuestion.Source.AGREED,
        )
        for one in chosen[:wanted]
    ]  # fmt: skip
    return len(GoldQuestion.objects.bulk_create(made, ignore_conflicts=True))


def _in_turn(groups: Sequence[Sequence[Example]]) -> list[Example]:
    """The first of each group, then the second of each, until all are through."""
    return [one for row in zip_longest(*groups) for one in row if one is not None]


def with_answers(project: Project) -> list[dict[str, Any]]:
    """Every question with how many answered it and how many rightly: what most get wrong may itself be wrong."""
    tally: dict[int, list[bool]] = {}
    for answer in answers(project).select_related("example__gold"):
        question = answer.example.gold
        tally.setdefault(question.pk, []).append(is_right(question, answer.label, answer.categories))
    questions = GoldQuestion.objects.filter(project=project).select_related("example").order_by("-active", "-pk")
    rows: list[dict[str, Any]] = []
    for one in questions:
        given = tally.get(one.pk, [])
        doubtful = len(given) >= 3 and sum(given) * 2 < len(given)
        rows.append({"question": one, "answers": len(given), "right": sum(given), "doubtful": doubtful})
    return rows


def reviewers(project: Project) -> QuerySet[Any]:
    """The memberships of those who may judge here, by name."""
    return project.memberships.filter(role__in=REVIEWERS).select_related("user").order_by("user__username")
