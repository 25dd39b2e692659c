"""How often each kind of judge speaks of the demo's seeds, how often it is right, and how far the kinds agree.

    python benchmarks/judges.py --folder /tmp/judges

Families are the seeds' pairs; no seed is judged by what learnt from its own pair. `spoken` is the share of seeds with
an opinion, `right` of those the share with the seed's label. `bands` is what other middle bands of the guards would
give. The last line is one JSON object. The guards stay in the folder: started again, only the figures are made.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from classifier.config import DEFAULT_ENCODER  # noqa: E402
from pipeline.context import silent  # noqa: E402
from pipeline.judge import Opinion, opinion, together  # noqa: E402
from pipeline.judging import Judging  # noqa: E402
from pipeline.records import Example  # noqa: E402

BANDS = (0.5, 0.4, 0.35, 0.3, 0.25, 0.2, 0.15, 0.1)  # lower ends; the upper ones mirror them


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()) / "whetstone-judges")
    parser.add_argument("--backbone", default=DEFAULT_ENCODER)
    parser.add_argument("--folds", type=int, default=2)
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--quick", action="store_true", help="that it runs, not what it gives")
    options = parser.parse_args()
    if options.quick:
        options.epochs = 1
    guards = Judging("guards", options.backbone, options.folds, options.epochs)
    print(json.dumps({"benchmark": "judges", **measured(guards, options.folder), "load": os.getloadavg()[0]}))


def measured(guards: Judging, folder: Path) -> dict[str, Any]:
    from classifier.embed import Embedder

    rows = [json.loads(line) for line in (ROOT / "curation/demo/seeds.jsonl").read_text("utf-8").splitlines()]
    seeds = [Example(str(n), row["text"], row["label"], family=row["pair"]) for n, row in enumerate(rows)]
    texts, families = [seed.text for seed in seeds], [seed.family for seed in seeds]
    vectors = Embedder().embed(texts)
    said: dict[str, list[Opinion]] = {}
    seconds = {}
    for judging in (Judging(), guards):
        began = time.perf_counter()
        said[judging.kind] = judging.fit(seeds, vectors, folder, silent).opinions(texts, vectors, families)
        seconds[judging.kind] = round(time.perf_counter() - began, 1)
    said["both"] = [together(pair) for pair in zip(said["probe"], said["guards"], strict=True)]
    pairs = [(a.label, b.label) for a, b in zip(said["probe"], said["guards"], strict=True) if a.label and b.label]
    banded = {low: [opinion(o.probability, middle=(low, 1 - low)) for o in said["guards"]] for low in BANDS}
    return {
        "seeds": len(seeds), "seconds": seconds, **{kind: rate(seeds, each) for kind, each in said.items()},
        "both_speak": round(len(pairs) / len(seeds), 4),
        "agree": round(sum(a == b for a, b in pairs) / max(1, len(pairs)), 4),
        "contradicted": sum(one.contradicted for one in said["both"]),
        "bands": {low: rate(seeds, each) for low, each in banded.items()},
    }  # fmt: skip


def rate(seeds: Sequence[Example], said: Sequence[Opinion]) -> dict[str, float]:
    """The share that is spoken of, and of that the share that is right."""
    right = [one.label == seed.label for seed, one in zip(seeds, said, strict=True) if one.label]
    return {"spoken": round(len(right) / len(seeds), 4), "right": round(sum(right) / max(1, len(right)), 4)}


if __name__ == "__main__":
    main()
