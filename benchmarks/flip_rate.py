"""How often the guard changes its mind under disguises and padding that it never trained on, round after round.

    python benchmarks/flip_rate.py --train seeds.jsonl --eval FOLDER --rounds 3

Round 0 learns from the seeds; `--seeds N` draws so many from a larger file, as `loop_gain.py` does. Each further round
attacks the guard with what an adversary without a model can do to the seeds (leetspeak, look-alikes, spacing, typos,
padding, forms, talks), keeps what it gets most wrong, as many texts of either label, and trains a guard on all of it
for the same number of steps, with `consistency`. The attacks that are measured are none of these: base64, rot13, hidden
signs, pictures in words, full-width letters, and padding with other sentences. Flips are counted over the rows that a
guard judges rightly as they came, at its own threshold, which gives 5 % false positives on validation rows of the
seeds: `raw` as they come, `undisguised` as the product reads them. The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "benchmarks")]

from loop_gain import spread  # noqa: E402

from classifier import attacks, suite  # noqa: E402
from classifier.config import TrainSettings  # noqa: E402
from classifier.evaluate import read_rows  # noqa: E402
from classifier.families import hold_out  # noqa: E402
from classifier.runfolder import RunFolder  # noqa: E402
from classifier.score import load_scorer  # noqa: E402
from classifier.train import train  # noqa: E402
from pipeline.augmenters import augmenters  # noqa: E402
from pipeline.augmenters.obfuscation import emoji, rot13, zero_width  # noqa: E402
from pipeline.context import Refusals, silent  # noqa: E402
from pipeline.records import Example  # noqa: E402

Row = dict[str, Any]
BATCH = 16
TRIES = 4  # variants of a seed by each stage in a round
STAGES: tuple[tuple[str, dict[str, Any]], ...] = (
    ("obfuscation", {"styles": "leetspeak, look-alikes, spacing"}), ("padding", {}), ("typos", {}), ("form", {}),
    ("multi-turn", {}),
)  # fmt: skip
# Sentences that stand neither in `classifier.attacks` nor in the augmenter.
OTHERS = (
    "The museum was nearly empty this morning.", "I bought three apples and a melon.", "Greetings from the coast.",
    "My shoes are still wet.", "We will paint the fence in spring.", "It is nice to talk to you again.",
)  # fmt: skip


def padded(text: str, chance: random.Random) -> str:
    """Friendly sentences that no training has seen, before and after."""
    one, other = chance.sample(OTHERS, 2)
    return f"{one} {text} {other}"


def full_width(text: str, chance: random.Random) -> str:
    """The wide forms of the letters of half of the longer words."""
    words = text.split()
    return " ".join(_wide(word) if len(word) > 3 and chance.random() < 0.5 else word for word in words)


def _wide(word: str) -> str:
    return "".join(chr(ord(c) + 0xFEE0) if "!" <= c <= "~" else c for c in word)


HELD_OUT: dict[str, attacks.Attack] = {
    "padding": padded, "base64": attacks.encoding, "rot13": rot13, "zero-width": zero_width, "emoji": emoji,
    "full-width": full_width,
}  # fmt: skip


def main() -> None:
    options = parsed()
    seeds, sets = split(options), suite.read_sets(options.eval)
    rows = [row for found in sets.values() for row in chosen(found, options.limit)]
    made: list[Row] = []
    rounds = []
    for number in range(options.rounds + 1):
        guard = trained(options, number, seeds, made)
        scorer = load_scorer(guard)
        rounds.append({"round": number, "made": len(made), **measured(scorer, rows, sets)})
        print(time.strftime("%H:%M:%S"), rounds[-1], file=sys.stderr, flush=True)
        made = made + found(scorer, seeds, number) if number < options.rounds else made
    print(json.dumps({"benchmark": "flip_rate", "steps": options.steps, "rows": len(rows), "rounds": rounds}))


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--train", type=Path, default=ROOT / "curation/demo/seeds.jsonl")
    parser.add_argument("--eval", type=Path, default=ROOT / "curation/demo", help="folder of labelled sets")
    parser.add_argument("--seeds", type=int, default=0, help="drawn from the training file; 0 takes all of it")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=400, help="of every training, 16 rows each")
    parser.add_argument("--folds", type=int, default=0, help="guards whose mean a round's guard is; 0 trains one")
    parser.add_argument("--limit", type=int, default=200, help="rows of each set whose flips are counted")
    parser.add_argument("--work", type=Path, default=ROOT / "var/flip-rate")
    parser.add_argument("--quick", action="store_true", help="that it runs, not what it gives")
    options = parser.parse_args()
    if options.quick:
        options.rounds, options.steps, options.limit, options.work = 1, 4, 10, options.work / "quick"
    return options


def split(options: argparse.Namespace) -> list[Row]:
    """Seeds with their split; text is made from none that is forbidden."""
    rows = read_rows(options.train)
    rows = random.Random(0).sample(rows, 40) if options.quick else rows
    if options.seeds:
        rows = spread(rows, options.seeds, random.Random("seeds:0"))
    held = hold_out(rows, 0.2)
    return [
        {**row, "family": str(at), "split": "validation" if out else "train"}
        for at, (row, out) in enumerate(zip(rows, held, strict=True))
    ]


def chosen(rows: list[Row], limit: int) -> list[Row]:
    """A random part of a set, of rows that are short enough to be disguised whole."""
    short = [row for row in rows if len(row["text"]) <= 400]
    return random.Random(0).sample(short, min(limit, len(short)))


def trained(options: argparse.Namespace, number: int, seeds: list[Row], made: list[Row]) -> Path:
    """The guard of a round."""
    run = RunFolder(options.work / f"{options.seeds}-{options.steps}-{options.folds}-{number}-{len(made)}")
    if not (run / "metrics.json").exists():
        rows = [{key: row[key] for key in ("text", "label", "split", "family")} for row in [*seeds, *made]]
        learnt = sum(row["split"] == "train" for row in rows)
        settings = TrainSettings(
            epochs=max(1, round(options.steps * BATCH / learnt)), batch_size=BATCH, max_length=96, bf16=True,
            checkpoint_steps=10**6, folds=options.folds, consistency=1.0 if number else 0.0, target_fpr=0.05,
        )  # fmt: skip
        run.write_request({"settings": settings.to_dict(), "categories": []})
        run.write_rows(rows, "input.parquet")
        train(run, silent)
    return run / "model"


def found(scorer: Any, seeds: list[Row], number: int) -> list[Row]:
    """For each stage the variants that the guard is most wrong about, one of a seed, as many of either label.

    What is wrong of one label alone would teach the next guard that all which looks like it is of that label.
    """
    made: list[Row] = []
    for key, settings in STAGES:
        stage = augmenters.make(key, settings)
        variants = []
        for at, row in enumerate(seeds):
            seed = Example(str(at), row["text"], row["label"], tuple(row.get("categories") or ()))
            if row["split"] == "train" and Refusals().allows(seed) and stage.applies(seed):
                for copy in range(TRIES):
                    draft = stage.draft(seed, "", random.Random(f"{number}:{key}:{at}:{copy}"))
                    variants += [(at, draft)] if draft else []
        unsafe = scorer.unsafe([draft.text for _, draft in variants])
        worst_of: dict[int, tuple[float, Row]] = {}
        for (at, draft), p in zip(variants, unsafe, strict=True):
            wrong = scorer.threshold - p if draft.label == "unsafe" else p - scorer.threshold
            if wrong > worst_of.get(at, (-1.0, {}))[0]:
                row = {"text": draft.text, "label": draft.label, "family": seeds[at]["family"], "split": "train"}
                worst_of[at] = (wrong, row)
        order = sorted(worst_of.values(), key=lambda one: -one[0])
        sides = [[one for one in order if one[1]["label"] == label] for label in ("unsafe", "safe")]
        count = max(sum(wrong > 0 for wrong, _ in side) for side in sides)
        made += [row for side in sides for _, row in side[:count]]
    return made


def measured(scorer: Any, rows: list[Row], sets: dict[str, list[Row]]) -> dict[str, Any]:
    """Flips by attack in both readings, false alarms on the harmless sets, and average precision."""
    rates = attacks.flip_rates(scorer, rows, scorer.threshold, attacks=HELD_OUT)
    flips = {
        reading: {name: round(one["flipped"] or 0.0, 4) for name, one in by.items()} for reading, by in rates.items()
    }
    for by in flips.values():
        by["mean"] = round(float(np.mean([by[name] for name in HELD_OUT])), 4)
    harmless = {
        name: round(float((np.array(scorer.unsafe([row["text"] for row in found])) >= scorer.threshold).mean()), 4)
        for name, found in sets.items() if all(row["label"] == "safe" for row in found)
    }  # fmt: skip
    right = {reading: round(by["padding"]["n"] / len(rows), 4) for reading, by in rates.items()}
    return {"flips": flips, "false_alarms": harmless, "right_as_they_came": right}


if __name__ == "__main__":
    main()
