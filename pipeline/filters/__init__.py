"""Filters look at candidates and say why each should be kept or not. They never delete; a person may overrule.

A filter is a frozen dataclass called as `(candidates, context) -> Iterator[Finding]`, one finding per candidate.
One that has an opinion of the label says `judges_label: ClassVar[bool] = True`.
"""

from __future__ import annotations

from pipeline.registry import Registry

filters = Registry("pipeline.filters")


def judges_label(key: str) -> bool:
    """Whether what this filter finds is an opinion of the label, which a blind reviewer should not know before theirs.

    Nothing is known of a filter that is not installed: it counts as one that has none.
    """
    return bool(getattr(filters.stages.get(key), "judges_label", False))
