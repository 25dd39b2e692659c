from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import ClassVar

from classifier.obfuscation import read
from pipeline import prompts
from pipeline.chat import Answer, Connection
from pipeline.context import Context, Refusals
from pipeline.filters import filters
from pipeline.generators import Prompt
from pipeline.records import Example, Finding

ONE_WORD = 5  # tokens: enough for either word under any vocabulary, too few to talk
LABELS = ("safe", "unsafe")


@filters.register("endpoint-judge")
@dataclass(frozen=True)
class EndpointJudge(Connection):
    """Drop an example whose label a model behind an endpoint contradicts. Candidates leave this machine for it.

    Where it does not answer in the one word that was asked for, it has no opinion, and the example is kept.
    """

    judges_label: ClassVar[bool] = True
    version: str = "judge.v1"

    def __call__(self, examples: Iterable[Example], context: Context) -> Iterator[Finding]:
        candidates = list(examples)
        shown = [example for example in candidates if Refusals().allows(example)]  # the others are shown to nobody
        meter = self.meter(context.folder and context.folder / "spent-endpoint-judge.jsonl")
        asked = [self.prompt(example, context.policy) for example in shown]
        answers = self.ask(asked, context.seed, meter, context.report)
        context.spent["endpoint-judge"] = meter.figures()
        said = {example.id: judgement(answer) for example, answer in zip(shown, answers, strict=True)}
        for example in candidates:
            yield self._finding(example, said.get(example.id))

    def prompt(self, example: Example, policy: str) -> Prompt:
        """What the model is asked of one example: its text without disguise, and not what it is proposed as."""
        harm = f"What counts as harm: {prompts.one_line(policy)}\n\n" if policy else ""
        text = harm + prompts.load(self.version).render(read(example.text).text)
        return Prompt(text, max_new_tokens=ONE_WORD, temperature=0.0)

    def _finding(self, example: Example, label: str | None) -> Finding:
        if label is None:
            return Finding(example.id, "endpoint-judge", keep=True, reason="no opinion")
        agrees = label == example.label
        reason = "" if agrees else f"proposed as {example.label}, {self.model} says {label}"
        return Finding(example.id, "endpoint-judge", keep=agrees, reason=reason)


def judgement(answer: Answer) -> str | None:
    """The label that an answer is, the whole of it; None for anything else."""
    word = (answer.text or "").strip().removesuffix(".").lower()
    return word if word in LABELS else None
