"""Filters look at candidates and say why each should be kept or not. They never delete; a person may overrule.

A filter is a frozen dataclass called as `(candidates, context) -> Iterator[Finding]`, one finding per candidate.
"""

from __future__ import annotations

from pipeline.registry import Registry

filters = Registry("pipeline.filters")
