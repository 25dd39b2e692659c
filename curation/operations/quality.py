"""What one person's work looks like: how much, how fast by active time, how right, and what it cost them to read.

Shown first to the person and then to leads; never ranked. How much somebody read of the severe is theirs alone: leads
see it for groups of five or more.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import date, timedelta
from statistics import NormalDist, median
from typing import TYPE_CHECKING, Any

from django.db.models import Count, F, FloatField, OuterRef, Q, Subquery, Sum
from django.db.models.aggregates import Aggregate
from django.db.models.functions import TruncDate
from django.utils import timezone

from curation.models import Adjudication, Example, Project, Purpose, Standing, Verdict
from curation.models.review import VerdictQuerySet
from curation.operations import gold
from curation.operations.wellbeing import ACTIVE, severe_keys

if TYPE_CHECKING:
    from django.contrib.auth.models import User

_DAY = timedelta(days=1)
SPAN = 30 * _DAY
GROUP = 5  # people: a figure of fewer could be told apart
CONFIDENCE = 0.95
DECIDED = F("example__categories")
# As the example was decided, in whatever order the categories stand.
AS_DECIDED = Q(label=F("example__label"), categories__contains=DECIDED, categories__contained_by=DECIDED)
SHOWN = 20  # cases on a person's page
UNDECIDED = (Verdict.Decision.SKIP, Verdict.Decision.ESCALATE)


class Percentile(Aggregate):
    """A percentile that PostgreSQL computes: `Percentile("seconds", share=0.5)` is the median."""

    function = "percentile_cont"
    template = "%(function)s(%(share)s) WITHIN GROUP (ORDER BY %(expressions)s)"
    output_field = FloatField()

    def __init__(self, expression: Any, share: float, **extra: Any) -> None:
        super().__init__(expression, share=float(share), **extra)


@dataclass(frozen=True, slots=True)
class Share:
    """So many of so many, with Wilson's interval; no share where there are none."""

    part: int
    whole: int

    @property
    def value(self) -> float | None:
        return self.part / self.whole if self.whole else None

    @property
    def low(self) -> float | None:
        return wilson(self.part, self.whole)[0] if self.whole else None

    @property
    def high(self) -> float | None:
        return wilson(self.part, self.whole)[1] if self.whole else None


def wilson(part: int, whole: int) -> tuple[float, float]:
    """Wilson's interval of a share (Wilson 1927), which keeps within 0 and 1 and holds for small numbers."""
    z = NormalDist().inv_cdf((1 + CONFIDENCE) / 2)
    share, spread = part / whole, z * z / whole
    middle = share + spread / 2
    reach = z * (share * (1 - share) / whole + spread / (4 * whole)) ** 0.5
    return max(0.0, (middle - reach) / (1 + spread)), min(1.0, (middle + reach) / (1 + spread))


@dataclass(frozen=True, slots=True)
class Work:
    """One person's last thirty days in a project."""

    verdicts: int
    seconds: float | None  # median of active time
    quick: float | None  # a quarter of the verdicts took less,
    slow: float | None  # a quarter took longer
    gold: Share  # known questions answered rightly, since they count anew
    settled: Share  # decided examples of several people that ended as this person said
    reversed: Share  # adjudications that went against them
    standing: Standing | None


def of(project: Project, user: User) -> Work:
    """What one person did here in the last thirty days."""
    mine = _lately(project, user)
    pace = mine.exclude(bulk__isnull=False).aggregate(
        middle=Percentile(ACTIVE, 0.5), low=Percentile(ACTIVE, 0.25), high=Percentile(ACTIVE, 0.75)
    )
    answers = gold.results(project, user)
    return Work(
        verdicts=mine.count(), seconds=pace["middle"], quick=pace["low"], slow=pace["high"],
        gold=Share(sum(answers), len(answers)), settled=_settled(project, user), reversed=_reversed(project, user),
        standing=Standing.objects.filter(project=project, user=user).first(),
    )  # fmt: skip


def _lately(project: Project, user: User) -> VerdictQuerySet:
    """Counted verdicts of the span whose time was measured."""
    since = timezone.now() - SPAN
    return Verdict.objects.counted().filter(example__project=project, reviewer=user, created_at__gte=since)


def _settled(project: Project, user: User) -> Share:
    """Of the decided examples that somebody else judged too: how many ended as this person said."""
    others = Verdict.objects.counted().filter(example=OuterRef("example")).exclude(reviewer=user)
    decided = [Example.State.ACCEPTED, Example.State.REJECTED]
    mine = _lately(project, user).exclude(decision__in=UNDECIDED).filter(example__state__in=decided)
    shared = mine.annotate(other=Subquery(others.values("pk")[:1])).filter(other__isnull=False)
    return Share(shared.filter(AS_DECIDED).count(), shared.count())


def _reversed(project: Project, user: User) -> Share:
    """Of the adjudicated examples that this person judged: how many ended otherwise than they said."""
    closed = Adjudication.objects.filter(project=project, verdict__isnull=False).values("example")
    mine = _lately(project, user).exclude(decision__in=UNDECIDED).filter(example__in=closed)
    return Share(mine.exclude(AS_DECIDED).count(), mine.count())


def settled_otherwise(project: Project, user: User) -> list[tuple[Verdict, Adjudication]]:
    """The newest disputes that ended otherwise than this person said, with their verdicts: what one can learn from."""
    closed = Adjudication.objects.filter(project=project, verdict__isnull=False).select_related("verdict")
    mine = _lately(project, user).exclude(decision__in=UNDECIDED).in_bulk(field_name="pk")
    said = {verdict.example_id: verdict for verdict in mine.values()}
    cases = closed.filter(example__in=said).order_by("-closed_at")
    pairs = [(said[case.example_id], case) for case in cases]
    return [(own, case) for own, case in pairs if _differs(own, case.verdict)][:SHOWN]


def _differs(own: Verdict, other: Verdict | None) -> bool:
    return other is not None and (own.label, set(own.categories)) != (other.label, set(other.categories))


def days(project: Project, user: User) -> list[dict[str, Any]]:
    """Verdicts, median seconds and minutes of active time by day, oldest first."""
    found = _lately(project, user).annotate(day=TruncDate("created_at")).values("day")
    rows = found.annotate(verdicts=Count("pk"), middle=Percentile(ACTIVE, 0.5), spent=Sum(ACTIVE)).order_by("day")
    return [{**row, "seconds": row["middle"], "minutes": (row["spent"] or 0) / 60} for row in rows]


# What it cost to read


@dataclass(frozen=True, slots=True)
class Exposure:
    """How much somebody, or a group, read in a week."""

    week: date  # its Monday
    people: int
    severe: float  # texts; for a group the median over its people
    minutes: float


def exposure(project: Project, user: User) -> list[Exposure]:
    """Severe texts and minutes of reading by week, for the person themselves."""
    return [Exposure(week, 1, people[user.pk][0], people[user.pk][1]) for week, people in _weeks(project, user).items()]


def group_exposure(project: Project) -> list[Exposure]:
    """The same for leads: medians of weeks in which five or more people read; other weeks are left out."""
    found = []
    for week, people in _weeks(project).items():
        if len(people) >= GROUP:
            severe, minutes = (median(one[place] for one in people.values()) for place in (0, 1))
            found.append(Exposure(week, len(people), severe, minutes))
    return found


def _weeks(project: Project, user: User | None = None) -> dict[date, dict[int, tuple[int, float]]]:
    """Severe texts and minutes of each person by week, oldest week first, for twelve weeks."""
    read = Verdict.objects.by_people().filter(example__project=project, created_at__gte=timezone.now() - 84 * _DAY)
    read = read.exclude(decision=Verdict.Decision.WITHDRAW).exclude(purpose=Purpose.EXAM)
    read = read.filter(reviewer=user) if user else read
    is_severe = Q(example__proposed_categories__overlap=list(severe_keys(project)))
    by_day = read.annotate(day=TruncDate("created_at")).values("day", "reviewer").order_by("day")
    weeks: dict[date, dict[int, tuple[int, float]]] = defaultdict(dict)
    for row in by_day.annotate(severe=Count("example", filter=is_severe, distinct=True), spent=Sum(ACTIVE)):
        people = weeks[row["day"] - row["day"].weekday() * _DAY]
        severe, minutes = people.get(row["reviewer"], (0, 0.0))
        people[row["reviewer"]] = (severe + row["severe"], minutes + (row["spent"] or 0) / 60)
    return dict(weeks)
