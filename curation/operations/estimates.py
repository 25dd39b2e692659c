"""How long a round would take and what it would cost, from the rates of earlier jobs. What was not measured is said."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from classifier.config import TrainSettings
from curation.models import Evaluation, EvaluationSet, Job, Plan, Verdict
from curation.operations import plans, recipes, rounds
from pipeline import plan as ahead
from pipeline.context import Context, Refusals
from pipeline.generate import orders_of
from pipeline.generators import load
from pipeline.generators.endpoint import Endpoint
from pipeline.judging import Judging
from pipeline.records import Example

RECENT = 5  # jobs whose rates count
SAMPLED = 2_000  # seeds that stages are asked about; the rest is scaled
VERDICTS = 500  # whose times count


@dataclass(frozen=True)
class Line:
    """One step: how much work, how long, and where that is known from. `low` and `high` are of the rates seen."""

    step: str
    work: int
    unit: str
    low: float | None
    seconds: float | None
    high: float | None
    basis: str
    by_people: bool = False


@dataclass(frozen=True)
class Estimate:
    """All steps of a plan."""

    lines: list[Line]
    machine_price: float
    person_price: float
    tokens_cost: float | None = 0.0  # what the endpoint takes at most; None where its prices are not known

    def _sum(self, by_people: bool) -> float:
        return sum(line.seconds or 0 for line in self.lines if line.by_people == by_people)

    @property
    def machine_seconds(self) -> float:
        return self._sum(False)

    @property
    def people_seconds(self) -> float:
        return self._sum(True)

    @property
    def cost(self) -> float:
        hours = (self.machine_seconds * self.machine_price + self.people_seconds * self.person_price) / 3600
        return hours + (self.tokens_cost or 0)

    @property
    def unknown(self) -> list[str]:
        """Steps that nobody measured yet: the sums leave them out."""
        return [line.step for line in self.lines if line.seconds is None]


def of(plan: Plan) -> Estimate:
    """Estimate a plan's round."""
    asked = demands(plan)
    drafts = sum(one.wishes for one in asked)
    made = round(drafts * _share(plan, "made", "asked"))
    kept = round(made * _kept(plan))
    lines = [_writing(plan, drafts), _filtering(plan, made)] if drafts else []
    if drafts and plan.review == "people":
        lines.append(_reviewing(plan, kept))
    lines += [_training(plan, kept), _evaluating(plan)]
    if plan.recipe.get("attack"):
        lines.append(_attacking(plan))
    return Estimate(lines, plan.machine_price, plan.person_price, _tokens_cost(plan, asked))


def demands(plan: Plan) -> list[ahead.Demand]:
    """What the generator would be asked for: every stage on every seed that it applies to, by a sample of the seeds."""
    generate = plan.recipe.get("generate") or {}
    if not any(generate.get(kind) for kind in rounds.WRITERS):
        return []
    usable = plans.usable(plan.project, generate.get("source"))
    total = min(usable.count(), generate.get("seeds") or 10**9)
    sample = [Example.from_row(one.to_row()) for one in usable.order_by("draw")[: min(total, SAMPLED)]]
    orders = orders_of(generate, Refusals(frozenset()))  # a plan that may not be run can be counted all the same
    return list(ahead.demands(orders, sample, Context(), of=total))


def _tokens_cost(plan: Plan, asked: list[ahead.Demand]) -> float | None:
    generator = load(plan.recipe["generate"].get("generator")) if asked else None
    # Tokens of a model on this machine cost its time, and its tokenizer has no place in the web process.
    return ahead.plan_of(generator, asked).total().cost if isinstance(generator, Endpoint) else 0.0


def _done(plan: Plan, *kinds: str) -> list[Job]:
    jobs = Job.objects.filter(project=plan.project, kind__in=kinds, state=Job.State.DONE, ended_at__isnull=False)
    return list(jobs.select_related("round", "plan").order_by("-pk")[: 4 * RECENT])


def _spent(job: Job) -> float:
    return (job.ended_at - job.started_at).total_seconds() if job.ended_at and job.started_at else 0.0


def _line(step: str, work: int, unit: str, rates: Sequence[float], source: str) -> Line:
    """Work times seconds a unit, at the fastest, the median and the slowest rate seen."""
    known = sorted([rate for rate in rates if rate > 0][:RECENT])  # rates come newest first
    if not known:
        return Line(step, work, unit, None, None, None, f"no {source} was measured yet")
    low, middle, high = known[0], statistics.median(known), known[-1]
    basis = f"{source}, {'once' if len(known) == 1 else f'{len(known)} times'} before: {middle:.3g} s each"
    return Line(step, work, unit, work * low, work * middle, work * high, basis)


def _recipe(job: Job) -> dict[str, Any]:
    return job.plan.recipe if job.plan else job.round.recipe if job.round else {}


def _same(job: Job, plan: Plan, part: str, name: str) -> bool:
    """Whether a job ran by the same stage as the plan has: another model has another speed."""
    return bool((_recipe(job).get(part) or {}).get(name) == (plan.recipe.get(part) or {}).get(name))


def _judging(recipe: dict[str, Any], part: str) -> Judging | None:
    """The judge of a recipe's filters or attack: guards are trained first, whatever the rest of the work is."""
    if part == "attack":
        return Judging(**((recipe.get(part) or {}).get("judge") or {}))
    judges = [one for one in (recipe.get(part) or {}).get("filters") or [] if one["key"] == "label-judge"]
    return Judging(**(judges[0].get("settings") or {})) if judges else None


def _asked(job: Job, what: str = "asked") -> int:
    stages: dict[str, Any] = job.metrics.get("result", {}).get("stages", {})
    return sum(int(counts.get(what, 0)) for counts in stages.values())


def _writing(plan: Plan, drafts: int) -> Line:
    jobs = [
        job for job in _done(plan, Job.Kind.GENERATE, Job.Kind.PREVIEW) if _same(job, plan, "generate", "generator")
    ]
    whole = [job for job in jobs if job.kind == Job.Kind.GENERATE] or jobs
    rates = [job.metrics.get("result", {}).get("seconds", 0) / asked for job in whole if (asked := _asked(job))]
    source = "preview" if whole and whole[0].kind == Job.Kind.PREVIEW else "writing by this generator"
    return _line("Write", drafts, "texts asked for", rates, source)


def _share(plan: Plan, part: str, whole: str) -> float:
    """What became usable of what was asked for; all, where nothing is known."""
    jobs = _done(plan, Job.Kind.GENERATE, Job.Kind.PREVIEW)[:RECENT]
    asked = sum(_asked(job, whole) for job in jobs)
    return sum(_asked(job, part) for job in jobs) / asked if asked else 1.0


def _filters(job: Job) -> list[dict[str, int]]:
    return list(job.metrics.get("result", {}).get("filters", {}).values())


def _filtering(plan: Plan, made: int) -> Line:
    wanted = _judging(plan.recipe, "filter")
    jobs = [job for job in _done(plan, Job.Kind.FILTER) if _judging(_recipe(job), "filter") == wanted]
    rates = [_spent(job) / seen for job in jobs if (seen := max((one["seen"] for one in _filters(job)), default=0))]
    return _line("Filter", made, "candidates", rates, "filtering with the same judge")


def _kept(plan: Plan) -> float:
    """The share of candidates that earlier rounds' filters kept."""
    looked = plan.project.examples.filter(made_by_job__kind=Job.Kind.GENERATE).exclude(state="new")
    total = looked.count()
    return looked.exclude(state="filtered").count() / total if total else 1.0


def _reviewing(plan: Plan, kept: int) -> Line:
    counted = Verdict.objects.counted().filter(example__project=plan.project).exclude(seconds=None).order_by("-pk")
    pairs = counted.values_list("active_seconds", "seconds")[:VERDICTS]
    times = [float(active or seconds or 0) for active, seconds in pairs]
    places = kept * (1 if plan.project.review_rules.one_decides else plan.project.review_rules.overlap)
    if not times:
        return Line("Review", places, "verdicts", None, None, None, "nobody judged here yet", by_people=True)
    middle = statistics.median(times)
    low, high = (statistics.quantiles(times, n=4)[at] if len(times) > 1 else middle for at in (0, 2))
    basis = f"{len(times)} verdicts, {middle:.1f} s each"
    return Line("Review", places, "verdicts", places * low, places * middle, places * high, basis, by_people=True)


def _training(plan: Plan, kept: int) -> Line:
    settings = {**recipes.defaults(TrainSettings), **(plan.recipe.get("train") or {})}
    rows = plan.project.examples.trainable().count() + kept
    rates = []
    for guard in plan.project.guards.select_related("job").order_by("-pk")[:RECENT]:
        used = {**recipes.defaults(TrainSettings), **guard.settings.get("settings", {})}
        passes = guard.dataset_rows * _passes(used)
        if used["backbone"] == settings["backbone"] and passes:
            rates.append(_spent(guard.job) / passes)
    return _line("Train", rows * _passes(settings), "rows read", rates, "training of this backbone")


def _passes(train: dict[str, Any]) -> int:
    """How often a training reads each row: with folds every guard but one learns from it."""
    return int(train["epochs"]) * max(1, int(train["folds"]) - 1)


def _evaluating(plan: Plan) -> Line:
    sets: Iterable[int] = EvaluationSet.objects.filter(project=plan.project).values_list("rows", flat=True)
    found = Evaluation.objects.filter(guard__project=plan.project).order_by("-pk").values_list("metrics", flat=True)
    rates = [metrics["seconds"] / metrics["n"] for metrics in found[:RECENT] if metrics.get("seconds")]
    return _line("Evaluate", sum(sets), "held-out rows", rates, "evaluation")


def _attacking(plan: Plan) -> Line:
    wanted = _judging(plan.recipe, "attack")
    jobs = [
        job for job in _done(plan, Job.Kind.ATTACK)
        if _same(job, plan, "attack", "method") and _judging(_recipe(job), "attack") == wanted
    ]  # fmt: skip
    return _line("Attack", 1, "attack", [_spent(job) for job in jobs], "attack with these settings")
