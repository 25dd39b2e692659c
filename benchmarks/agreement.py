"""How long it takes to measure the agreement of a project: alpha, kappa and their intervals.

`python benchmarks/agreement.py` deals examples to people by a fixed seed, lets each err with a probability of their
own, runs `python -m pipeline agreement` on the verdicts as the site does, and prints one JSON object as its last line:
seconds of wall clock and of processor time, the program's peak memory, and the machine's load average beside them.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from classifier.runfolder import RunFolder  # noqa: E402 - the path comes first


def verdicts(examples: int, people: int, categories: list[str], overlap: int = 3) -> list[dict[str, Any]]:
    """Verdicts of `overlap` people on each example, four examples a family, over twenty weeks."""
    chance = random.Random(0)
    error = [chance.uniform(0.03, 0.25) for _ in range(people)]
    rows = []
    for example in range(examples):
        truth = chance.choice(categories) if chance.random() < 0.5 else ""
        for person in chance.sample(range(people), overlap):
            said = chance.choice(["", *categories]) if chance.random() < error[person] else truth
            rows.append({
                "example": str(example), "family": f"family-{example // 4}", "person": person,
                "week": f"2026-W{1 + example * 20 // examples:02d}", "label": "unsafe" if said else "safe",
                "categories": [said] if said else [],
            })  # fmt: skip
    return rows


def measure(examples: int, people: int, categories: int) -> dict[str, Any]:
    """Run the program once; return what it took."""
    keys = [f"category-{number}" for number in range(categories)]
    with tempfile.TemporaryDirectory() as folder:
        run = RunFolder(folder)
        run.write_rows(verdicts(examples, people, keys), "input.parquet")
        run.write_request({"categories": keys, "settings": {"seed": 1}})
        began = time.perf_counter()
        subprocess.run([sys.executable, "-m", "pipeline", "agreement", folder], cwd=ROOT, check=True)
        seconds = time.perf_counter() - began
        figures = run.metrics()
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return {
        "verdicts": figures["verdicts"], "people": people, "categories": categories, "resamples": figures["resamples"],
        "alpha": figures["aspects"][0]["alpha"], "seconds": round(seconds, 1),
        "cpu_seconds": round(used.ru_utime + used.ru_stime, 1), "peak_mb": round(used.ru_maxrss / 1024),
        "load": round(os.getloadavg()[0], 1),
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--examples", type=int, default=33_334)
    parser.add_argument("--people", type=int, default=20)
    parser.add_argument("--categories", type=int, default=15)
    parser.add_argument("--quick", action="store_true", help="2,000 examples of 6 people")
    options = parser.parse_args()
    if options.quick:
        options.examples, options.people = 2_000, 6
    print(json.dumps(measure(options.examples, options.people, options.categories)))


if __name__ == "__main__":
    main()
