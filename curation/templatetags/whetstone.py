"""What templates need beside Django's own."""

from __future__ import annotations

import unicodedata
from functools import lru_cache
from pathlib import Path
from typing import Any

from django import template
from django.utils.html import conditional_escape, format_html, format_html_join
from django.utils.safestring import SafeString, mark_safe

register = template.Library()
ICONS = Path(__file__).resolve().parent.parent / "static" / "vendor" / "tabler-icons"
SHOWN_SPACE = "\n\t "


@register.simple_tag
@lru_cache(maxsize=64)
def icon(name: str) -> SafeString:
    """An icon of ours, inline and hidden from screen readers: the word beside it is what counts."""
    svg = (ICONS / f"{name}.svg").read_text(encoding="utf-8")
    return mark_safe(svg.replace("<svg", '<svg aria-hidden="true" focusable="false"', 1))  # noqa: S308 - our own file


@register.filter
def plain(text: str) -> SafeString:
    """Example text as text: escaped, with characters that do not show made visible by name."""
    parts = []
    for character in text:
        if character not in SHOWN_SPACE and unicodedata.category(character) in ("Cf", "Cc", "Co", "Cn", "Zl", "Zp"):
            name = unicodedata.name(character, f"U+{ord(character):04X}").lower()
            parts.append(format_html('<span class="hidden-char" title="{}">U+{}</span>', name, f"{ord(character):04X}"))
        else:
            parts.append(conditional_escape(character))
    return format_html_join("", "{}", ((part,) for part in parts))


@register.filter
def percent(value: object) -> str:
    """A share with one decimal, or a dash where there is none."""
    return f"{value * 100:.1f} %" if isinstance(value, int | float) else "–"


@register.filter
def figure(value: object) -> str:
    """A figure between 0 and 1 with three decimals, or a dash where there is none."""
    return f"{value:.3f}" if isinstance(value, int | float) else "–"


@register.filter
def item(mapping: dict[str, Any], key: str) -> Any:
    """A value of a mapping, or the key itself: names of categories that a policy no longer has."""
    return mapping.get(key, key)


@register.filter
def change(new: object, old: object) -> str:
    """How a figure moved, with its sign; nothing where one of the two is missing."""
    return f"{new - old:+.3f}" if isinstance(new, int | float) and isinstance(old, int | float) else ""
