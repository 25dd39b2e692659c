"""What becomes of live texts: nothing, unless the project chose a shadow or a sample.

Both run after the answer was sent, never change it, and keep no more than the project's limit a day.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.db import transaction
from django.utils import timezone

from classifier.moderation import BadRequest
from classifier.normalize import normalized_hash
from curation.models import AuditEntry, Example, Guard, IllegalMove, Project, Traffic
from curation.models.example import MAX_TEXT, Label
from curation.operations import Refused, moderation, serving

if TYPE_CHECKING:
    from django.contrib.auth.models import User

logger = logging.getLogger(__name__)

SAMPLE, DISAGREEMENT = "live-sample", "shadow-disagreement"
Result = Mapping[str, Any]


def settings_of(project: Project) -> Traffic:
    """The project's choice; the one that keeps nothing where none was made."""
    return Traffic.objects.select_related("shadow").filter(project=project).first() or Traffic(project=project)


def choose(project: Project, by: User, *, shadow: Guard | None, sample: float, daily_limit: int) -> Traffic:
    """Set what is kept of live traffic.

    Raises:
        Refused: the shadow is not an evaluated guard of this project beside the active one.
    """
    if shadow and (shadow.project_id != project.pk or shadow.state in (Guard.State.ACTIVE, Guard.State.TRAINED)):
        raise Refused("A shadow is an evaluated guard beside the active one.", "Choose another guard.")
    with transaction.atomic():
        traffic, _ = Traffic.objects.update_or_create(
            project=project, defaults={"shadow": shadow, "sample": sample, "daily_limit": daily_limit}
        )
        AuditEntry.objects.create(
            project=project, actor=by, action="traffic-chosen", subject=f"project:{project.pk}",
            detail={"shadow": shadow.number if shadow else None, "sample": sample, "daily_limit": daily_limit},
        )  # fmt: skip
        serving.changed(project)
    return traffic


def watch(project: Project, guard: Guard, texts: Sequence[str], results: Sequence[Result]) -> int:
    """Look at texts that were just answered; return how many were kept. Never raises: the answer is out already."""
    try:
        traffic = settings_of(project)
        return _keep(traffic, guard, list(_candidates(traffic, texts, results))) if traffic.keeps_text else 0
    except (BadRequest, IllegalMove) as error:
        logger.warning("live texts of project %s were not looked at: %s", project.pk, type(error).__name__)
        return 0


@dataclass(frozen=True)
class Candidate:
    """A text worth keeping, why, and what the guards said."""

    text: str
    result: Result
    stage: str
    scores: dict[str, float]


def _candidates(traffic: Traffic, texts: Sequence[str], results: Sequence[Result]) -> Iterator[Candidate]:
    for text, result, other in zip(texts, results, _shadowed(traffic, texts), strict=True):
        scores = {"guard": float(result["unsafe"])}
        if other is not None and other["flagged"] != result["flagged"]:
            yield Candidate(text, result, DISAGREEMENT, {**scores, "shadow": float(other["unsafe"])})
        elif random.random() < traffic.sample:
            yield Candidate(text, result, SAMPLE, scores)


def _shadowed(traffic: Traffic, texts: Sequence[str]) -> Sequence[Result | None]:
    shadow = traffic.shadow
    if shadow is None or shadow.state == Guard.State.ACTIVE:  # it was promoted: there is nothing left to compare
        return [None] * len(texts)
    found: list[Result] = moderation.ask(traffic.project.slug + serving.SHADOW, list(texts))["results"]
    return found


def _keep(traffic: Traffic, guard: Guard, candidates: Sequence[Candidate]) -> int:
    """Store candidates that are new to the project, up to the day's limit."""
    fitting = {normalized_hash(one.text): one for one in candidates if len(one.text) <= MAX_TEXT}
    if not fitting:
        return 0
    with transaction.atomic():
        Project.objects.select_for_update().get(pk=traffic.project_id)  # so that the count of the day is true
        mine = Example.objects.filter(project=traffic.project_id)
        today = timezone.now().replace(hour=0, minute=0, second=0, microsecond=0)
        room = traffic.daily_limit - mine.filter(origin=Example.Origin.TRAFFIC, created_at__gte=today).count()
        there = set(mine.filter(text_hash__in=fitting).values_list("text_hash", flat=True))
        fresh = [one for key, one in fitting.items() if key not in there][: max(0, room)]
        Example.objects.bulk_create([_example(traffic, guard, one) for one in fresh])
    return len(fresh)


def _example(traffic: Traffic, guard: Guard, one: Candidate) -> Example:
    # PostgreSQL takes neither lone surrogates nor the character zero.
    clean = one.text.encode("utf-8", "replace").decode("utf-8").replace("\x00", "\ufffd")
    flagged = bool(one.result["flagged"])
    example = Example(
        project=traffic.project, text=clean, origin=Example.Origin.TRAFFIC, state=Example.State.QUEUED,
        stage=one.stage, model_digest=guard.digest, scores=one.scores, priority=_doubt(one.scores),
        proposed_label=Label.UNSAFE if flagged else Label.SAFE,
        proposed_categories=list(one.result["categories"]) if flagged else [],
    )  # fmt: skip
    example.stamp()
    example.family = example.text_hash[:16]
    return example


def _doubt(scores: Mapping[str, float]) -> float:
    """How much is to be learned: how far the two are apart, or how near one is to a half."""
    if "shadow" in scores:
        return abs(scores["guard"] - scores["shadow"])
    return 1 - 2 * abs(scores["guard"] - 0.5)
