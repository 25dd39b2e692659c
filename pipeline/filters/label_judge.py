from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from pipeline.context import Context
from pipeline.filters import filters
from pipeline.judging import Judging
from pipeline.records import Example, Finding

if TYPE_CHECKING:
    from pipeline.judge import Opinion

CONTRADICTED = "the judges contradict each other"  # by it the queue knows such findings: it stays as it is


@filters.register("label-judge")
@dataclass(frozen=True)
class LabelJudge(Judging):
    """Drop an example whose proposed label a judge that never saw its family contradicts.

    Where the judge abstains the example is kept, without a score: that is for people to decide. A text of a template is
    not judged: its label is known by the way it is built, and what the judge has not learnt yet is why it is tried.
    """

    judges_label: ClassVar[bool] = True

    def __call__(self, examples: Iterable[Example], context: Context) -> Iterator[Finding]:
        import numpy as np

        every = list(examples)
        candidates = [example for example in every if example.origin != "template"]
        for example in every:
            if example.origin == "template":
                yield Finding(example.id, "label-judge", keep=True, reason="the label is the template's own")
        known = [example for example in context.decided if example.id in context.embeddings]
        if not candidates or not known:
            yield from (_finding(example, None) for example in candidates)
            return
        vectors = np.stack([context.embeddings[example.id] for example in known])
        judge = self.fit(known, vectors, context.folder, context.report)
        opinions = judge.opinions(
            [example.text for example in candidates],
            np.stack([context.embeddings[example.id] for example in candidates]),
            [example.family for example in candidates],
        )
        for example, opinion in zip(candidates, opinions, strict=True):
            yield _finding(example, opinion)


def _finding(example: Example, opinion: Opinion | None) -> Finding:
    """The score is the judge's probability of unsafe, and absent where it abstains."""
    if opinion is None or opinion.label is None:
        reason = CONTRADICTED if opinion is not None and opinion.contradicted else "the judge abstains"
        return Finding(example.id, "label-judge", keep=True, reason=reason)
    agrees = opinion.label == example.label
    reason = "" if agrees else f"proposed as {example.label}, the judge says {opinion.label}"
    return Finding(example.id, "label-judge", keep=agrees, score=round(opinion.probability, 4), reason=reason)
