"""How good our guard is against plain fine-tuning of the same backbone, for the same budget, in the same run.

    python benchmarks/guard_quality.py --train train.jsonl.gz --eval FOLDER [--backbone NAME] [--budget-minutes M]

Both arms start from the same weights, see the same training rows and stop when the same budget is spent. A minute of
the budget is one minute of two cores: two minutes of *processor* time in training steps, so that whatever else runs on
the machine slows both arms down and biases neither. Tokenizing, validation and scoring are not counted.

The plain arm is what most people would write: batches of 32 in random order, each padded to its longest text, 128
tokens, a binary head, AdamW at 8e-5 with linear decay, texts cut at 128 tokens, threshold 0.5, no validation. Ours has
the settings of `OURS`, chosen on sources of the training file that were kept out of training (docs/experiments.md);
nothing in them was chosen on the evaluation sets. Calibration and the default threshold come from a
validation split whose near-duplicate families are not trained on. `plain_read_by_us` gives the plain weights our
windows, to tell what training is worth from what reading is worth.

Ours also learns from the contrast pairs of `pipeline.catalogue`, which every attack brings into a project: texts that
people wrote, as a source of their own. The plain arm has the training file alone.

What was finished is kept under --work and found again, and a training that was broken off goes on.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import shutil
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from classifier import batches, bootstrap, model, suite, weights  # noqa: E402
from classifier.artifacts import is_whole, write_manifest  # noqa: E402
from classifier.calibrate import sigmoid  # noqa: E402
from classifier.config import DEFAULT_ENCODER, TrainSettings  # noqa: E402
from classifier.evaluate import read_rows  # noqa: E402
from classifier.families import hold_out  # noqa: E402
from classifier.inputs import worst  # noqa: E402
from classifier.runfolder import RunFolder, write_json  # noqa: E402
from classifier.score import forward, load_scorer  # noqa: E402
from classifier.train import train  # noqa: E402
from pipeline import catalogue  # noqa: E402

VALIDATION = 0.06  # of every source and label: enough for a curve, too few to be missed
CORES = 2
PLAIN = {"batch_size": 32, "max_length": 128, "learning_rate": 8e-5, "warm_up": 0.1}
OURS: dict[str, Any] = {
    "batch_size": 32, "max_length": 128, "learning_rate": 1e-4, "epochs": 6, "bf16": True, "target_fpr": 0.03,
    "source_balance": 0.5, "checkpoint_steps": 200,
}  # fmt: skip
FRAMES = 2  # in which every contrast pair is learnt from
Scores = tuple[Any, Any]
Reader = Callable[[list[str]], dict[str, Any]]


def main() -> None:
    options = parsed()
    rows = labelled(options.train, quick=options.quick)
    sets = suite.read_sets(options.eval)
    if options.quick:
        sets = {name: found[:200] for name, found in sets.items()}
    arms = {"plain": plain, "ours": ours}
    for name in arms if options.arm == "both" else [options.arm]:
        folder = options.work / f"{name}-{key_of(name, options, rows)}"
        arms[name](folder, rows, options)
        score_sets(name, folder, sets)
    if options.arm == "both":
        print(json.dumps(compared(options, rows, sets)))


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--train", type=Path, default=ROOT / "curation/demo/seeds.jsonl")
    parser.add_argument("--eval", type=Path, default=ROOT / "curation/demo", help="folder of .jsonl or .jsonl.gz sets")
    parser.add_argument("--backbone", default=DEFAULT_ENCODER)
    parser.add_argument("--budget-minutes", type=float, default=15.0, help="of two cores, for each arm")
    parser.add_argument("--work", type=Path, default=ROOT / "var/guard-quality", help="where arms are kept")
    parser.add_argument("--arm", choices=["both", "plain", "ours"], default="both", help="train one now, compare later")
    parser.add_argument("--quick", action="store_true", help="400 rows, a few seconds: that it runs, not how good")
    options = parser.parse_args()
    if options.quick:
        options.budget_minutes = 0.05
    return options


def labelled(file: Path, *, quick: bool) -> list[dict[str, Any]]:
    """Training rows with their split."""
    rows = read_rows(file)
    if quick:
        rows = random.Random(0).sample(rows, min(400, len(rows)))
    held = hold_out(rows, VALIDATION)
    return [{**row, "split": "validation" if out else "train"} for row, out in zip(rows, held, strict=True)]


def key_of(arm: str, options: argparse.Namespace, rows: list[dict[str, Any]]) -> str:
    """What an arm depends on: another setting is another folder."""
    settings = {"plain": PLAIN, "ours": {**OURS, "frames": FRAMES}}[arm]
    asked = [settings, options.backbone, options.budget_minutes, hashlib.sha256(repr(rows).encode()).hexdigest()]
    return hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()[:12]


def seconds(options: argparse.Namespace) -> float:
    return float(options.budget_minutes) * 60 * CORES


# The arms


def plain(folder: Path, rows: list[dict[str, Any]], options: argparse.Namespace) -> None:
    """Fine-tune as most people would, and leave a guard's folder."""
    import torch

    if is_whole(folder / "model"):
        return
    torch.manual_seed(0)
    tokenizer, guard = model.build(weights.encoder_folder(options.backbone), [], 0.1)
    chosen = [row for row in rows if row["split"] == "train"]
    ids = batches.encode(tokenizer, [row["text"] for row in chosen], int(PLAIN["max_length"]))
    labels = torch.tensor([float(row["label"] == "unsafe") for row in chosen])
    optimizer = torch.optim.AdamW(guard.parameters(), lr=PLAIN["learning_rate"], weight_decay=0.01)
    spent, steps, seen = 0.0, 0, 0
    guard.train()
    for picked in random_batches(len(ids)):
        began = time.process_time()
        done = spent / seconds(options)
        rate = min(done / PLAIN["warm_up"], (1 - done) / (1 - PLAIN["warm_up"]))
        optimizer.param_groups[0]["lr"] = PLAIN["learning_rate"] * max(rate, 0.01)
        logits, _ = guard(*batches.pad([ids[row] for row in picked], tokenizer.pad_token_id or 0))
        loss = torch.nn.functional.binary_cross_entropy_with_logits(logits, labels[picked])
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(guard.parameters(), 1.0)
        optimizer.step()
        spent, steps, seen = spent + time.process_time() - began, steps + 1, seen + len(picked)
        say("plain", spent / seconds(options), loss.item())
        if spent >= seconds(options):
            break
    shutil.rmtree(folder, ignore_errors=True)
    model.save(guard, tokenizer, folder / "model", {"max_length": PLAIN["max_length"], "temperature": 1.0})
    write_manifest(folder / "model")
    write_json(folder / "trained.json", {"steps": steps, "epochs": seen / len(ids), "processor_seconds": spent})


def random_batches(count: int) -> Any:
    """Batches in random order, one pass after the other, for ever."""
    chance = random.Random(0)
    size = int(PLAIN["batch_size"])
    while True:
        order = chance.sample(range(count), count)
        yield from (order[start : start + size] for start in range(0, count, size))


def ours(folder: Path, rows: list[dict[str, Any]], options: argparse.Namespace) -> None:
    """Train a guard the product's way, from a run folder."""
    run = RunFolder(folder)
    settings = TrainSettings(**OURS, backbone=options.backbone, budget_minutes=options.budget_minutes * CORES)
    if not is_whole(folder / "model"):
        run.write_request({"settings": settings.to_dict(), "categories": []})
        kept = [
            {"text": row["text"], "label": row["label"], "split": row["split"], "source": row.get("source", "")}
            for row in [*rows, *contrast_pairs()]
        ]
        run.write_rows(kept, "input.parquet")
        train(run, lambda done, total, message="", metrics=None: say(f"ours: {message}", done / total, metrics))
    found = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
    passes = found["steps"] * settings.batch_size / found["train_rows"]
    write_json(folder / "trained.json", {
        "steps": found["steps"], "epochs": passes, "processor_seconds": found["processor_seconds"],
        "validation": found["validation"],
    })  # fmt: skip


def contrast_pairs() -> list[dict[str, Any]]:
    """Both texts of every pair of the catalogue, each once."""
    pairs = [pair for frame in range(FRAMES) for pair in catalogue.pairs(frame)]
    found = {text: label for one in pairs for text, label in ((one.unsafe, "unsafe"), (one.safe, "safe")) if text}
    return [{"text": text, "label": label, "split": "train", "source": "catalogue"} for text, label in found.items()]


said = {"at": 0.0}


def say(arm: str, share: float, more: Any) -> None:
    """A line to standard error, twice a minute."""
    if time.monotonic() - said["at"] > 30:
        said["at"] = time.monotonic()
        print(f"{arm} {share:.1%} {more} load {os.getloadavg()[0]:.1f}", file=sys.stderr, flush=True)


# Scoring


def score_sets(arm: str, folder: Path, sets: dict[str, list[dict[str, Any]]]) -> None:
    """Leave `scores.json`, the probabilities of every set in every reading, set by set."""
    file = folder / "scores.json"
    found = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    score = {"plain": plain_readings, "ours": our_readings}[arm](folder / "model")
    for name, rows in sets.items():
        if len(found.get(name, {}).get("windows", [])) != len(rows):
            readings = score([row["text"] for row in rows])
            found[name] = {reading: [float(p) for p in scores] for reading, scores in readings.items()}
            write_json(file, found)
            say(f"{arm}: scored", len(found) / len(sets), name)


def plain_readings(folder: Path) -> Reader:
    """Texts cut off at the length of training, and the long ones in windows."""
    tokenizer, guard, card = model.load(folder)

    def read(texts: list[str]) -> dict[str, Any]:
        cut = sigmoid(forward(guard, tokenizer, texts, card["max_length"], overlap=None)[0])
        lengths = [len(ids) for ids in batches.encode(tokenizer, texts, None)]
        long = [at for at, length in enumerate(lengths) if length > card["max_length"]]
        windows = cut.copy()
        if long:
            windows[long] = sigmoid(forward(guard, tokenizer, [texts[at] for at in long], card["max_length"])[0])
        return {"cut": cut, "windows": windows}

    return read


def our_readings(folder: Path) -> Reader:
    """Texts in windows, and the worse of that and of the text without its disguises."""
    scorer = load_scorer(folder)

    def read(texts: list[str]) -> dict[str, Any]:
        scored = worst(scorer, texts)
        return {"windows": scored.raw, "undisguised": scored.unsafe}

    return read


# The comparison


def compared(options: argparse.Namespace, rows: list[dict[str, Any]], sets: dict[str, Any]) -> dict[str, Any]:
    """The figures of both arms and how far ours is ahead."""
    folder = {arm: options.work / f"{arm}-{key_of(arm, options, rows)}" for arm in ("plain", "ours")}
    labels = {name: suite.labels_of(found) for name, found in sets.items()}
    readings = {
        "plain": ("plain", "cut"), "plain_read_by_us": ("plain", "windows"),
        "ours": ("ours", "windows"), "ours_undisguised": ("ours", "undisguised"),
    }  # fmt: skip
    found = {name: kept(folder[arm], reading, labels) for name, (arm, reading) in readings.items()}
    threshold = load_scorer(folder["ours"] / "model").threshold
    cuts = {"plain": 0.5, "plain_read_by_us": 0.5, "ours": threshold, "ours_undisguised": threshold}
    both = [name for name, label in labels.items() if len(set(label.tolist())) == 2]
    return {
        "benchmark": "guard_quality", "backbone": options.backbone, "budget_minutes": options.budget_minutes,
        "load": os.getloadavg()[0], "threshold": threshold,
        "arms": {arm: json.loads((folder[arm] / "trained.json").read_text(encoding="utf-8")) for arm in folder},
        "ahead_of_plain": ahead(found["ours"], found["plain"], both),
        "ahead_of_plain_read_by_us": ahead(found["ours"], found["plain_read_by_us"], both),
        **{name: suite.measure(scored, cuts[name]) for name, scored in found.items()},
    }  # fmt: skip


def kept(folder: Path, reading: str, labels: dict[str, Any]) -> dict[str, Scores]:
    """Scores and labels of every set."""
    scores = json.loads((folder / "scores.json").read_text(encoding="utf-8"))
    return {name: (np.array(scores[name][reading]), label) for name, label in labels.items()}


def ahead(ours: dict[str, Scores], theirs: dict[str, Scores], both: list[str]) -> dict[str, Any]:
    """Paired differences over the sets with both labels."""
    triples = [(ours[name][0], theirs[name][0], ours[name][1]) for name in both]
    return {name: bootstrap.paired_difference(triples, name) for name in ("average_precision", "recall_at_fpr_5")}


if __name__ == "__main__":
    main()
