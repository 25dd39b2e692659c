"""The model card of an exported guard. Loads without torch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from classifier.decide import Rules

PAGE = """---
library_name: onnxruntime
pipeline_tag: text-classification
tags: [moderation, guardrail, whetstone]
---

# A guard made with Whetstone

Says of a text how likely it is unsafe under the policy that it was trained for, and which of {count} categories it
falls into.

| | |
|---|---|
| base model | `{base}` (`{base_digest}`) |
| reads | up to {max_length} tokens at a time |
| blocks from | {threshold:.3f} (calibrated probability of unsafe) |
| fastest form here | `{backend}` |
| categories | {categories} |

## What each form costs

Measured on {rows} rows when it was exported, against torch in full precision. A form that lost more than {bound:g}
average precision was taken out.

| form | average precision | lost | mean difference | MiB |
|---|---|---|---|---|
{forms}

## How to run it

`verdict` and `categories` are logits. `calibration` in `guard.json` turns them into probabilities: the line through
`points` (logits and probabilities) where there are any, else `sigmoid(logit / temperature)`; each category has its own.

```python
import json, numpy as np, onnxruntime, tokenizers

card = json.load(open("guard.json"))
tokenizer = tokenizers.Tokenizer.from_file("tokenizer.json")
tokenizer.enable_truncation(card["max_length"])
tokenizer.enable_padding()
guard = onnxruntime.InferenceSession("onnx/{file}")

rows = tokenizer.encode_batch(["how do i bake bread"])
ids = np.array([row.ids for row in rows]), np.array([row.attention_mask for row in rows])
verdict, categories = guard.run(None, dict(zip(("input_ids", "attention_mask"), ids)))
points = card.get("calibration", dict(verdict=dict()))["verdict"].get("points")
print(np.interp(verdict, *points) if points else 1 / (1 + np.exp(-verdict / card["temperature"])))
```

## What it is not

A guard answers for texts like those it was trained on. It is one layer: it misses harm that is new to it and blocks
some harmless texts. Look at its figures per category before you rely on one, and keep people in the loop for what it is
not sure of. `MANIFEST.json` holds the digest of every file; check it before you load anything.
"""


def model_card(card: Mapping[str, Any], report: Mapping[str, Any]) -> str:
    """The card as Markdown, from `guard.json` and the report of the export."""
    from classifier.onnx import BACKENDS

    names = card["categories"]
    return PAGE.format(
        count=len(names), base=card.get("base", "unknown"), base_digest=str(card.get("base_digest", ""))[:16],
        max_length=card["max_length"], threshold=Rules.from_card(card).block, backend=report["backend"],
        categories=", ".join(f"`{name}`" for name in names) or "none", rows=report["forms"]["torch"]["rows"],
        bound=report["bound"], file=BACKENDS[report["backend"]],
        forms="\n".join(_line(name, figures, report["refused"]) for name, figures in report["forms"].items()),
    )  # fmt: skip


def _line(name: str, figures: Mapping[str, Any], refused: list[str]) -> str:
    cells = [
        f"`{name}`" + (" (taken out)" if name in refused else ""), _figure(figures["average_precision"]),
        _figure(figures["lost"]), f"{figures['mean_difference']:.4f}",
        f"{figures['bytes'] / 2**20:.0f}" if "bytes" in figures else "",
    ]  # fmt: skip
    return f"| {' | '.join(cells)} |"


def _figure(value: float | None) -> str:
    return "cannot be said" if value is None else f"{value:.4f}"
