"""The program that attacks a guard.

`input.parquet` holds examples with a column `role`: `seed` (write from these), `archive` (past finds, which must not
come again) and `decided` (trusted labels, which teach the judge). `request.json` names under `settings` the method, the
generator, the reward, the `judge` (see judging.py), the guard's folder, how many finds are wanted, the seed, and the
forbidden categories; also how many contrast `pairs` of the catalogue may be brought, and the `policy_categories`, which
say what of it is harm.
`pairs.parquet` may hold rewrites from which a writer with a warm start learns first.

Under `accelerate launch` the processes train together; the first one alone writes, grades, searches and reports.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from classifier.devices import Devices
from classifier.runfolder import ProgramError, Report, RunFolder, write_json
from pipeline import prompts
from pipeline.adversary import Method, methods
from pipeline.adversary.archive import Archive, Find, choose
from pipeline.adversary.contrast import contrast
from pipeline.adversary.hunt import Follower, Hunt, promising
from pipeline.adversary.quiet import quiet
from pipeline.context import Refusals, same_key, silent
from pipeline.generators import Generator, load, opened
from pipeline.generators.local import Local
from pipeline.generators.weights import DEFAULT_GENERATOR, generator_folder
from pipeline.judging import Judging
from pipeline.meter import Meter, estimated_tokens
from pipeline.records import UNSAFE, Draft, Example
from pipeline.registry import Registry, UnknownStage
from pipeline.rewards import Arena, Reward, rewards
from pipeline.rewards.likeness import Known
from pipeline.warm_start import warmed

ROLES = ("seed", "archive", "decided")


def attack(run: RunFolder, report: Report) -> None:
    """The program: examples by role -> `output.parquet` of drafts that the guard gets wrong, and `metrics.json`."""
    start = time.perf_counter()
    settings = run.request().get("settings", {})
    method, devices, refusals = method_of(settings), Devices(), Refusals.of(settings)
    roles = roles_of(run.rows())
    seeds, doubtful = allowed_seeds(roles["seed"], refusals)
    quiet()
    generator, meter = opened(settings.get("generator"), run.path)
    generator, learnt = warmed(run, generator, refusals, report if devices.first else silent)
    lead = _hunt(run, method, roles, seeds, generator, meter, report) if devices.first else None
    order = devices.decided(lambda: lead.seeds if lead else ())
    if lead or hasattr(method, "devices"):  # else it trains nothing
        method.attack(lead or Follower(order, generator, run.path, int(settings.get("seed", 0)), devices))
    if lead:
        report(0, 1, "Trying contrast pairs")
        every = [example.text for examples in roles.values() for example in examples]
        pairs, tried = contrast(settings, every, lead.arena.guard, lead.arena.threshold)
        _deliver(run, lead, method, {
            "refused_seeds": doubtful, "pairs": tried, "seconds": round(time.perf_counter() - start, 2),
            **({"warm_start": learnt} if learnt else {}),
        }, pairs)  # fmt: skip
    devices.leave()


def _hunt(
    run: RunFolder, method: Method, roles: Mapping[str, list[Example]], seeds: Sequence[Example],
    generator: Generator, meter: Meter, report: Report,
) -> Hunt:  # fmt: skip
    settings = run.request().get("settings", {})
    reward: Reward = _stage(rewards, settings.get("reward") or {"key": "guard-error"})
    report(0, 1, "Reading guard and examples")
    arena = _arena(run, roles, report)
    return Hunt(
        seeds=promising(seeds, arena.guard([seed.text for seed in seeds]), arena.threshold, room_of(method)),
        arena=arena, reward=reward,
        archive=Archive(run / "archive"), generator=generator, meter=meter, folder=run.path,
        wanted=int(settings.get("wanted", 40)), seed=int(settings.get("seed", 0)), report=report,
    )  # fmt: skip


def method_of(settings: Mapping[str, Any]) -> Method:
    """The method of a recipe."""
    method: Method = _stage(methods, settings.get("method") or {"key": "grpo"})
    return method


def judging_of(settings: Mapping[str, Any]) -> Judging:
    """The judge of a recipe; the probe where it names none."""
    try:
        return Judging(**settings.get("judge") or {})
    except (TypeError, ValueError) as error:
        raise ProgramError(f"The recipe cannot be run: {error}", "Correct the recipe.") from None


def room_of(method: Method) -> Callable[[Example], bool]:
    """Whether a method lets the generator write as much as a seed is long."""
    return lambda seed: estimated_tokens(seed.text) <= method.prompt(seed).max_new_tokens


def _stage(registry: Registry, entry: Mapping[str, Any]) -> Any:
    try:
        return registry.make(str(entry["key"]), entry.get("settings"))
    except (UnknownStage, KeyError, TypeError, ValueError) as error:
        raise ProgramError(f"The recipe cannot be run: {error}", "Correct the recipe.") from None


def roles_of(rows: Sequence[Mapping[str, Any]]) -> dict[str, list[Example]]:
    """Examples by role."""
    if strange := sorted({str(row.get("role")) for row in rows} - set(ROLES)):
        raise ProgramError(f"The column role should be one of {', '.join(ROLES)}, found {strange[0]!r}.", "Correct it.")
    return {role: [Example.from_row(row) for row in rows if row["role"] == role] for role in ROLES}


def allowed_seeds(seeds: Sequence[Example], refusals: Refusals) -> tuple[list[Example], int]:
    """The seeds that text may be made from, and how many others were left out for the look of their text.

    Raises:
        ProgramError: seeds of a forbidden category were given, or no seed is left. They are counted, never quoted.
    """
    if forbidden := sum(bool(refusals.categories.intersection(map(same_key, seed.categories))) for seed in seeds):
        raise ProgramError(
            f"{forbidden} of {len(seeds)} seeds are of categories that no text may be made from.", "Leave them out."
        )
    allowed, doubtful = refusals.split(seeds)
    if not allowed:
        raise ProgramError("There is no seed that text may be made from.", "Give rows with the role 'seed'.")
    return allowed, doubtful


def _arena(run: RunFolder, roles: Mapping[str, list[Example]], report: Report) -> Arena:
    """Load what the reward looks at; the judge learns from the decided examples alone."""
    from classifier.embed import Embedder
    from classifier.score import load_scorer
    from pipeline.rewards.fluency import Fluency, floor_of

    settings = run.request().get("settings", {})
    judging = judging_of(settings)
    if not isinstance(guard := settings.get("guard"), str):
        raise ProgramError("request.json has no settings.guard.", "Write the guard's folder there and start again.")
    scorer, embedder = load_scorer(Path(guard)), Embedder()
    decided = roles["decided"]
    judge = judging.fit(decided, embedder.embed([example.text for example in decided]), run.path, report)
    every = sorted({example.text for examples in roles.values() for example in examples})
    fluency = Fluency(_fluent_folder(settings))
    return Arena(
        guard=scorer.unsafe, embed=embedder.embed, judge=judge.opinions, known=Known(every, embedder.embed(every)),
        judge_silence=judge.silence, threshold=scorer.threshold, fluency=fluency,
        fluency_floor=floor_of(fluency([e.text for e in roles["seed"]])),
    )  # fmt: skip


def _fluent_folder(settings: Mapping[str, Any]) -> Path:
    """The weights that judge fluency: those that write, or the packaged ones where an endpoint writes."""
    generator = load(settings.get("generator"))
    return generator_folder(generator.model if isinstance(generator, Local) else DEFAULT_GENERATOR)


def _deliver(run: RunFolder, hunt: Hunt, method: Any, figures: Mapping[str, Any], pairs: Sequence[Draft]) -> None:
    """Write the best finds, the contrast pairs, and the figures of the whole hunt."""
    finds = hunt.archive.finds
    vectors = hunt.arena.embed([find.text for find in finds])
    seeds = {seed.id: seed for seed in hunt.seeds}
    best = choose(finds, vectors, hunt.wanted)
    outcomes: Counter[str] = sum((Counter(step.outcomes) for step in hunt.archive.steps), Counter())
    unsafe = sum(seeds[find.seed_id].label == UNSAFE for find in finds)
    write_json(run / "metrics.json", {
        **figures, "method": method.key, "attempts": outcomes.total(), "outcomes": dict(outcomes), "finds": len(finds),
        "abstained": outcomes["abstained"] / max(1, outcomes.total()), "curve": hunt.archive.curve(),
        "finds_by_direction": {"misses": unsafe, "false_alarms": len(finds) - unsafe}, "delivered": len(best),
        "judge_silence": hunt.arena.judge_silence, "generator": hunt.meter.figures(), **hunt.figures,
    })  # fmt: skip
    drafts = [*(_draft(find, seeds[find.seed_id], method) for find in best), *pairs]
    rows = [draft.to_row() for draft in drafts]
    run.write_rows(rows, schema=None if rows else _schema())
    brought = f"{len(pairs)} texts of contrast pairs" if pairs else ""
    said = [f"{len(best)} finds", brought, hunt.meter.stop, hunt.arena.judge_silence]
    hunt.report(1, 1, ". ".join(filter(None, said)).rstrip(". "), {"finds": float(len(finds))})


def _draft(find: Find, seed: Example, method: Any) -> Draft:
    scores = {"reward": find.reward, "guard": find.guard, "judge": find.judge, "novelty": find.novelty}
    # The parent of an example is an example, here the seed; the find between the two is known by its digest.
    settings = asdict(method) | ({"written_from": find.parent} if find.parent else {})
    return Draft(
        text=find.text, label=seed.label, categories=seed.categories, parent_id=seed.id, family=seed.family,
        origin="adversarial", stage=method.key, settings=settings, prompt=prompts.load(method.version).reference,
        model=find.model, language=seed.language, scores=scores,
    )  # fmt: skip


def _schema() -> Any:
    """The columns of a draft, for an attack that found nothing: a file without columns could not be read."""
    import pyarrow as pa

    columns = {name: pa.string() for name in Draft.__dataclass_fields__}
    return pa.schema({**columns, "categories": pa.list_(pa.string())})
