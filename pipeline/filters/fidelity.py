from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from pipeline.context import Context
from pipeline.filters import filters
from pipeline.records import Example, Finding


@filters.register("fidelity")
@dataclass(frozen=True)
class Fidelity:
    """Drop an example that lost its parent's meaning, or that only copies it.

    Likeness is the cosine of sentence embeddings. A twin changes what is asked on purpose, so its floor is lower.
    """

    floor: float = 0.5  # below it, a reader of fifty pairs of each kind saw another subject
    ceiling: float = 0.985  # above it, nothing but a comma changed
    twin_floor: float = 0.3

    def __call__(self, examples: Iterable[Example], context: Context) -> Iterator[Finding]:
        labels = {example.id: example.label for example in context.known}
        for example in examples:
            yield self._finding(example, context, labels.get(example.parent_id or ""))

    def _finding(self, example: Example, context: Context, parent_label: str | None) -> Finding:
        mine, parents = context.embeddings.get(example.id), context.embeddings.get(f"parent:{example.id}")
        if mine is None or parents is None:
            return Finding(example.id, "fidelity", keep=True, reason="has no parent to compare with")
        likeness = float(mine @ parents)
        floor = self.twin_floor if parent_label not in (None, example.label) else self.floor
        reason = ""
        if likeness < floor:
            reason = f"{likeness:.2f} like its parent, at least {floor:.2f} is expected: the meaning moved"
        elif likeness > self.ceiling:
            reason = f"{likeness:.2f} like its parent: nothing changed"
        return Finding(example.id, "fidelity", keep=not reason, score=round(likeness, 4), reason=reason)
