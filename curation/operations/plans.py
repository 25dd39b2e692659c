"""Plans: what a lead chooses before a round is started, and a look at what it would write."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.db import transaction

from curation.models import Example, Job, Plan, Project, Recipe, Round, Sample
from curation.models.example import ExampleQuerySet
from curation.operations import Refused, recipes, rounds

if TYPE_CHECKING:
    from django.contrib.auth.models import User

    from classifier.runfolder import RunFolder
    from curation.operations.jobs import Attempt

SHOWN = 10  # texts of a preview
EACH = 4  # seeds that a preview writes from, for each stage: some answers are unusable
A_PART = 3  # texts kept of each finished part, while a job writes


def make(project: Project, by: User, recipe: Recipe | None = None, body: dict[str, Any] | None = None) -> Plan:
    """Begin a plan from a stored recipe, from a round's own, or from the default one; prices as they were last."""
    last = project.plans.order_by("-pk").first()
    start = body or (recipe.body if recipe else recipes.default())
    return Plan.objects.create(
        project=project, recipe=recipes.checked(start), from_recipe=recipe, created_by=by,
        machine_price=last.machine_price if last else 0, person_price=last.person_price if last else 0,
    )  # fmt: skip


def change(plan: Plan, body: dict[str, Any]) -> None:
    """Put another recipe into a plan.

    Raises:
        Refused: it cannot be run, or the plan was started.
    """
    if plan.round_id:
        raise Refused(f"{plan} was started; its recipe stands in the round.", "Clone the round to change it.")
    plan.recipe = recipes.checked(body)
    plan.save(update_fields=["recipe"])


def launch(plan: Plan, by: User) -> Round:
    """Start the round.

    Raises:
        Refused: the plan was started, another round is open, or there are no seeds.
    """
    with transaction.atomic():
        locked = Plan.objects.select_for_update().get(pk=plan.pk)
        if locked.round_id:
            raise Refused(f"{plan} was started already.", "Look at its round.")
        round = rounds.start(plan.project, by, plan.recipe, review=plan.review)
        Plan.objects.filter(pk=plan.pk).update(round=round)
    return round


def usable(project: Project, source: dict[str, Any] | None = None) -> ExampleQuerySet:
    """The decided texts that a round may write from: people's, outside the held-out and the forbidden ones."""
    source = source or {}
    origins = [Example.Origin.SEED, Example.Origin.HUMAN]
    found = project.examples.trainable().filter(origin__in=origins)
    found = found.exclude(categories__overlap=project.policy_version.forbidden_keys())
    if label := source.get("label"):
        found = found.filter(label=label)
    if categories := source.get("categories"):
        # A harmless twin has no category of its own: it comes with its family.
        families = found.filter(categories__overlap=categories).values("family")
        found = found.filter(family__in=families)
    if languages := source.get("languages"):
        found = found.filter(language__in=languages)
    return found.order_by("pk")


# A look before


def look(plan: Plan, by: User) -> Job:
    """Have a worker write a few texts by the plan's recipe.

    Raises:
        Refused: the recipe writes nothing, or there is nothing to write from.
    """
    generate = plan.recipe.get("generate")
    if not generate:
        raise Refused("This recipe writes no texts, so there is nothing to preview.", "Go on to the estimate.")
    if not usable(plan.project, generate.get("source")).exists():
        raise Refused("No seed fits the source that this plan names.", "Widen the source, or import seeds.")
    with transaction.atomic():
        return Job.objects.enqueue(Job.Kind.PREVIEW, plan.project, plan=plan, by=by)


def preview(attempt: Attempt) -> None:
    """Write a few texts as a round would, with one copy each, and keep ten of them as samples."""
    from curation.operations.jobs import finish

    job = attempt.job
    assert job.plan is not None
    settings = _small(job.plan.recipe["generate"])
    request = {"settings": {**settings, "seed": job.pk, "forbidden_categories": _forbidden(job.plan)}}
    folder = attempt.run(["pipeline", "generate"], request, {"input.parquet": _few_seeds(job.plan)})
    with transaction.atomic():
        job.fence()
        keep(job, in_turn(folder.rows("output.parquet"))[:SHOWN])
        metrics = {**job.metrics, "result": folder.metrics()}
        job.current_attempt().update(metrics=metrics, done=max(job.done, job.total))
        finish(attempt)


def _small(generate: dict[str, Any]) -> dict[str, Any]:
    """The part of the recipe that writes, with one copy of each."""
    kinds = {kind: [{**entry, "copies": 1} for entry in generate.get(kind) or []] for kind in rounds.WRITERS}
    return {**generate, **kinds}


def _forbidden(plan: Plan) -> list[str]:
    return plan.project.policy_version.forbidden_keys()


def _few_seeds(plan: Plan) -> list[dict[str, Any]]:
    """Seeds of both labels, other ones for each plan."""
    seeds = usable(plan.project, plan.recipe["generate"].get("source")).order_by("draw", "pk")
    found = [*seeds.filter(label="unsafe")[:EACH], *seeds.filter(label="safe")[: EACH // 2]]
    return [example.to_row() for example in found]


def in_turn(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """One of each stage, then the second of each, and so on: the first ten show every stage."""
    seen: dict[str, int] = {}
    places = []
    for row in rows:
        seen[row["stage"]] = seen.get(row["stage"], 0) + 1
        places.append(seen[row["stage"]])
    return [row for _, row in sorted(zip(places, rows, strict=True), key=lambda pair: pair[0])]


# A look while it runs


class Watch:
    """Keeps a few texts of every part that a writing program finishes, so that people see them come."""

    def __init__(self, job: Job) -> None:
        self._job, self._seen = job, 0

    def __call__(self, folder: RunFolder) -> None:
        parts = sorted((folder / "parts").glob("*.parquet"))
        for number, part in enumerate(parts[self._seen :], start=self._seen):
            rows = [row for row in folder.rows(f"parts/{part.name}") if row["text"]][:A_PART]
            keep(self._job, rows, start=number * A_PART)
        self._seen = len(parts)


def keep(job: Job, rows: list[dict[str, Any]], start: int = 0) -> None:
    """Store drafts as samples of a job; those that an earlier attempt stored stay."""
    Sample.objects.bulk_create(
        [
            Sample(
                job=job, number=number, stage=row["stage"], text=row["text"], label=row["label"],
                categories=list(row["categories"]), parent_id=int(row["parent_id"]),
            )
            for number, row in enumerate(rows, start=start)
        ],
        ignore_conflicts=True,
    )  # fmt: skip
