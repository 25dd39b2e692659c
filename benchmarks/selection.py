"""What choosing the rows is worth: the same guard, the same number of rows, chosen by each method.

    python benchmarks/selection.py --train train.jsonl.gz --eval FOLDER [--pool 6000] [--rows 600] [--repeats 4]

Each repeat draws a pool from the training file, by source and label as they come. Every method of
`classifier/selection.py` chooses from the same pool, and MiniLM is fine-tuned on its choice with the same settings and
seed. The sets of --eval are read once per training and decide nothing. The last line is one JSON object: per method the
macro average precision of the repeats, and how far it is from the random draw, repeat by repeat, with the interval of a
t distribution (95 %); `unsafe` is the share of unsafe rows in the choice.

What was finished is kept under --work and found again.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from classifier import suite  # noqa: E402
from classifier.config import CHOICES  # noqa: E402
from classifier.evaluate import read_rows  # noqa: E402
from classifier.runfolder import RunFolder, write_json  # noqa: E402
from classifier.score import load_scorer  # noqa: E402
from classifier.train import train  # noqa: E402

SETTINGS = {"epochs": 4, "batch_size": 32, "learning_rate": 2e-4, "checkpoint_steps": 10**6}


def main() -> None:
    options = parsed()
    rows = read_rows(options.train)
    sets = suite.read_sets(options.eval)
    if options.quick:
        options.pool, options.rows, options.repeats = 120, 40, 2
        sets = {name: found[:60] for name, found in sets.items()}
    figures = {
        method: [measured(options, rows, sets, method, repeat) for repeat in range(options.repeats)]
        for method in CHOICES
    }
    print(json.dumps({"pool": options.pool, "rows": options.rows, "methods": compared(figures)}))


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--train", type=Path, default=ROOT / "curation/demo/seeds.jsonl")
    parser.add_argument("--eval", type=Path, default=ROOT / "curation/demo", help="folder of .jsonl or .jsonl.gz sets")
    parser.add_argument("--pool", type=int, default=6000)
    parser.add_argument("--rows", type=int, default=600)
    parser.add_argument("--repeats", type=int, default=4)
    parser.add_argument("--work", type=Path, default=Path(tempfile.gettempdir()) / "whetstone-selection")
    parser.add_argument("--quick", action="store_true", help="40 of 120 rows, twice")
    return parser.parse_args()


def measured(
    options: argparse.Namespace, rows: list[dict[str, Any]], sets: dict[str, Any], method: str, repeat: int
) -> dict[str, float]:
    """Train on one choice and read every set."""
    folder = options.work / f"{options.train.name}-{options.pool}-{options.rows}" / f"{method}-{repeat}"
    if not (folder / "figures.json").exists():
        folder.mkdir(parents=True, exist_ok=True)
        pool = random.Random(repeat).sample(rows, min(options.pool, len(rows)))
        run = RunFolder(folder)
        run.write_rows(
            [{"text": row["text"], "label": row["label"], "split": "train"} for row in pool], "input.parquet"
        )
        settings = {**SETTINGS, "seed": repeat, "most_rows": options.rows, "choose_by": method}
        run.write_request({"settings": settings, "categories": []})
        train(run, silent)
        scorer = load_scorer(folder / "model", "torch")
        scored = {
            name: (np.array(scorer.unsafe([row["text"] for row in found])), suite.labels_of(found))
            for name, found in sets.items()
        }
        told = suite.measure(scored, 0.5)
        chosen = json.loads((folder / "metrics.json").read_text())
        write_json(folder / "figures.json", {
            "average_precision": told["average"]["average_precision"], "unsafe": chosen["train_unsafe"],
            "seconds": chosen["processor_seconds"],
        })  # fmt: skip
        shutil.rmtree(folder / "model")
    figures: dict[str, float] = json.loads((folder / "figures.json").read_text())
    print(method, repeat, figures, file=sys.stderr, flush=True)
    return figures


def silent(*_: Any) -> None:
    """Nobody watches."""


def compared(figures: dict[str, list[dict[str, float]]]) -> dict[str, Any]:
    def of(method: str, name: str) -> np.ndarray[Any, Any]:
        return np.array([one[name] for one in figures[method]])

    chance = of("random", "average_precision")
    return {
        method: {
            "average_precision": round(float(of(method, "average_precision").mean()), 4),
            "over_random": interval(of(method, "average_precision") - chance),
            "unsafe": round(float(of(method, "unsafe").mean()), 3),
        }
        for method in figures
    }


def interval(differences: np.ndarray[Any, Any]) -> dict[str, float]:
    """Mean of paired differences with the 95 % interval of a t distribution."""
    from scipy.stats import t

    mean = float(differences.mean())
    half = float(t.ppf(0.975, len(differences) - 1) * differences.std(ddof=1) / len(differences) ** 0.5)
    return {"mean": round(mean, 4), "low": round(mean - half, 4), "high": round(mean + half, 4)}


if __name__ == "__main__":
    main()
