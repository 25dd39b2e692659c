from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from pipeline.context import Context
from pipeline.filters import filters
from pipeline.records import Example, Finding
from pipeline.rewards.fluency import Fluency, floor_of

MOST_KNOWN = 200  # examples that are there already whose fluency sets the floor


@filters.register("fluency")
@dataclass(frozen=True)
class FluencyFilter:
    """Drop an example that a language model finds much less likely, word for word, than what is there already.

    The packaged model judges ten texts a second. Disguises and chat spelling are unlikely too: it is not for recipes
    that make them.
    """

    margin: float = 0.5  # nats per token below what all but two in a hundred of the known ones reach
    model: str = ""  # packaged name or folder of a causal language model; the packaged one where empty

    def __call__(self, examples: Iterable[Example], context: Context) -> Iterator[Finding]:
        from pipeline.generators.weights import DEFAULT_GENERATOR, generator_folder

        candidates = list(examples)
        likely = Fluency(generator_folder(self.model or DEFAULT_GENERATOR))
        # Spread over all of it: what comes first may be of one source.
        decided = context.decided
        known = [example.text for example in decided[:: 1 + len(decided) // MOST_KNOWN]]
        floor = floor_of(likely(known), self.margin)
        for example, value in zip(candidates, likely([example.text for example in candidates]), strict=True):
            keep = value >= floor
            reason = "" if keep else f"{value:.1f} nats a token, at least {floor:.1f} is expected: it reads oddly"
            yield Finding(example.id, "fluency", keep=keep, score=round(value, 4), reason=reason)
