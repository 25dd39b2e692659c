"""How many of 300 seeds get a paraphrase that every filter and judge lets pass, by version of the paraphraser.

    python benchmarks/paraphrase.py --train train.jsonl.gz --seeds 300

Seeds are drawn as `loop_gain.py` draws them: half of each label, sources taking turns. Each version is asked for one
paraphrase of every seed; `rate` is kept by all filters over all seeds, so that a seed that is too long to be asked, an
answer that is unusable and a text that a filter drops all count against it. The judge learns from the seeds and never
from the family that it judges. `first` holds the settings that the paraphraser had at first, `now` those of today.
The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "benchmarks")]

from loop_gain import FILTERS, say, spread  # noqa: E402

from classifier.evaluate import read_rows  # noqa: E402
from classifier.runfolder import RunFolder  # noqa: E402
from pipeline.filter import filter_examples  # noqa: E402
from pipeline.generate import generate  # noqa: E402

VERSIONS: dict[str, dict[str, Any]] = {
    "first": {"version": "paraphrase.v1", "temperature": 0.6, "tries": 2, "rounds": 1, "passages": False},
    "now": {},
}
Row = dict[str, Any]


def main() -> None:
    options = parsed()
    rows = spread(read_rows(options.train), options.seeds, random.Random("seeds:0"))
    seeds = [{"id": f"s{at}", "family": f"s{at}", "text": row["text"], "label": row["label"], "categories": []}
             for at, row in enumerate(rows)]  # fmt: skip
    versions = VERSIONS | ({"given": json.loads(options.settings)} if options.settings else {})
    found = {name: measured(options.work / name, seeds, settings) for name, settings in versions.items()
             if not options.only or name in options.only}  # fmt: skip
    print(json.dumps({"benchmark": "paraphrase", "seeds": len(seeds), "versions": found, "load": os.getloadavg()[0]}))


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--train", type=Path, default=ROOT / "curation/demo/seeds.jsonl")
    parser.add_argument("--seeds", type=int, default=300)
    parser.add_argument("--settings", help="of one more version, as JSON")
    parser.add_argument("--only", nargs="*", help="these versions: first, now, given")
    parser.add_argument("--work", type=Path, default=ROOT / "var/paraphrase")
    parser.add_argument("--quick", action="store_true", help="that it runs, not what it gives")
    options = parser.parse_args()
    if options.quick:
        options.seeds, options.work = 20, options.work / "quick"
    return options


def measured(folder: Path, seeds: list[Row], settings: dict[str, Any]) -> Row:
    """The figures of one version, from runs that are made where they are not there yet."""
    made = RunFolder(folder / json.dumps([settings, len(seeds)]).replace("/", "_"))
    began = time.process_time()
    if not (made / "output.parquet").exists():
        made.write_request({"settings": {"paraphrasers": [{"key": "paraphrase", "settings": settings}], "seed": 0}})
        made.write_rows(seeds, "input.parquet")
        generate(made, say(folder.name))
    seconds = time.process_time() - began
    drafts = [{**row, "id": f"d{at}"} for at, row in enumerate(made.rows("output.parquet"))]
    sifted = RunFolder(made.path / "filter")
    texts = {seed["id"]: seed["text"] for seed in seeds}
    columns = ("id", "text", "label", "family", "parent_id")
    candidates = [{**{key: row[key] for key in columns}, "role": "candidate", "parent_text": texts[row["parent_id"]]}
                  for row in drafts]  # fmt: skip
    sifted.write_request({"settings": {"filters": FILTERS, "languages": ["en"]}})
    sifted.write_rows([*candidates, *({**seed, "role": "known"} for seed in seeds)], "input.parquet")
    filter_examples(sifted, say(f"{folder.name}-filter"))
    findings = sifted.rows("output.parquet")
    refused = {row["example_id"] for row in findings if not row["keep"]}
    kept = len(drafts) - len(refused)
    return {
        "settings": settings, "made": len(drafts), "kept": kept, "rate": round(kept / len(seeds), 4),
        "dropped_by": dict(Counter(row["filter"] for row in findings if not row["keep"])),
        "processor_seconds": round(seconds, 1),
    }  # fmt: skip


if __name__ == "__main__":
    main()
