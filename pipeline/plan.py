"""What a program would ask its generator, before it asks: prompts, tokens, time, money. Nothing is written or loaded.

Tokens are counted on a sample of the prompts. What is written is an upper bound: every answer as long as it may be.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from classifier.runfolder import ProgramError, RunFolder
from pipeline.adversary.run import allowed_seeds, method_of, roles_of
from pipeline.augmenters import TwoTurns
from pipeline.chat import Connection
from pipeline.context import Context, Refusals
from pipeline.generate import Order, orders_of
from pipeline.generators import Generator, Prompt, load
from pipeline.generators.local import Local
from pipeline.meter import CHARACTERS, estimated_tokens
from pipeline.records import Example

SAMPLED = 256  # prompts of a stage whose tokens are counted
# Tokens of the upper bound, not of what is written: answers end long before it. In float32 on two cores under a load
# of 2.8: 128 prompts as `benchmarks/generate.py` asks them, 40 tokens at most each, 14 written, took 120 s.
LOCAL_RATE = 43.0  # a second
Count = Callable[[Sequence[str]], list[int]]


@dataclass(frozen=True)
class Demand:
    """What one stage asks of the generator."""

    stage: str
    wishes: int  # texts wanted
    prompts: Sequence[Prompt]  # the first ones, as many as are sampled
    tries: int  # calls for each wish
    turns: int = 1

    @property
    def calls(self) -> int:
        return self.wishes * self.tries * self.turns if self.prompts else 0


@dataclass(frozen=True)
class Line:
    """One stage of a plan. Seconds and cost are None where they are not known."""

    stage: str
    wishes: int
    calls: int
    prompt_tokens: int
    completion_tokens: int  # at most
    seconds: float | None
    cost: float | None


@dataclass(frozen=True)
class Plan:
    """All stages, a sample prompt of each, and what time and money are known from."""

    generator: str
    lines: Sequence[Line]
    samples: Mapping[str, str]  # by stage; texts of seeds stand in them
    basis: str

    def total(self) -> Line:
        """The sums; unknown where one of them is."""
        seconds, costs = ([getattr(line, name) for line in self.lines] for name in ("seconds", "cost"))
        whole = [sum(getattr(line, name) for line in self.lines)
                 for name in ("wishes", "calls", "prompt_tokens", "completion_tokens")]  # fmt: skip
        return Line("all", *whole, *(None if None in each else sum(each) for each in (seconds, costs)))

    def figures(self) -> dict[str, Any]:
        """For programs: no prompt, since what a program prints is kept."""
        lines = [asdict(line) for line in self.lines]
        return {"generator": self.generator, "stages": lines, "total": asdict(self.total()), "basis": self.basis}

    def text(self) -> str:
        """For people: the sample prompts, then a table."""
        shown = [f"--- {stage}\n{prompt}\n" for stage, prompt in self.samples.items()]
        return "\n".join([*shown, *_table([*self.lines, self.total()]), self.basis])


def of_generate(run: RunFolder) -> Plan:
    """What `generate` would ask for."""
    settings = run.request().get("settings", {})
    refusals = Refusals.of(settings)
    orders = orders_of(settings, refusals)
    seeds, _ = refusals.split(Example.from_row(row) for row in run.rows())
    if not seeds:
        raise ProgramError("There is no seed that text may be made from.", "Import seeds of categories that allow it.")
    generator = load(settings.get("generator"))
    return plan_of(generator, demands(orders, seeds, Context(seed=int(settings.get("seed", 0)))))


def of_adversary(run: RunFolder) -> Plan:
    """What `adversary` would ask for at most: it ends when enough is found. Which seeds come first, the guard says."""
    settings = run.request().get("settings", {})
    method = method_of(settings)
    seeds, _ = allowed_seeds(roles_of(run.rows())["seed"], Refusals.of(settings))
    prompts = [method.prompt(seed) for seed in spread(seeds, SAMPLED)]
    return plan_of(load(settings.get("generator")), [Demand(method.key, method.asks(), prompts, tries=1)])


PLANS = {"generate": of_generate, "adversary": of_adversary}


def demands(
    orders: Iterable[Order], seeds: Sequence[Example], context: Context, of: int | None = None
) -> Iterator[Demand]:
    """What each stage asks for on these seeds; or on `of` seeds, where these are a sample of them."""
    scale = of / len(seeds) if of is not None and seeds else 1.0
    for order in orders:
        usable = [seed for seed in seeds if order.stage.applies(seed)]
        sampled = (order.stage.prompt(seed, context.chance(order.key, seed.id, 0)) for seed in spread(usable, SAMPLED))
        prompts = [prompt for prompt in sampled if prompt]
        turns = 2 if isinstance(order.stage, TwoTurns) else 1
        yield Demand(order.key, round(len(usable) * order.copies * scale), prompts, order.stage.tries, turns)


def spread(seeds: Sequence[Example], most: int) -> Sequence[Example]:
    """The first one and others at even distances, `most` in all: files are often sorted."""
    step = -(-len(seeds) // most) or 1
    return seeds[::step]


def plan_of(generator: Generator, wanted: Iterable[Demand]) -> Plan:
    """What stages ask for, in this generator's tokens, time and money."""
    wanted = list(wanted)
    count = _counter(generator)
    samples = {demand.stage: demand.prompts[0].text for demand in wanted if demand.prompts}
    lines = [_line(demand, generator, count) for demand in wanted]
    return Plan(generator.key, lines, samples, _basis(generator))  # type: ignore[attr-defined]


def _counter(generator: Generator) -> Count:
    """How tokens are counted: by the tokenizer of a model that is here, else by characters."""
    if not isinstance(generator, Local):
        return lambda texts: [estimated_tokens(text) for text in texts]
    from transformers import AutoTokenizer

    from pipeline.generators.weights import generator_folder

    tokenizer = AutoTokenizer.from_pretrained(generator_folder(generator.model), trust_remote_code=False)
    return lambda texts: [len(ids) for ids in tokenizer(list(texts))["input_ids"]]


def _line(demand: Demand, generator: Generator, count: Count) -> Line:
    if not demand.calls:
        return Line(demand.stage, demand.wishes, 0, 0, 0, 0.0, 0.0)
    each = len(demand.prompts)
    read = round(demand.calls * sum(count([prompt.text for prompt in demand.prompts])) / each)
    written = round(demand.calls * sum(prompt.max_new_tokens for prompt in demand.prompts) / each)
    return Line(
        demand.stage, demand.wishes, demand.calls, read, written,
        _seconds(generator, demand.calls, written), _cost(generator, read, written),
    )  # fmt: skip


def _seconds(generator: Generator, calls: int, written: int) -> float | None:
    if isinstance(generator, Connection):
        return round(calls * generator.seconds_each / generator.concurrency, 1)
    return round(written / LOCAL_RATE, 1) if isinstance(generator, Local) else None


def _cost(generator: Generator, read: int, written: int) -> float | None:
    """In the currency of the prices; nothing for a model that is here, None where no price was given."""
    if isinstance(generator, Connection):
        tariff = generator.tariff()
        return round(tariff.cost(read, written), 6) if tariff.price_in or tariff.price_out else None
    return 0.0 if isinstance(generator, Local) else None


def _basis(generator: Generator) -> str:
    if isinstance(generator, Connection):
        return _basis_of(generator)
    if isinstance(generator, Local):
        return f"Time: {LOCAL_RATE:g} tokens of the bound a second, as SmolLM2-135M on two busy cores; a GPU is faster."
    return "Time and cost of this generator are unknown."


def _basis_of(to: Connection) -> str:
    bounds = [f"budget {to.budget:g}"] if to.budget else []
    bounds += [f"most_tokens {to.most_tokens:,}"] if to.most_tokens else []
    cost = "unknown; set price_in and price_out, for a million tokens."
    if to.price_in or to.price_out:
        cost = f"at most, at {to.price_in:g} and {to.price_out:g} for a million tokens read and written."
    parts = [
        f"Tokens: {CHARACTERS} characters each, without what is asked again.",
        f"Time: {to.seconds_each:g} s an answer (seconds_each), {to.concurrency} at a time (concurrency).",
        f"Cost: {cost}",
        f"It ends at {' or '.join(bounds)}." if bounds else "No bound is set (budget, most_tokens).",
    ]
    return " ".join(parts)


def _table(lines: Sequence[Line]) -> list[str]:
    rows = [("stage", "texts", "calls", "tokens read", "written, at most", "time", "cost")]
    rows += [
        (line.stage, f"{line.wishes:,}", f"{line.calls:,}", f"{line.prompt_tokens:,}", f"{line.completion_tokens:,}",
         _time(line.seconds), "unknown" if line.cost is None else f"{line.cost:,.2f}")
        for line in lines
    ]  # fmt: skip
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]) for row in rows]


def _time(seconds: float | None) -> str:
    if seconds is None:
        return "unknown"
    minutes = -(-int(seconds) // 60)
    return f"{seconds:.0f} s" if seconds < 120 else f"{minutes} min" if minutes < 120 else f"{minutes / 60:.1f} h"
