"""How much of what a person reads: stops, limits, breaks, and what is not for them now.

The queue asks `pause` whether to hand out anything, `care_for` what to leave out and `explain` why it found nothing;
the desk asks `sitting_seconds` when a break is due. Where a project and a person both set a limit, the stricter one
holds. Nobody but the person is told what they opted out of, how much they read, or that a limit held.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from django.db import connection
from django.db.models import F, FloatField, Max, Min, Sum, Window
from django.db.models.functions import Coalesce, Lag, Least
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from curation.models import Example, Lease, OptOut, Preferences, Project, ReviewRules, Standing, Verdict
from curation.models.project import LEADS
from curation.operations import exams

if TYPE_CHECKING:
    from django.contrib.auth.models import User

    from curation.models.review import VerdictQuerySet

SEVERE = 3  # severity from which a category counts as severe, of 4
REST = timedelta(minutes=5)  # without a verdict for so long, a sitting is over
UNTRACKED = 120.0  # seconds that a decision counts at most where only the clock, not the touch, was measured
RECENT = 60  # verdicts that tell what somebody just read
ACTIVE = Coalesce("active_seconds", Least(Coalesce("seconds", 0.0), UNTRACKED), output_field=FloatField())

PAUSED = _("A lead will talk with you before you go on: several known questions were answered differently. {reason}")
EXAM = _("Before the first text there is a short exam. You find it under Quality, Exams.")
BUDGET = _("That is enough for today: {minutes} minutes of reading. Everything you did is saved.")
LIMIT = _("What is left is hard to read, and you have had your share. After a break, or tomorrow, there is more.")


@dataclass(frozen=True, slots=True)
class Pause:
    """Nothing is handed out now, and why: budget, paused, exam or limit."""

    kind: str
    message: str


@dataclass(frozen=True, slots=True)
class Care:
    """What a claim leaves out: categories, and severe ones beyond `severe_left` (None sets no limit)."""

    avoid: frozenset[str] = frozenset()
    severe: frozenset[str] = frozenset()
    severe_left: int | None = None


@dataclass(frozen=True, slots=True)
class Limits:
    """The stricter of what the project and the person set; 0 sets no limit."""

    severe_in_row: int = 0
    severe_per_day: int = 0
    break_after_minutes: int = 0
    daily_budget_minutes: int = 0

    @classmethod
    def of(cls, rules: ReviewRules, own: Preferences | None) -> Limits:
        """Break nudges are the person's to set; of the others the stricter value holds."""
        own = own or Preferences()
        return cls(
            stricter(rules.severe_in_row, own.severe_in_row),
            stricter(rules.severe_per_day, own.severe_per_day),
            rules.break_after_minutes if own.break_after_minutes is None else own.break_after_minutes,
            stricter(rules.daily_budget_minutes, own.daily_budget_minutes),
        )


def stricter(project: int, own: int | None) -> int:
    """The lower limit of two, where 0 and None set none."""
    return min((value for value in (project, own) if value), default=0)


def limits_for(reviewer: User, rules: ReviewRules) -> Limits:
    return Limits.of(rules, Preferences.of(reviewer))


# Stops and breaks


def pause(project: Project, reviewer: User, rules: ReviewRules) -> Pause | None:
    """Why this person gets nothing now; None where they do."""
    standing = Standing.objects.filter(project=project, user=reviewer).first()
    if standing is not None and standing.is_paused:
        return Pause("paused", PAUSED.format(reason=standing.reason).strip())
    if rules.exam_required and project.role_of(reviewer) not in LEADS and exams.has_none(project, reviewer, rules):
        return Pause("exam", str(EXAM))
    budget = limits_for(reviewer, rules).daily_budget_minutes
    if budget and spent_today(reviewer) >= budget * 60:
        return Pause("budget", BUDGET.format(minutes=budget))
    return None


def explain(project: Project, reviewer: User, rules: ReviewRules) -> Pause | None:
    """Why the queue may have found nothing although something waits: a limit held."""
    return Pause("limit", str(LIMIT)) if care_for(project, reviewer, rules).severe_left == 0 else None


def sitting_seconds(reviewer: User, back: timedelta) -> float:
    """How long the current sitting has lasted, as far as one looks `back`; 0 where the person was away.

    The desk counts on from here, so that loading it again does not put off a break.
    """
    now = timezone.now()
    latest = Verdict.objects.by_people().filter(reviewer=reviewer, created_at__gt=now - back - REST)
    ends = latest.aggregate(first=Min("created_at"), last=Max("created_at"))
    if ends["last"] is None or now - ends["last"] > REST:
        return 0.0
    before = Window(Lag("created_at"), order_by=F("created_at").asc())
    gaps = latest.annotate(gap=F("created_at") - before).filter(gap__gt=REST)
    began: datetime = gaps.aggregate(at=Max("created_at"))["at"] or ends["first"]
    return (now - began).total_seconds()


def today() -> datetime:
    """Midnight of the site's time zone."""
    return timezone.localtime().replace(hour=0, minute=0, second=0, microsecond=0)


def spent_today(reviewer: User) -> float:
    """Active seconds of reading since midnight, over all projects."""
    return float(read_today(reviewer).aggregate(spent=Sum(ACTIVE))["spent"] or 0.0)


def read_today(reviewer: User) -> VerdictQuerySet:
    """What this person judged since midnight; what they took back was read all the same."""
    mine = Verdict.objects.by_people().filter(reviewer=reviewer, created_at__gte=today())
    return mine.exclude(decision=Verdict.Decision.WITHDRAW)


# What to leave out


def care_for(project: Project, reviewer: User, rules: ReviewRules) -> Care:
    """What to leave out of this person's queue. Nobody is told what they opted out of."""
    limits = limits_for(reviewer, rules)
    avoid = set(OptOut.objects.filter(user=reviewer, project=project).values_list("category", flat=True))
    if rules.exam_required and project.role_of(reviewer) not in LEADS:
        avoid |= exams.missing(project, reviewer, rules)
    severe = severe_keys(project)
    read = recently_read(project, reviewer) if severe or rules.rotate_after_minutes else []
    tired = overdone(read, rules.rotate_after_minutes * 60)
    if tired and _others_wait(project, avoid | tired):
        avoid |= tired
    return Care(frozenset(avoid), severe, _severe_left(project, reviewer, rules, limits, severe, read))


def after(care: Care, leases: Sequence[Lease]) -> Care:
    """What to leave out once these leases are in hand: what is severe among them counts."""
    if care.severe_left is None or not leases:
        return care
    taken = Example.objects.filter(pk__in=[lease.example_id for lease in leases])
    count = taken.filter(proposed_categories__overlap=list(care.severe)).count()
    return replace(care, severe_left=max(0, care.severe_left - count))


def severe_keys(project: Project) -> frozenset[str]:
    """Categories that count as severe here."""
    return frozenset(one.key for one in project.policy_version.taxonomy if one.severity >= SEVERE)


@dataclass(frozen=True, slots=True)
class Read:
    """One text that somebody read: its categories, and for how long."""

    categories: tuple[str, ...]
    seconds: float
    at: datetime


# Asked at every claim, so it is written once as SQL: the newest verdicts first, then what is in hand, in its order.
RECENTLY_READ = """
(SELECT CASE WHEN e.categories = '{}' THEN e.proposed_categories ELSE e.categories END,
    coalesce(v.active_seconds, least(coalesce(v.seconds, 0), %(untracked)s)), v.created_at
 FROM curation_verdict v JOIN curation_example e ON e.id = v.example_id
 WHERE v.reviewer_id = %(reviewer)s AND v.maker = 'person' AND v.decision <> 'withdraw' AND e.project_id = %(project)s
 ORDER BY v.id DESC LIMIT %(most)s)
UNION ALL
(SELECT e.proposed_categories, NULL, statement_timestamp()
 FROM curation_lease l JOIN curation_example e ON e.id = l.example_id
 WHERE l.reviewer_id = %(reviewer)s AND l.project_id = %(project)s AND l.closed_at IS NULL
 AND l.expires_at > statement_timestamp() ORDER BY l.id)
"""


def recently_read(project: Project, reviewer: User) -> list[Read]:
    """What this person read in the current sitting, the newest last; what they hold now comes after it, unread."""
    values = {"reviewer": reviewer.pk, "project": project.pk, "untracked": UNTRACKED, "most": RECENT}
    with connection.cursor() as cursor:
        cursor.execute(RECENTLY_READ, values)
        rows = cursor.fetchall()
    in_hand = [Read(tuple(categories), 0.0, at) for categories, spent, at in rows if spent is None]
    read, until = [], timezone.now()
    for categories, spent, at in (row for row in rows if row[1] is not None):
        if until - at > REST:
            break
        read.append(Read(tuple(categories), spent, at))
        until = at
    return [*reversed(read), *in_hand]


def run_of_severe(read: Iterable[Sequence[str]], severe: frozenset[str]) -> int:
    """How many severe texts in a row came last, from the categories of each, the newest last."""
    run = 0
    for categories in read:
        run = run + 1 if severe.intersection(categories) else 0
    return run


def overdone(read: Sequence[Read], longest: float) -> set[str]:
    """Categories that took more than half of the last `longest` seconds of reading; none before so long was read."""
    if not longest or sum(one.seconds for one in read) < longest:
        return set()
    spent: dict[str, float] = defaultdict(float)
    left = longest
    for one in reversed(read):
        for category in one.categories:
            spent[category] += min(one.seconds, left)
        left -= min(one.seconds, left)
        if left <= 0:
            break
    return {category for category, seconds in spent.items() if seconds > longest / 2}


def _others_wait(project: Project, avoided: set[str]) -> bool:
    """Whether anything waits outside these categories: rotation is a wish, it never empties a queue."""
    waiting = project.examples.filter(state="queued")
    return waiting.exclude(proposed_categories__overlap=list(avoided)).exists()


def _severe_left(
    project: Project, reviewer: User, rules: ReviewRules, limits: Limits, severe: frozenset[str], read: list[Read]
) -> int | None:
    if not severe:
        return None
    if rules.end_on_harmless and is_ending(reviewer, limits, rules.end_on_harmless):
        return 0
    left = []
    if limits.severe_in_row:
        left.append(limits.severe_in_row - run_of_severe((one.categories for one in read), severe))
    if limits.severe_per_day:
        left.append(limits.severe_per_day - severe_today(project, reviewer, severe))
    return max(0, min(left)) if left else None


def is_ending(reviewer: User, limits: Limits, last: int) -> bool:
    """Whether what is left of today's budget is about the time of the `last` texts, which shall be harmless."""
    budget = limits.daily_budget_minutes * 60
    if not budget:
        return False
    spent, texts = spent_today(reviewer), read_today(reviewer).count()
    return budget - spent <= last * spent / max(1, texts)


def severe_today(project: Project, reviewer: User, severe: frozenset[str]) -> int:
    """How many severe texts this person has read here since midnight, with those in hand."""
    keys = list(severe)
    mine = read_today(reviewer).filter(example__project=project, example__proposed_categories__overlap=keys)
    read = mine.values("example").distinct().count()
    held = Lease.objects.of(reviewer, project).live().filter(example__proposed_categories__overlap=keys).count()
    return read + held
