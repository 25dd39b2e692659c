"""What came of a round, in figures: for its page, for the shell, for one JSON object."""

from __future__ import annotations

from collections import Counter, defaultdict
from itertools import pairwise
from typing import Any

from django.db.models import CharField, Count, F, FloatField, Func, Q, QuerySet, Sum
from django.db.models.fields.json import KeyTextTransform
from django.db.models.functions import Cast, Extract

from curation.models import Example, Guard, Job, Round, Verdict

FIGURES = (
    "average_precision", "f1", "precision", "recall", "fpr", "recall_at_fpr_1", "recall_at_fpr_5", "ece", "n",
)  # fmt: skip
FEW_FINDS = 0.02  # of an adversary's attempts: below it, hours of it fill no batch for a person
LOOKED_BACK = 5  # rounds in which a stage's keep rate is looked for
DIVERSITY = ("texts", "vendi", "distinct_pairs", "nearest")


def of_round(round: Round) -> dict[str, Any]:
    """Counts per stage, keep rates, guard figures before and after on the same frozen set, seconds per stage."""
    return {
        "project": round.project.slug,
        "round": round.number,
        "state": round.state,
        "review": round.review,
        "counts": counts(round),
        "keep_rates": keep_rates(round),
        "filters": filter_rates(round),
        "adversary": _adversary(round),
        "evaluation_set": _frozen(round),
        "guard_before": guard_figures(round, round.guard_before),
        "guard_after": guard_figures(round, getattr(round, "guard", None)),
        "seconds": seconds(round),
        "stop": stop(round),
    }


def stop(round: Round) -> str:
    """Why another round by the same recipe would hardly pay, after one that ended; empty while it would.

    It pays as long as the guard gets better on the frozen set or the adversary finds what it gets wrong.
    """
    now, before = (guard_figures(round, one) for one in (getattr(round, "guard", None), round.guard_before))
    if round.state != Round.State.CLOSED or not (now and before):
        return ""
    gain = (now["average_precision"] or 0) - (before["average_precision"] or 0)
    result = _result(round, Job.Kind.ATTACK)
    share = result["finds"] / max(1, result["attempts"]) if "attempts" in result else None
    if gain > 0 or (share is not None and share >= FEW_FINDS):
        return ""
    hunted = (
        "no adversary looked for more"
        if share is None
        else f"{share * 100:.1f} % of the adversary's attempts were finds"
    )
    return f"the guard did not get better on the frozen set ({gain:+.3f} average precision), and {hunted}"


def counts(round: Round) -> dict[str, int]:
    """How many examples of the round are where."""
    state = Example.State
    candidates = round.examples.aggregate(
        candidates=Count("pk"),
        carried_in=Count("pk", filter=Q(origin__in=Example.BROUGHT)),
        filtered=Count("pk", filter=Q(state=state.FILTERED)),
        queued=Count("pk", filter=Q(state=state.QUEUED)),
        accepted=Count("pk", filter=Q(state=state.ACCEPTED)),
        rejected=Count("pk", filter=Q(state=state.REJECTED)),
        disputed=Count("pk", filter=Q(state=state.DISPUTED)),
    )
    standing = Verdict.objects.current().exclude(decision=Verdict.Decision.SKIP).filter(example__round=round)
    return {
        **candidates,
        "verdicts_person": standing.by_people().count(),
        "verdicts_machine": standing.by_machine().count(),
        "adversarial_found": found(round).count(),
    }


def found(round: Round) -> QuerySet[Example]:
    """What the adversary found against this round's guard; it waits in the next round."""
    return Example.objects.filter(made_by_job__round=round, origin=Example.Origin.ADVERSARIAL)


def keep_rates(round: Round) -> list[dict[str, Any]]:
    """Per stage that wrote candidates: how many, and how many no filter advised against."""
    looked_at = round.examples.exclude(state=Example.State.NEW)
    stages = looked_at.values("stage", "origin").annotate(
        made=Count("pk"), kept=Count("pk", filter=~Q(state=Example.State.FILTERED))
    )
    rows: list[dict[str, Any]] = [{**row, "rate": _share(row["kept"], row["made"])} for row in stages.order_by("stage")]
    made, kept = sum(int(row["made"]) for row in rows), sum(int(row["kept"]) for row in rows)
    return [*rows, {"stage": "all", "origin": "", "made": made, "kept": kept, "rate": _share(kept, made)}]


def filter_rates(round: Round) -> list[dict[str, Any]]:
    """Per filter: how many examples it looked at, and how many it advised against."""
    from curation.models import Finding

    findings = Finding.objects.filter(example__round=round).values("filter")
    rows = findings.annotate(seen=Count("pk"), dropped=Count("pk", filter=Q(keep=False))).order_by("filter")
    return [{**row, "rate": _share(row["seen"] - row["dropped"], row["seen"])} for row in rows]


def _share(part: int, whole: int) -> float | None:
    return round_to(part / whole) if whole else None


def round_to(value: float) -> float:
    """Four decimals: more is noise on sets of this size."""
    return float(f"{value:.4f}")


def _adversary(round: Round) -> dict[str, Any] | None:
    finds = found(round)
    if not (total := finds.count()):
        return None
    unsafe = finds.filter(proposed_label="unsafe").count()
    stages = dict(finds.values_list("stage").annotate(Count("pk")).order_by("stage"))
    return {"found": total, "misses": unsafe, "false_alarms": total - unsafe, "by_method": stages}


def _frozen(round: Round) -> dict[str, Any] | None:
    frozen = round.evaluation_set
    return None if frozen is None else {"digest": frozen.digest, "rows": frozen.rows, "unsafe": frozen.unsafe}


def guard_figures(round: Round, guard: Guard | None) -> dict[str, Any] | None:
    """A guard's figures on this round's frozen set, None where there are none yet."""
    metrics = guard.metrics_on(round.evaluation_set) if guard else None
    if guard is None or metrics is None:
        return None
    return {
        "guard": guard.number,
        "state": guard.state,
        "digest": guard.digest,
        "rows": guard.dataset_rows,
        **{name: metrics.get(name) for name in FIGURES},
    }


def seconds(round: Round) -> dict[str, float]:
    """Seconds of work per kind of job, waiting for a worker left out."""
    spent: dict[str, float] = defaultdict(float)
    ended = round.jobs.filter(state=Job.State.DONE).values("kind")
    rows = ended.annotate(spent=Sum(Extract("ended_at", "epoch") - Extract("started_at", "epoch")))
    for row in rows:
        spent[row["kind"]] += float(row["spent"] or 0)
    return {kind: round_to(value) for kind, value in spent.items()}


# Figures of the round's page


def kept_by(round: Round) -> list[dict[str, Any]]:
    """How many candidates the filters kept and people accepted: by stage, by category, by language."""
    looked = round.examples.exclude(state=Example.State.NEW)
    tables = []
    for title, field in (("stage", "stage"), ("category", "category"), ("language", "language")):
        rows = (
            looked.annotate(category=Func(F("proposed_categories"), function="unnest", output_field=CharField()))
            if field == "category"
            else looked
        )
        counted = rows.values(name=F(field)).annotate(
            made=Count("pk"), kept=Count("pk", filter=~Q(state=Example.State.FILTERED)),
            accepted=Count("pk", filter=Q(state=Example.State.ACCEPTED)),
            rejected=Count("pk", filter=Q(state=Example.State.REJECTED)),
        )  # fmt: skip
        found = [{**row, "rate": _share(row["kept"], row["made"])} for row in counted.order_by("-made")]
        tables.append({"by": title, "rows": found})
    return _beside_the_round_before(round, tables)


def _beside_the_round_before(round: Round, tables: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Add to each stage what was kept in the last round that used it: whether a writer has learnt shows there."""
    recent = Q(round__number__lt=round.number, round__number__gte=round.number - LOOKED_BACK)
    looked = round.project.examples.filter(recent).exclude(state=Example.State.NEW)
    counted = looked.values("stage", "round__number").annotate(
        made=Count("pk"), kept=Count("pk", filter=~Q(state=Example.State.FILTERED))
    )
    before = {row["stage"]: _share(row["kept"], row["made"]) for row in counted.order_by("round__number")}
    for row in tables[0]["rows"]:
        row["before"] = before.get(row["name"])
    return tables


def warm_starts(round: Round) -> list[tuple[str, dict[str, Any]]]:
    """What the writer learnt from accepted rewrites before candidates were written and before the attack began.

    Kinds of job with figures, without those that were not asked to learn.
    """
    kinds = (Job.Kind.GENERATE, Job.Kind.ATTACK)
    found = ((kind.value, _result(round, kind).get("warm_start") or {}) for kind in kinds)
    return [(kind, figures) for kind, figures in found if figures]


def contrast(round: Round) -> dict[str, Any]:
    """How many contrast pairs the round's guard confuses, by topic, the worst first; empty where none was tried."""
    found = _result(round, Job.Kind.ATTACK).get("pairs") or {}
    if not found.get("tried"):
        return {}
    rows = [{**row, "rate": _share(row["tried"] - row["confused"], row["tried"])} for row in found["by_topic"]]
    return {**found, "by_topic": sorted(rows, key=lambda row: (row["rate"], row["name"]))}


def diversity(round: Round) -> list[tuple[str, Any, Any]]:
    """How different the candidates are, as they were written and as the filters left them: a figure a row."""
    found = _result(round, Job.Kind.FILTER).get("diversity") or {}
    written, kept = found.get("written") or {}, found.get("kept") or {}
    return [(name, written.get(name), kept.get(name)) for name in DIVERSITY if written and kept]


def _result(round: Round, kind: str) -> dict[str, Any]:
    """What the round's newest program of a kind told of itself."""
    job = round.jobs.filter(kind=kind).order_by("-pk").first()
    found: dict[str, Any] = (job.metrics.get("result") or {}) if job else {}
    return found


def reasons(round: Round, most: int = 8) -> list[dict[str, Any]]:
    """Why people rejected, the most frequent first. Reasons are the desk's short ones, never text of examples."""
    said = Verdict.objects.current().by_people().filter(example__round=round, decision=Verdict.Decision.REJECT)
    counted = said.exclude(reason="").values("reason").annotate(count=Count("pk")).order_by("-count")
    return [dict(row) for row in counted[:most]]


def reward_deciles(round: Round) -> list[dict[str, Any]]:
    """Of the adversary's finds against this round's guard, by tenths of their reward: what people made of them.

    A tenth of high reward that people reject is a reward that pays for tricks.
    """
    reward = Cast(KeyTextTransform("reward", "scores"), FloatField())
    finds = found(round).filter(scores__has_key="reward").annotate(reward=reward)
    rows = sorted(finds.values_list("reward", "state", "pk"), reverse=True)
    return [_decile(number, part) for number, part in enumerate(_tenths(rows), start=1)]


def _tenths(rows: list[Any]) -> list[list[Any]]:
    parts = min(10, len(rows))
    cuts = [len(rows) * at // parts for at in range(parts + 1)] if parts else []
    return [rows[low:high] for low, high in pairwise(cuts)]


def _decile(number: int, rows: list[tuple[float, str, int]]) -> dict[str, Any]:
    states = Counter(state for _, state, _ in rows)
    judged = states["accepted"] + states["rejected"]
    return {
        "decile": number, "high": rows[0][0], "low": rows[-1][0], "finds": len(rows), "accepted": states["accepted"],
        "rejected": states["rejected"], "waiting": len(rows) - judged, "rate": _share(states["rejected"], judged),
        "rejected_ids": [pk for _, state, pk in rows if state == "rejected"][:10],
    }  # fmt: skip
