"""Rounds: start, move on, cancel, retry."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.db import transaction
from django.db.models import Max
from django.utils import timezone

from curation.models import Example, Guard, Job, Project, Round
from curation.operations import Refused, evaluation, jobs, recipes, webhooks

if TYPE_CHECKING:
    from django.contrib.auth.models import User

# What a round does in each state. Reviewing waits for people unless the round reviews by itself.
KINDS = {
    Round.State.GENERATING: Job.Kind.GENERATE,
    Round.State.FILTERING: Job.Kind.FILTER,
    Round.State.TRAINING: Job.Kind.TRAIN,
    Round.State.EVALUATING: Job.Kind.EVALUATE,
    Round.State.ATTACKING: Job.Kind.ATTACK,
}
WRITERS = ("augmenters", "paraphrasers")  # the stages of a recipe that write texts


def start(
    project: Project, by: User | None, recipe: dict[str, Any] | None = None, *, review: str = Round.Review.PEOPLE
) -> Round:
    """Start the project's next round, on the draft that holds the adversary's last finds where there is one.

    Raises:
        Refused: another round is open, there are no seeds, or the recipe names what is not there.
    """
    body = recipes.checked(recipe if recipe is not None else recipes.default())
    with transaction.atomic():
        Project.objects.select_for_update().get(pk=project.pk)
        _refuse_second(project)
        draft = next_draft(project)
        draft.evaluation_set = evaluation.freeze(project)
        draft.recipe, draft.review, draft.started_by = body, review, by
        draft.from_recipe = recipes.remember(project, body, by)
        draft.guard_before = project.guards.filter(state=Guard.State.ACTIVE).first()
        draft.started_at = timezone.now()
        draft.save()
        advance(draft, _first_state(draft), by=by)
    return draft


def _refuse_second(project: Project) -> None:
    if other := project.rounds.open().first():
        raise Refused(f"{other} is still {other.state}; one round is open at a time.", "Finish or cancel it first.")
    if not project.examples.trainable().exists():
        raise Refused("This project has no seeds to start from.", "Import a JSONL or CSV file of seeds first.")


def next_draft(project: Project) -> Round:
    """The project's draft round, made where there is none. The adversary's finds wait in it."""
    draft = project.rounds.filter(state=Round.State.DRAFT).first()
    if draft is None:
        newest = project.rounds.aggregate(newest=Max("number"))["newest"]
        draft = Round.objects.create(project=project, number=0 if newest is None else newest + 1)
    return draft


def _first_state(round: Round) -> str:
    if round.settings_for("generate"):
        return Round.State.GENERATING
    if round.examples.filter(state=Example.State.NEW).exists():
        return Round.State.FILTERING
    return Round.State.TRAINING


def _enqueue(round: Round, by: User | None = None) -> Job | None:
    kind = KINDS.get(Round.State(round.state))
    if round.state == Round.State.REVIEWING and round.review == Round.Review.AUTO:
        kind = Job.Kind.AUTO_REVIEW
    return Job.objects.enqueue(kind, round.project, round=round, by=by) if kind else None


def advance(round: Round, new: str, *, by: User | None = None, note: str = "") -> None:
    """Move a round on and queue what it does next, in the caller's transaction: both happen or neither does."""
    ended = {"ended_at": timezone.now()} if new in Round.ENDED else {}
    round.move_to(new, by=by, note=note, **ended)
    webhooks.tell(round.project, f"round.{new}", round=round.number)
    _enqueue(round, by)


def finish_review(round: Round, by: User) -> None:
    """End the review of a round: what is accepted trains the next guard, what waits goes on waiting.

    Raises:
        Refused: the round is not in review, or reviews by itself.
    """
    with transaction.atomic():
        round = Round.objects.select_for_update().get(pk=round.pk)
        if round.state != Round.State.REVIEWING or round.review != Round.Review.PEOPLE:
            raise Refused(f"{round} is {round.state}; only a round in review by people can be trained from here.")
        advance(round, Round.State.TRAINING, by=by)


def review_by_machine(round: Round, by: User | None = None) -> None:
    """Hand the rest of a round's review to filters and judge; their verdicts stay marked as machine-made."""
    with transaction.atomic():
        round = Round.objects.select_for_update().get(pk=round.pk)
        Round.objects.filter(pk=round.pk).update(review=Round.Review.AUTO)
        round.review = Round.Review.AUTO
        if round.state == Round.State.REVIEWING:
            _enqueue(round, by)


def cancel(round: Round, by: User | None) -> None:
    """Cancel a round and what runs for it. What it made so far stays.

    Raises:
        Refused: it has ended already.
    """
    with transaction.atomic():
        round = Round.objects.select_for_update().get(pk=round.pk)
        if round.state in Round.ENDED:
            raise Refused(f"{round} is {round.state} already.")
        Round.objects.filter(pk=round.pk).update(paused_at=None)  # what still stops for the pause ends as cancelled
        for job in round.jobs.filter(state__in=[*Job.LIVE, Job.State.PAUSED]):
            jobs.cancel(job, by=by)
        advance(round, Round.State.CANCELLED, by=by)


def retry(round: Round, by: User | None) -> None:
    """Try the failed job of a round again.

    Raises:
        Refused: nothing failed.
    """
    job = round.current_job
    if job is None or not round.is_open:
        raise Refused(f"{round} is {round.state}; there is nothing to retry.")
    with transaction.atomic():
        Round.objects.filter(pk=round.pk).update(paused_at=None)
        jobs.retry(job, by=by)


def pause(round: Round, by: User | None) -> None:
    """Stop what runs for a round, so that the machine is free; `resume` goes on from what is finished.

    Raises:
        Refused: nothing runs, or it is paused already.
    """
    with transaction.atomic():
        round = Round.objects.select_for_update().get(pk=round.pk)
        job = round.current_job
        if round.paused_at or job is None or not job.is_live:
            found = "paused already" if round.paused_at else f"{round.state}, and nothing runs for it"
            raise Refused(f"Only a round that a machine works on can be paused; {round} is {found}.")
        Round.objects.filter(pk=round.pk).update(paused_at=timezone.now())
        jobs.pause(job, by=by)


def resume(round: Round, by: User | None) -> None:
    """Go on with a paused round.

    Raises:
        Refused: it is not paused, or what runs for it has not stopped yet.
    """
    with transaction.atomic():
        round = Round.objects.select_for_update().get(pk=round.pk)
        job = round.current_job
        if round.paused_at is None or job is None:
            raise Refused(f"{round} is not paused.", "Load the page again.")
        if job.state == Job.State.RUNNING:
            raise Refused(f"{round} is still stopping.", "Wait a few seconds, then resume it.")
        Round.objects.filter(pk=round.pk).update(paused_at=None)
        jobs.resume(job, timezone.now() - round.paused_at, by=by)
