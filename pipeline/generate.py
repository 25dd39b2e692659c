"""The program that writes candidates: every stage of the recipe on every seed it applies to.

Work goes in chunks; a finished chunk is a file under `parts/`, so a run that was stopped goes on with the next one.
"""

from __future__ import annotations

import hashlib
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from classifier.normalize import normalized_hash
from classifier.runfolder import ProgramError, Report, RunFolder, write_json
from pipeline.augmenters import Persists, Stage, TwoTurns, Written, augmenters
from pipeline.context import Context, Refusals, is_forbidden_draft
from pipeline.filters.shape import Shape
from pipeline.generators import Generator, opened
from pipeline.meter import Meter
from pipeline.paraphrasers import paraphrasers
from pipeline.records import Draft, Example
from pipeline.registry import UnknownStage
from pipeline.warm_start import warmed

CHUNK = 64  # drafts wanted per part: about ten seconds of work for the packaged model on two cores
SHAPE = Shape()
COOLER = 0.7  # temperature of a second asking against the first: mostly the first answers strayed too far
COOLEST = 0.5  # of any asking against the first: near zero all answers are one


@dataclass(frozen=True)
class Order:
    """One stage of the recipe."""

    key: str
    origin: str
    stage: Stage
    copies: int


@dataclass(frozen=True)
class Wish:
    """One draft that is wanted."""

    order: Order
    example: Example
    copy: int
    turn: int = 0

    def in_turn(self, turn: int) -> Wish:
        """The same, as it is asked for in a turn; turns count from 0."""
        stage = self.order.stage
        if turn and isinstance(stage, Persists):
            stage = stage.after_failure()
        return replace(self, order=replace(self.order, stage=stage), turn=turn)


@dataclass(frozen=True)
class Option:
    """A draft that could be taken."""

    fitness: float
    written: Written


@dataclass
class Tally:
    """Counts per stage."""

    counts: dict[str, Counter[str]] = field(default_factory=dict)

    def add(self, stage: str, **counts: int) -> None:
        self.counts.setdefault(stage, Counter()).update(counts)


def generate(run: RunFolder, report: Report) -> None:
    """The program: `input.parquet` of seeds -> `output.parquet` of drafts, `metrics.json`."""
    start = time.perf_counter()
    settings = run.request().get("settings", {})
    refusals = Refusals.of(settings)
    orders = orders_of(settings, refusals)
    seeds, refused = refusals.split(Example.from_row(row) for row in run.rows())
    if not seeds:
        raise ProgramError("There is no seed that text may be made from.", "Import seeds of categories that allow it.")
    chunks = list(chunked(orders, seeds))
    generator, meter = opened(settings.get("generator"), run.path)
    generator, learnt = warmed(run, generator, refusals, report)
    writer = Writer(generator, Context(seed=int(settings.get("seed", 0))), refusals)
    total, rows = sum(map(len, chunks)), []
    for number, chunk in enumerate(chunks):
        done = sum(map(len, chunks[:number]))
        part = f"parts/{number:05d}.parquet"
        if not (run / part).exists():
            if meter.stop and chunk[0].order.stage.prompt_reference():
                continue  # no part: a run that goes on with a larger budget writes it
            run.write_rows(writer.write(number, chunk, _inner(report, done, total, len(chunk))), part)
        rows += run.rows(part)
        report(done + len(chunk), total, f"{sum(bool(row['text']) for row in rows)} candidates")
    _deliver(run, rows, meter, {
        "refused_seeds": refused, "seconds": round(time.perf_counter() - start, 2),
        **({"warm_start": learnt} if learnt else {}),
    })  # fmt: skip
    if meter.stop:
        report(len(rows), total, f"{meter.stop}: {len(rows):,} of {total:,} texts were asked for")


def _inner(report: Report, done: int, total: int, size: int) -> Report:
    """Progress inside a chunk, in wishes."""

    def inner(part: int, whole: int, message: str = "", metrics: Mapping[str, Any] | None = None, /) -> None:
        report(done + size * part // max(1, whole), total, message, metrics)

    return inner


def orders_of(settings: Mapping[str, Any], refusals: Refusals) -> list[Order]:
    """The stages of a recipe that write.

    Raises:
        ProgramError: it names none, one that is not there, or a category that no text may be made of.
    """
    orders = []
    for kind, registry, origin in (
        ("augmenters", augmenters, "augmented"),
        ("paraphrasers", paraphrasers, "paraphrased"),
    ):
        for entry in settings.get(kind) or ():
            try:
                stage: Stage = registry.make(entry["key"], entry.get("settings"))
            except (UnknownStage, ValueError) as error:
                raise ProgramError(str(error), "Correct the recipe.") from None
            if not refusals.may_have([getattr(stage, "category", "")]):
                raise ProgramError(f"{entry['key']!r} names a category that no text may be made of.", "Name another.")
            orders.append(Order(entry["key"], origin, stage, int(entry.get("copies", 1))))
    if not orders:
        raise ProgramError("The recipe names no augmenter and no paraphraser.", "Name at least one.")
    return orders


def chunked(orders: Sequence[Order], seeds: Sequence[Example]) -> Iterator[list[Wish]]:
    """Wishes in chunks of one stage each, in an order that follows from the input alone."""
    for order in orders:
        usable = [seed for seed in seeds if order.stage.applies(seed)]
        wishes = [Wish(order, seed, copy) for copy in range(order.copies) for seed in usable]
        for start in range(0, len(wishes), CHUNK):
            yield wishes[start : start + CHUNK]


class Writer:
    """Turns wishes into drafts."""

    def __init__(self, generator: Generator, context: Context, refusals: Refusals) -> None:
        self.generator, self.context, self.refusals = generator, context, refusals
        self._embedder: Any = None

    def write(self, number: int, wishes: Sequence[Wish], report: Report) -> list[dict[str, Any]]:
        """One row per wish of one stage; its text is empty where the generator had nothing usable to say.

        The generator is asked again, as often as the stage says, for wishes that nothing fits yet.
        """
        best: list[Option | None] = [None] * len(wishes)
        waiting = range(len(wishes))
        for turn in range(wishes[0].order.stage.rounds):
            asked = [wishes[at].in_turn(turn) for at in waiting]
            try:
                found = self._best(asked, self._answers(f"{number}:{turn}", asked, max(COOLER**turn, COOLEST), report))
            except ProgramError:
                if not turn:
                    raise
                break  # those that are left may be the very ones that an endpoint never answers
            for at, option in zip(waiting, found, strict=True):
                best[at] = max(best[at], option, key=_worth)
            waiting = [at for at in waiting if _worth(best[at]) < 0]  # type: ignore[assignment]
            if not waiting:
                break
        return [self._row(wish, option.written if option else None) for wish, option in zip(wishes, best, strict=True)]

    def _answers(self, name: str, wishes: Sequence[Wish], warmth: float, report: Report) -> list[list[str | None]]:
        """For each wish the generator's answers, as many as its stage tries; one empty one where it needs none."""
        prompts, owners = [], []
        for at, wish in enumerate(wishes):
            prompt = wish.order.stage.prompt(wish.example, self._chance(wish))
            if prompt is not None:
                prompt = replace(prompt, temperature=prompt.temperature * warmth)
                prompts += [prompt] * wish.order.stage.tries
                owners += [at] * wish.order.stage.tries
        answers: list[list[str | None]] = [[] for _ in wishes]
        if not prompts:
            return [[""] for _ in wishes]
        replies = self.generator.generate(prompts, _mix(self.context.seed, name), report)
        if isinstance(stage := wishes[0].order.stage, TwoTurns):
            replies = self._again(stage, name, replies, report)
        for at, answer in zip(owners, replies, strict=True):
            answers[at].append(answer)
        return answers

    def _again(self, stage: TwoTurns, name: str, replies: Sequence[str | None], report: Report) -> list[str | None]:
        """What the generator says of its own answers."""
        prompts = [stage.again(reply) if reply else None for reply in replies]
        asked = [prompt for prompt in prompts if prompt]
        seed = _mix(self.context.seed, f"{name}:again")
        answers = iter(self.generator.generate(asked, seed, report) if asked else ())
        return [next(answers) if prompt else None for prompt in prompts]

    def _chance(self, wish: Wish) -> Any:
        return self.context.chance(wish.order.key, wish.example.id, wish.copy, *([wish.turn] if wish.turn else []))

    def _best(self, wishes: Sequence[Wish], answers: Sequence[Sequence[str | None]]) -> list[Option | None]:
        """Of the usable answers to each wish the one that keeps the meaning best without copying."""
        drafts = [self._drafts(wish, replies) for wish, replies in zip(wishes, answers, strict=True)]
        if all(wish.order.stage.rounds == 1 and len(found) < 2 for wish, found in zip(wishes, drafts, strict=True)):
            return [Option(0.0, found[0]) if found else None for found in drafts]  # nothing to choose
        texts = [wish.example.text for wish in wishes] + [draft.text for found in drafts for draft in found]
        vectors = iter(self._embed(texts))
        parents = [next(vectors) for _ in wishes]
        return [
            max(
                (Option(_fitness(float(parent @ next(vectors)), wish.order.stage.band), draft) for draft in found),
                key=_worth, default=None,
            )
            for wish, parent, found in zip(wishes, parents, drafts, strict=True)
        ]  # fmt: skip

    def _drafts(self, wish: Wish, replies: Sequence[str | None]) -> list[Written]:
        drafts = (
            wish.order.stage.draft(wish.example, reply, self._chance(wish)) for reply in replies if reply is not None
        )
        made = [draft for draft in drafts if draft is not None and _is_usable(draft, wish.example)]
        if wish.order.stage.prompt_reference():  # a model that falls into a loop is asked again
            made = [draft for draft in made if not SHAPE.fault(draft.text) or SHAPE.fault(wish.example.text)]
        return [draft for draft in made if self.refusals.may_have(draft.categories)]

    def _embed(self, texts: list[str]) -> Any:
        if self._embedder is None:
            from classifier.embed import Embedder

            self._embedder = Embedder()
        return self._embedder.embed(texts)

    def _row(self, wish: Wish, written: Written | None) -> dict[str, Any]:
        example, order = wish.example, wish.order
        draft = Draft(
            text=written.text if written else "", label=written.label if written else example.label,
            categories=written.categories if written else (), parent_id=example.id, family=example.family,
            origin=order.origin, stage=order.key, settings=asdict(order.stage),  # type: ignore[arg-type, call-overload]
            prompt=order.stage.prompt_reference(), model=self._model(wish), language=example.language,
        )  # fmt: skip
        return draft.to_row()

    def _model(self, wish: Wish) -> str:
        return self.generator.digest() if wish.order.stage.prompt_reference() else "rules"


def _is_usable(draft: Written, parent: Example) -> bool:
    """Whether a draft is new and may exist."""
    is_copy = normalized_hash(draft.text) == normalized_hash(parent.text)
    named = replace(parent, categories=parent.categories + draft.categories)  # a twin can have one of its own
    return not is_copy and not is_forbidden_draft(draft.text, named)


def _fitness(cosine: float, band: tuple[float, float]) -> float:
    """Likeness inside the band; outside it, how far off, as a negative."""
    low, high = band
    return cosine if low <= cosine <= high else min(cosine - low, high - cosine)


def _worth(option: Option | None) -> float:
    return option.fitness if option else -2.0  # no cosine is so far off


def _mix(seed: int, name: str) -> int:
    """A seed for one turn of one chunk."""
    return int.from_bytes(hashlib.sha256(f"{seed}:{name}".encode()).digest()[:4], "big")


def _deliver(run: RunFolder, rows: Sequence[Mapping[str, Any]], meter: Meter, figures: Mapping[str, Any]) -> None:
    """Write the drafts that have a text, and the counts of those that have none."""
    tally = Tally()
    for row in rows:
        tally.add(row["stage"], asked=1, made=int(bool(row["text"])), abstained=int(not row["text"]))
    made = [row for row in rows if row["text"]]
    if not made and meter.stop:
        raise ProgramError(
            f"{meter.stop} before anything usable was written.", "Raise the generator's budget or most_tokens."
        )
    if not made:
        raise ProgramError(
            "The generator wrote nothing that could be used.",
            "Check the generator's settings, or its endpoint, and retry.",
        )
    write_json(run / "metrics.json", {
        "stages": {key: dict(counts) for key, counts in tally.counts.items()}, "made": len(made),
        "generator": meter.figures(), **figures,
    })  # fmt: skip
    run.write_rows(made)
