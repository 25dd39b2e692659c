"""What others published about their guards: F1 of prompt harm, times 100, at the threshold that they chose.

Beside our own figures for orientation only: another harness, another prompt, sometimes another subset of the rows.
GR is table 1 of GuardReasoner (arXiv 2501.18492), Q is table 2 of the Qwen3Guard report (arXiv 2510.14276).
"""

from __future__ import annotations

from typing import Any

SETS = ("toxic_chat", "openai_moderation", "aegis", "simple_safety_tests", "harmbench", "wildguard_test")

SOURCES = {"GR": "GuardReasoner, arXiv 2501.18492", "Q": "Qwen3Guard, arXiv 2510.14276"}

PUBLISHED: dict[str, tuple[str, tuple[float, ...]]] = {
    "OpenAI Moderation API": ("GR", (25.4, 79.0, 31.9, 63.0, 9.6, 12.1)),
    "Llama Guard 3 8B": ("Q", (53.8, 79.5, 71.5, 99.5, 98.9, 76.4)),
    "Llama Guard 4 12B": ("Q", (51.3, 73.5, 67.8, 98.0, 97.2, 73.0)),
    "ShieldGemma 9B": ("Q", (69.4, 82.1, 70.3, 83.7, 60.6, 54.2)),
    "WildGuard 7B": ("Q", (70.8, 72.1, 89.4, 99.5, 98.9, 88.9)),
    "Qwen3Guard-Gen 0.6B, strict": ("Q", (65.1, 66.5, 90.8, 99.0, 98.7, 87.7)),
    "Qwen3Guard-Gen 0.6B, loose": ("Q", (77.7, 77.6, 76.9, 95.8, 96.1, 85.1)),
    "Qwen3Guard-Gen 8B, loose": ("Q", (82.8, 81.3, 76.0, 97.4, 98.5, 85.6)),
}


def published(names: list[str]) -> list[dict[str, Any]]:
    """Published F1 on the sets of these names, each line marked as published; none where no set is known."""
    known = [name for name in names if name in SETS]
    return [
        {
            "name": name,
            "published": True,
            "source": source,
            "f1": {one: figures[SETS.index(one)] / 100 for one in known},
        }
        for name, (source, figures) in PUBLISHED.items()
        if known
    ]
