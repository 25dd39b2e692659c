"""What is like what, by the distance of embeddings."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pgvector.django import CosineDistance

from curation.models import Example
from curation.models.example import ExampleQuerySet
from curation.operations import queue

if TYPE_CHECKING:
    from django.contrib.auth.models import User

SHOWN = 3  # precedents beside the text
REPEATED = 25  # items that one act decides together
# Cosine distance of all-MiniLM-L6-v2. Below it are changed spellings and single words, above it other sentences.
NEAR = 0.08
DECIDED = (Example.State.ACCEPTED, Example.State.REJECTED)
HEAVY = ("embedding", "stage_settings", "scores")


def decided_like(example: Example) -> ExampleQuerySet:
    """The decided examples of the project that are most like this one."""
    return _by_distance(example, example.project.examples.filter(state__in=DECIDED))[:SHOWN]


def repeated_by(example: Example, reviewer: User) -> ExampleQuerySet:
    """What waits for this reviewer and nearly repeats the example: one act may decide all of it."""
    meant = {"proposed_label": example.proposed_label, "proposed_categories": example.proposed_categories}
    return _by_distance(example, queue.waiting(example.project, reviewer).filter(**meant), NEAR)[:REPEATED]


def _by_distance(example: Example, among: ExampleQuerySet, within: float = 2.0) -> ExampleQuerySet:
    if example.embedding is None:
        return among.none()
    distance = CosineDistance("embedding", example.embedding)
    others = among.exclude(pk=example.pk).exclude(embedding=None).alias(apart=distance).filter(apart__lte=within)
    return others.annotate(distance=distance).order_by("distance").defer(*HEAVY)
