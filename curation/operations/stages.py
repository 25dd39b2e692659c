"""What each kind of job does: write a run folder, run the program, store what came of it, move the round on.

Results, the end of the job and the round's next step are one transaction behind the job's fence: an attempt that was
overtaken stores nothing, and a crash between two statements leaves everything as it was.
"""

from __future__ import annotations

import json
import subprocess
from collections import Counter, defaultdict
from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import F, Q

from classifier.artifacts import publish
from classifier.runfolder import RunFolder, digest_rows
from curation.models import Example, Finding, Guard, Job, Lease, Round, Verdict
from curation.models.example import Label, Split
from curation.operations import (
    Refused,
    agreement,
    guards,
    intake,
    measuring,
    plans,
    priority,
    releases,
    rounds,
    serving,
    webhooks,
)
from curation.operations.jobs import Attempt, finish
from pipeline import adversary, catalogue
from pipeline.warm_start import PAIRS

CHUNK = 1000  # rows a statement
JUDGE = "label-judge"
AGREED, KNOWN = "filters and judge agree", "filters agree; the label is its template's own"
REWRITTEN = (Example.Origin.PARAPHRASED, Example.Origin.ADVERSARIAL)
MOST_PAIRS = 2000  # more than a short tuning reads


def _round(attempt: Attempt) -> Round:
    assert attempt.job.round is not None
    return attempt.job.round


def _metrics(folder: RunFolder) -> dict[str, Any]:
    return folder.metrics()


def generate(attempt: Attempt) -> None:
    """Have the generator write candidates from the seeds."""
    round = _round(attempt)
    recipe = round.settings_for("generate")
    request = {"settings": {**recipe, "seed": round.pk, "forbidden_categories": _forbidden(round)}}
    seeds = _seeds(round, recipe.get("seeds", 0), recipe.get("source"))
    files = {"input.parquet": seeds, **_accepted_pairs(round, recipe.get("generator") or {})}
    watch = plans.Watch(attempt.job)
    folder = attempt.run(["pipeline", "generate"], request, files, look=watch)
    with transaction.atomic():
        attempt.job.fence()
        attempt.job.samples.all().delete()  # they are candidates from now on
        _store_drafts(attempt, folder, round)
        _end(attempt, folder)
        rounds.advance(round, Round.State.FILTERING)


def _forbidden(round: Round) -> list[str]:
    return round.project.policy_version.forbidden_keys()


def _seeds(round: Round, wanted: int, source: dict[str, Any] | None = None) -> list[dict[str, Any]]:
    """The seeds to write from: all, or as many as wanted, other ones in each round; label and twin side by side."""
    rows = [example.to_row() for example in plans.usable(round.project, source)]
    if not wanted or wanted >= len(rows):
        return rows
    families: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in rows:
        families[row["family"]].append(row)
    # Sorted by a hash with the round's number in it: a fair draw that a second attempt repeats exactly.
    order = sorted(families, key=lambda family: digest_rows([{"family": family, "round": round.number}]))
    drawn = [row for family in order for row in families[family]]
    return drawn[:wanted]


def _accepted_pairs(round: Round, generator: dict[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """A file of rewrites that were accepted with their parent's label, the newest first; none where none is asked for.

    A round that reviews between writing and attacking has more of them for the attack, so each tunes its own writer.
    """
    if not (generator.get("settings") or {}).get("warm_start"):
        return {}
    found = round.project.examples.trainable().filter(origin__in=REWRITTEN, label=F("parent__label"))
    rewrites = found.filter(stage__in=("paraphrase", *adversary.methods.stages)).select_related("parent")
    pairs = [
        {"text": one.text, "parent_text": one.parent.text, "label": one.label, "categories": one.categories}
        for one in rewrites.order_by("-pk")[:MOST_PAIRS]
        if one.parent
    ]
    return {PAIRS: pairs} if pairs else {}


def _store_drafts(attempt: Attempt, folder: RunFolder, home: Round) -> int:
    """Store a program's drafts as new examples of `home`; return how many."""
    rows = folder.rows("output.parquet")
    parents = Example.objects.in_bulk({int(row["parent_id"]) for row in rows if row["parent_id"]})
    made = [
        _example(attempt.job, home, parents[int(row["parent_id"])] if row["parent_id"] else None, n, row)
        for n, row in enumerate(rows)
    ]
    Example.objects.bulk_create(made, batch_size=CHUNK)
    return len(made)


def _example(job: Job, home: Round, parent: Example | None, number: int, row: dict[str, Any]) -> Example:
    example = Example(
        project=job.project, round=home, text=row["text"], language=row["language"], origin=row["origin"],
        split=parent.split if parent else Split.TRAIN, parent=parent, family=parent.family if parent else row["family"],
        made_by_job=job, made_as=number, stage=row["stage"],
        stage_settings=json.loads(row["settings"]), prompt=row["prompt"], model_digest=row["model"],
        scores=json.loads(row["scores"]), proposed_label=row["label"], proposed_categories=list(row["categories"]),
    )  # fmt: skip
    example.stamp()
    return example


def _end(attempt: Attempt, folder: RunFolder) -> None:
    """Keep the program's figures with the job and end it."""
    job = attempt.job
    job.metrics = {**job.metrics, "result": _metrics(folder)}
    job.current_attempt().update(metrics=job.metrics, history=job.history, done=max(job.done, job.total))
    finish(attempt)


def filter_candidates(attempt: Attempt) -> None:
    """Let every filter have its say on the round's new examples."""
    round = _round(attempt)
    policy = round.project.policy_version.in_short()
    request = {"settings": {**round.settings_for("filter"), "seed": round.pk, "policy": policy}}
    folder = attempt.run(["pipeline", "filter"], request, {"input.parquet": _candidates_and_known(round)})
    with transaction.atomic():
        attempt.job.fence()
        _store_findings(attempt.job, folder)
        _store_embeddings(folder)
        _sort_out(round, attempt.job)
        _end(attempt, folder)
        rounds.advance(round, Round.State.REVIEWING)


def _candidates_and_known(round: Round) -> list[dict[str, Any]]:
    new = round.examples.filter(state=Example.State.NEW).select_related("parent").order_by("pk")
    candidates = [
        {
            **example.to_row(),
            "role": "candidate",
            "stage": example.stage,
            "parent_text": example.parent and example.parent.text,
        }
        for example in new
    ]
    there = round.project.examples.filter(state__in=[Example.State.ACCEPTED, Example.State.QUEUED]).order_by("pk")
    return candidates + [
        {
            **example.to_row(),
            "role": _role(example),
            "stage": example.stage,
            "parent_text": None,
        }
        for example in there
    ]


def _role(example: Example) -> str:
    """What an example that is there is to the filters: what waits has a proposed label, which teaches nobody."""
    if example.split == Split.EVALUATION:
        return "evaluation"
    return "known" if example.state == Example.State.ACCEPTED else "waiting"


def _store_findings(job: Job, folder: RunFolder) -> None:
    findings = [
        Finding(
            example_id=int(row["example_id"]), job=job, filter=row["filter"], keep=row["keep"], score=row["score"],
            reason=row["reason"][:300],
        )
        for row in folder.rows("output.parquet")
    ]  # fmt: skip
    Finding.objects.bulk_create(findings, batch_size=CHUNK)


def _store_embeddings(folder: RunFolder) -> None:
    vectors = {int(row["id"]): row["vector"] for row in folder.rows("embeddings.parquet")}
    missing = Example.objects.filter(pk__in=vectors, embedding=None).only("pk")
    for example in missing:
        example.embedding = vectors[example.pk]
    Example.objects.bulk_update(missing, ["embedding"], batch_size=CHUNK)


def _sort_out(round: Round, job: Job) -> None:
    """Queue what every filter keeps, in the order that spends people best; set the rest aside for overruling."""
    note, scope = f"job {job.pk}", round.subject
    dropped = Finding.objects.filter(job=job, keep=False).values("example_id")
    new = round.examples.filter(state=Example.State.NEW)
    new.filter(pk__in=dropped).move_all(Example.State.NEW, Example.State.FILTERED, scope=scope, note=note)
    new.move_all(Example.State.NEW, Example.State.QUEUED, scope=scope, note=note)
    priority.arrived(round.project, round.project.examples.filter(round=round, state=Example.State.QUEUED))


def auto_review(attempt: Attempt) -> None:
    """Accept what every filter keeps and the judge agrees with, and texts whose label is known by the way they are
    built. The rest goes on waiting for people."""
    round, job = _round(attempt), attempt.job
    with transaction.atomic():
        job.fence()
        agreed = list(_agreed(round))
        Verdict.objects.bulk_create([_machine_verdict(example, job) for example in agreed], batch_size=CHUNK)
        accepted = round.examples.filter(pk__in=[example.pk for example in agreed])
        accepted.update(label=F("proposed_label"), categories=F("proposed_categories"))
        count = accepted.move_all(
            Example.State.QUEUED, Example.State.ACCEPTED, scope=round.subject, note=f"machine, job {job.pk}"
        )
        Lease.objects.filter(example__in=agreed, purpose="queue").end(
            Lease.End.RELEASED
        )  # whoever looks at one is told
        job.current_attempt().update(metrics={"accepted": count}, done=count, total=count)
        finish(attempt)
        rounds.advance(round, Round.State.TRAINING)


def _agreed(round: Round) -> Any:
    judged = Finding.objects.filter(example__round=round, filter=JUDGE, keep=True, score__isnull=False)
    known = Q(pk__in=judged.values("example_id")) | Q(origin=Example.Origin.TEMPLATE)
    queued = round.examples.filter(known, state=Example.State.QUEUED)
    return queued.exclude(verdicts__maker=Verdict.Maker.MACHINE).select_for_update(of=("self",)).order_by("pk")


def _machine_verdict(example: Example, job: Job) -> Verdict:
    return Verdict(
        example=example, maker=Verdict.Maker.MACHINE, job=job, decision=Verdict.Decision.ACCEPT,
        label=example.proposed_label, categories=example.proposed_categories,
        reason=KNOWN if example.origin == Example.Origin.TEMPLATE else AGREED,
        policy_version=job.project.policy_version,
    )  # fmt: skip


def train(attempt: Attempt) -> None:
    """Train the guard on everything accepted outside the held-out families, and publish it."""
    round, job = _round(attempt), attempt.job
    categories = round.project.policy_version.keys()
    request = {"settings": round.settings_for("train"), "categories": categories}
    folder = attempt.run(["classifier", "train"], request, {"input.parquet": _training_rows(round)})
    attempt.check()
    digest, path = publish(folder / "model", settings.ARTIFACTS_DIR / "guards")
    rows = folder.rows("input.parquet")
    with transaction.atomic():
        job.fence()
        guard = Guard.objects.create(
            project=round.project, round=round, job=job, number=round.project.guards.count() + 1, digest=digest,
            path=str(path.relative_to(settings.ARTIFACTS_DIR)), settings=request, metrics=_metrics(folder),
            parent=round.guard_before, dataset_digest=digest_rows(rows), dataset_rows=len(rows),
            base_digest=_metrics(folder)["base_digest"], code_revision=_code_revision(),
        )  # fmt: skip
        webhooks.tell(round.project, "guard.trained", guard=guard.number, round=round.number, digest=digest)
        _end(attempt, folder)
        rounds.advance(round, Round.State.EVALUATING)


def _training_rows(round: Round) -> list[dict[str, Any]]:
    examples = round.project.examples
    sources = examples.sources()  # by family: a recipe that leaves a source out leaves out what was made of it
    rows = [
        {**example.to_row(), "split": example.split, "source": sources.get(example.family, "")}
        for example in examples.trainable().order_by("pk")
    ]
    labels = Counter(row["label"] for row in rows if row["split"] == "train")
    if not (labels[Label.SAFE] and labels[Label.UNSAFE]):
        raise Refused(
            f"Training needs safe and unsafe examples, found {labels[Label.SAFE]} and {labels[Label.UNSAFE]}.",
            "Accept or import examples of the missing label, then press Retry.",
        )
    return rows


def _code_revision() -> str:
    """The commit that trains, where the site runs from a checkout."""
    asked = subprocess.run(
        ["git", "rev-parse", "HEAD"],  # noqa: S607 - the path of git differs between systems
        cwd=settings.BASE_DIR, capture_output=True, text=True, check=False,
    )  # fmt: skip
    return asked.stdout.strip() if asked.returncode == 0 else ""


def evaluate(attempt: Attempt) -> None:
    """Measure the new guard, and the one before it, on the set that was frozen when the round started and on those of
    earlier rounds: what was learnt once must not be lost."""
    round = _round(attempt)
    assert round.evaluation_set is not None
    pair = [guard for guard in (round.guard_before, round.guard) if guard is not None]
    found = measuring.measure(attempt, measuring.missing(pair, measuring.sets_up_to(round)))
    with transaction.atomic():
        attempt.job.fence()
        measuring.store(attempt.job, found)
        round.guard.move_to(Guard.State.EVALUATED)
        _promote(round)
        finish(attempt)
        rounds.advance(round, Round.State.ATTACKING if round.settings_for("attack") else Round.State.CLOSED)


def _promote(round: Round) -> None:
    """A first guard goes live; a later one by itself only in an automatic round, and only when it is better."""
    guard, before = round.guard, round.guard_before
    if before is None or (round.review == Round.Review.AUTO and guards.may_replace(guard, before)):
        guards.promote(guard, None, note="first guard" if before is None else "better on the frozen set")
    else:
        guard.move_to(Guard.State.CANDIDATE)


def attack(attempt: Attempt) -> None:
    """Let the adversary look for what the new guard gets wrong; its finds are candidates of the next round."""
    round = _round(attempt)
    recipe = round.settings_for("attack")
    guard = settings.ARTIFACTS_DIR / round.guard.path
    policy = round.project.policy_version
    languages = round.settings_for("filter").get("languages") or [catalogue.LANGUAGE]
    request = {"settings": {
        **recipe, "guard": str(guard), "seed": round.pk, "forbidden_categories": _forbidden(round),
        "pairs": recipe.get("pairs", 0) if catalogue.LANGUAGE in languages else 0,
        "policy_categories": list(policy.categories.values("key", "crosswalk")),
    }}  # fmt: skip
    files = {"input.parquet": _attack_rows(round), **_accepted_pairs(round, recipe.get("generator") or {})}
    folder = attempt.run(["pipeline", "adversary"], request, files)
    with transaction.atomic():
        attempt.job.fence()
        _store_drafts(attempt, folder, rounds.next_draft(round.project))
        _end(attempt, folder)
        rounds.advance(round, Round.State.CLOSED)


def _attack_rows(round: Round) -> list[dict[str, Any]]:
    trainable = round.project.examples.trainable().order_by("pk")
    decided = [{**example.to_row(), "role": "decided"} for example in trainable]
    seeds = [{**row, "role": "seed"} for row in _seeds(round, 0)]
    past = round.project.examples.filter(origin__in=Example.BROUGHT).order_by("pk")
    return seeds + decided + [{**example.to_row(), "role": "archive"} for example in past]


def release(attempt: Attempt) -> None:
    """Write the files of a release and freeze it."""
    releases.build(attempt)


WORK: dict[Job.Kind, Callable[[Attempt], None]] = {
    Job.Kind.GENERATE: generate,
    Job.Kind.FILTER: filter_candidates,
    Job.Kind.AUTO_REVIEW: auto_review,
    Job.Kind.TRAIN: train,
    Job.Kind.EVALUATE: evaluate,
    Job.Kind.ATTACK: attack,
    Job.Kind.RELEASE: release,
    Job.Kind.AGREEMENT: agreement.measure,
    Job.Kind.EXPORT: serving.export,
    Job.Kind.LOOK: intake.look_at,
    Job.Kind.CHECK: intake.bring,
    Job.Kind.IMPORT: intake.bring,
    Job.Kind.PRIORITIZE: priority.score,
    Job.Kind.RESCORE: priority.rescore,
    Job.Kind.PREVIEW: plans.preview,
    Job.Kind.MEASURE: measuring.measure_all,
    Job.Kind.DELIVER: webhooks.deliver,
}
