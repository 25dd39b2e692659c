"""What templates need beside Django's own."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Mapping
from datetime import datetime, timedelta
from functools import lru_cache
from itertools import groupby
from pathlib import Path
from typing import Any

from django import template
from django.utils import timezone
from django.utils.html import conditional_escape, format_html, format_html_join
from django.utils.safestring import SafeString, mark_safe
from django.utils.timesince import timesince

from pipeline.dialects import judged

register = template.Library()
ICONS = Path(__file__).resolve().parent.parent / "static" / "vendor" / "tabler-icons"
SHOWN_SPACE = "\n\t "
# Blank, though Unicode counts them among letters, symbols and marks: fillers, and selectors that can carry a message.
BLANK = frozenset([0x034F, 0x115F, 0x1160, 0x2800, 0x3164, 0xFFA0, *range(0xFE00, 0xFE0F), *range(0xE0100, 0xE01F0)])
HIDDEN = frozenset(["Cf", "Cc", "Co", "Cn", "Zl", "Zp", "Zs"])
HUES = 12  # colours of the palette in theme.css


@register.simple_tag
@lru_cache(maxsize=64)
def icon(name: str) -> SafeString:
    """An icon of ours, inline and hidden from screen readers: the word beside it is what counts."""
    svg = (ICONS / f"{name}.svg").read_text(encoding="utf-8")
    return mark_safe(svg.replace("<svg", '<svg aria-hidden="true" focusable="false"', 1))  # noqa: S308 - our own file


@register.filter
def plain(text: str) -> SafeString:
    """Example text as text: escaped, with characters that do not show made visible by name."""
    parts: list[str] = []
    for hidden, run in groupby(text, _is_hidden):
        characters = "".join(run)
        parts += map(_named, characters) if hidden else [conditional_escape(characters)]
    return format_html_join("", "{}", ((part,) for part in parts))


@lru_cache(maxsize=4096)
def _is_hidden(character: str) -> bool:
    if character in SHOWN_SPACE:
        return False
    return unicodedata.category(character) in HIDDEN or ord(character) in BLANK


def _named(character: str) -> str:
    code = f"U+{ord(character):04X}"
    name = unicodedata.name(character, code).lower()
    return format_html('<span class="hidden-char" title="{}">{}</span>', name, code)


@register.filter
def hue(names: Mapping[str, str], key: str) -> int:
    """Which of the palette's colours a category has: by its place in the policy, so the same on every page."""
    places = list(names)
    return places.index(key) % HUES + 1 if key in places else 0


@register.filter
def percent(value: object) -> str:
    """A share with one decimal, or a dash where there is none."""
    return f"{value * 100:.1f} %" if isinstance(value, int | float) else "–"


@register.filter
def figure(value: object) -> str:
    """A figure between 0 and 1 with three decimals, or a dash where there is none."""
    return f"{value:.3f}" if isinstance(value, int | float) else "–"


@register.filter
def coefficient(value: object) -> str:
    """A coefficient of agreement with two decimals, or a dash where there is none."""
    return f"{round(value, 2) + 0.0:.2f}".replace("-", "−") if isinstance(value, int | float) else "–"


@register.filter
def item(mapping: dict[str, Any], key: str) -> Any:
    """A value of a mapping, or the key itself: names of categories that a policy no longer has."""
    return mapping.get(key, key)


@register.filter
def cell(values: Mapping[str, Any], name: str) -> SafeString:
    """A cell of somebody's file as text: lists and tables as JSON, and what annotators said in a line."""
    value = values.get(name, "")
    if (said := judged(value)) is not None:
        value = "; ".join(f"{one['by'] or '?'}: {', '.join(one['values'])}" for one in said)
    return plain(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))


@register.filter
def change(new: object, old: object) -> str:
    """How a figure moved, with its sign; nothing where one of the two is missing."""
    return f"{new - old:+.3f}" if isinstance(new, int | float) and isinstance(old, int | float) else ""


@register.filter
def points(new: object, old: object) -> str:
    """How a share moved, in percentage points with its sign; nothing where one of the two is missing."""
    return f"{(new - old) * 100:+.1f} pp" if isinstance(new, int | float) and isinstance(old, int | float) else ""


@register.filter
def brief(value: object) -> object:
    """A number of a table in few digits; anything else as it is."""
    return f"{value:.4g}" if isinstance(value, float) else f"{value:,}" if isinstance(value, int) else value


@register.filter
def reach(span: object) -> str:
    """A 95 % interval of a share, in percent; nothing where there is none."""
    return f"{span[0] * 100:.1f} to {span[1] * 100:.1f} %" if isinstance(span, tuple | list) else ""


@register.filter
def since(moment: datetime) -> str:
    """How long ago a moment is, in words."""
    return "under a minute" if timezone.now() - moment < timedelta(minutes=1) else timesince(moment)


@register.filter
def ago(moment: datetime) -> str:
    """When something was, seen from now."""
    return "just now" if timezone.now() - moment < timedelta(minutes=1) else f"{timesince(moment)} ago"


@register.filter
def tempo(rate: float) -> str:
    """A rate, given a second, over the time in which one may picture it."""
    for over, words in ((1, "a second"), (60, "a minute")):
        if rate * over >= 0.1:
            return f"{rate * over:.1f} {words}"
    return f"{rate * 3600:.1f} an hour"


@register.filter
def lasting(seconds: object) -> str:
    """A time in the unit that a person would say it in, or a dash."""
    if not isinstance(seconds, int | float):
        return "–"
    for size, word in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= 1.5 * size:
            return f"{seconds / size:.1f} {word}"
    return f"{seconds:.0f} s"
