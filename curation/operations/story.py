"""What happened to one example, in the order in which it happened, in words."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import groupby, pairwise
from typing import TYPE_CHECKING

from curation.models import Example, Finding, Provenance, Verdict
from curation.models.project import LEADS
from pipeline.filters import judges_label

if TYPE_CHECKING:
    from django.contrib.auth.models import User

FIRST = datetime.min.replace(tzinfo=UTC)  # before everything that has a time here
ONE_ACT = timedelta(
    seconds=1
)  # a verdict and the move that it makes are written in either order; the verdict reads first
MACHINES = ("guard", "shadow", "judge", "reward")  # scores that tell what a machine thinks
ORIGINS = {
    "seed": "Added as a seed", "human": "Written by a person", "augmented": "Written by a machine",
    "paraphrased": "Rewritten by a machine", "adversarial": "Found by the adversary", "traffic": "Kept of live traffic",
    "template": "One of a contrast pair",
}  # fmt: skip
STATES = {
    "new": "no filter has looked at it yet", "filtered": "a filter advises against it", "queued": "waits for people",
    "accepted": "in the dataset", "rejected": "stays out of the dataset", "disputed": "people differ; one settles it",
    "retired": "out of the queue, undecided",
}  # fmt: skip
USES = {"train": "training", "validation": "choosing thresholds", "evaluation": "measuring guards, never training"}
DECISIONS = {
    "accept": "approved it", "reject": "rejected it", "relabel": "changed the label", "skip": "skipped it",
    "escalate": "handed it to an adjudicator", "withdraw": "took the verdict back",
}  # fmt: skip
MOVES = {
    "filtered": "Set aside by a filter", "queued": "In the queue", "accepted": "Accepted",
    "rejected": "Rejected", "disputed": "Became a dispute", }  # fmt: skip
UNDECIDED = (Example.State.NEW, Example.State.FILTERED, Example.State.QUEUED)
OVERRULED = "a person overruled the filters"
PICTURES = {"accepted": "circle-check", "rejected": "circle-x", "disputed": "scale", "retired": "ban"}


@dataclass(frozen=True)
class Event:
    """One thing that happened. `said` is what somebody wrote: text like any other, hostile until proven otherwise."""

    at: datetime
    icon: str
    words: str
    by: str = ""
    tone: str = ""  # a class of theme.css
    label: str = ""
    categories: Sequence[str] = ()
    said: str = ""
    findings: Sequence[Finding] = ()
    is_void: bool = False  # taken back, or replaced by a later one
    is_outcome: bool = False  # what a verdict came to

    @property
    def is_elsewhere(self) -> bool:
        """Whether it happened before the example came here, nobody knows when."""
        return self.at == FIRST


def of(example: Example, reader: User, role: str | None) -> list[Event]:
    """Everything that happened to an example, the oldest first, as far as this reader may know it."""
    blind = is_blind(example, role)
    events = [_made(example), *_filters(example, blind), *_verdicts(example, reader if blind else None)]
    events += [*_edits(example), *_remarks(example), *_moves(example, blind)]
    if not blind:
        events += _elsewhere(example)
    return sorted(events, key=lambda event: event.at + ONE_ACT * event.is_outcome)


def is_blind(example: Example, role: str | None) -> bool:
    """Whether the reader may have to judge it still, and should not know what others and machines think."""
    return role not in LEADS and example.state in UNDECIDED and bool(example.project.review_rules.blind)


def scores(example: Example, role: str | None) -> dict[str, float]:
    """What machines measured, as far as this reader may know it."""
    hidden = MACHINES if is_blind(example, role) else ()
    numbers = {name: value for name, value in example.scores.items() if isinstance(value, int | float)}
    return {name: value for name, value in numbers.items() if name not in hidden}


def _maker(by_machine: bool) -> tuple[str, str]:
    """The picture and the colour of whoever did it."""
    return ("robot", "machine") if by_machine else ("user", "human")


def _elsewhere(example: Example) -> Iterator[Event]:
    row = Provenance.objects.filter(pk=example.pk).first()
    for one in row.judgements if row else ():
        icon, tone = _maker(one["machine"])
        words = "said of it, in the file" if one["label"] else "said of it, in the file, which counts as nothing here"
        by = one["annotator"] or ("A machine" if one["machine"] else "Somebody")
        yield Event(FIRST, icon, words, by, tone, one["label"], one["categories"], said=", ".join(one["said"]))


def _made(example: Example) -> Event:
    if example.source_id:
        return Event(example.created_at, "upload", "Imported from a file")
    icon, tone = _maker(by_machine=True) if example.stage else ("writing", "human")
    return Event(example.created_at, icon, ORIGINS[example.origin], tone=tone)


def _filters(example: Example, blind: bool) -> Iterator[Event]:
    """The findings of one job are one thing that happened."""
    told = [row for row in example.findings.order_by("job", "pk") if not (blind and judges_label(row.filter))]
    for _, found in groupby(told, key=lambda finding: finding.job_id):
        rows = list(found)
        against = [row.filter for row in rows if not row.keep]
        kept = "Filters kept it" if blind else "All filters kept it"
        words = f"Filters advised against it: {', '.join(against)}" if against else kept
        yield Event(rows[0].created_at, "filter-off" if against else "check", words,
                    tone="unsafe" if against else "", findings=rows)  # fmt: skip


def _verdicts(example: Example, alone: User | None) -> Iterator[Event]:
    """All verdicts, or those of one person alone."""
    rows = example.verdicts.select_related("reviewer", "superseded_by")
    if alone:
        rows = rows.filter(reviewer=alone)
    for verdict in rows:
        yield _verdict(verdict)


def _verdict(verdict: Verdict) -> Event:
    icon, tone = _maker(verdict.maker == Verdict.Maker.MACHINE)
    return Event(
        verdict.created_at, icon, DECISIONS[verdict.decision], str(verdict.reviewer or "A machine"), tone,
        verdict.label, verdict.categories, said=verdict.reason, is_void=hasattr(verdict, "superseded_by"),
    )  # fmt: skip


def _edits(example: Example) -> Iterator[Event]:
    """Each change of the text, with how it read before."""
    rows = list(example.revisions.select_related("by").order_by("number"))
    for before, row in pairwise(rows):
        yield Event(row.created_at, "writing", "changed the text, which read before", str(row.by), said=before.text)


def _remarks(example: Example) -> Iterator[Event]:
    for row in example.comments.select_related("by"):
        yield Event(row.created_at, "writing", "commented", str(row.by), said=row.text)
    for flag in example.flags.select_related("by", "resolved_by"):
        yield Event(flag.created_at, "alert-triangle", "flagged it", str(flag.by), "review", said=flag.note)
        if flag.resolved_at:
            yield Event(flag.resolved_at, "check", "looked at the flag", str(flag.resolved_by or "Somebody"))


def _moves(example: Example, blind: bool) -> Iterator[Event]:
    """Where it stood then. Who decided stands in the verdict before it, and is named here where there is none.

    That it was set aside, and queued all the same, is not for a blind reader: where no filter that they know of advised
    against it, one that judges labels did.
    """
    for move in example.moves():
        if blind and move.new == Example.State.FILTERED:
            continue
        picture = PICTURES.get(move.new, "arrow-right")
        overruled = move.note == OVERRULED and not blind
        if overruled or move.new == Example.State.RETIRED:
            words = "overruled the filters" if overruled else "retired it undecided"
            yield Event(move.at, picture, words, str(move.by or "Somebody"))
        elif move.new in MOVES:
            yield Event(move.at, picture, MOVES[move.new], tone=move.new, is_outcome=True)
