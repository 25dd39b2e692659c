"""What the loop is worth: a guard from a few hundred seeds, and from what the loop makes of them.

    python benchmarks/loop_gain.py --train train.jsonl.gz --eval FOLDER --seeds 300 --rounds 3 --repeats 3

Seven arms, trained with the same settings for the same number of steps, each several times with weights and batches of
its own, and measured on the same rows:
(a) seeds only, (b) seeds and easy text edits, (c) seeds with augmentation and paraphrase, (d) the same and what an
adversary brings: the finds of best-of-n and the contrast pairs that the guard confuses, (e) the same with GRPO, (f) as
many real rows as (d) made: the ceiling, (g) (c) and as many contrast pairs as in (d), drawn without asking the guard.
Nothing is reviewed by people: what every filter keeps is taken. The adversary's judge learns from the seeds alone.

Seeds are balanced by label and drawn evenly from the sources; a fifth of them is the validation split, from which
nothing is written and which chooses epoch, temperature and threshold. Only sets that can tell something about both
kinds of error are read: those with both labels, and those without unsafe rows for false alarms.

A difference between arms has two doubts: the interval is of the rows that are read, which all repeats share, and the
standard error is of the repeats, each with other seeds. What is done is kept under --work and found again. `--repeat N`
runs one repeat, so that several run side by side.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import random
import sys
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from classifier import attacks, bootstrap, suite  # noqa: E402
from classifier.config import TrainSettings  # noqa: E402
from classifier.evaluate import read_rows  # noqa: E402
from classifier.families import hold_out  # noqa: E402
from classifier.normalize import words  # noqa: E402
from classifier.runfolder import RunFolder, write_json  # noqa: E402
from classifier.score import load_scorer  # noqa: E402
from classifier.train import train  # noqa: E402
from pipeline import catalogue  # noqa: E402
from pipeline.adversary.contrast import STAGE  # noqa: E402
from pipeline.adversary.run import attack  # noqa: E402
from pipeline.context import is_forbidden_text  # noqa: E402
from pipeline.filter import filter_examples  # noqa: E402
from pipeline.generate import generate  # noqa: E402

VALIDATION = 0.2
BATCH = 16
STAGES: dict[str, Any] = {
    "augmenters": [
        {"key": "persona"}, {"key": "safe-twin"}, {"key": "chat-spelling"}, {"key": "padding"}, {"key": "typos"},
        {"key": "form"}, {"key": "retelling"}, {"key": "entity-swap"},
        {"key": "obfuscation", "settings": {"styles": "leetspeak, look-alikes, emoji"}},
    ],
    "paraphrasers": [{"key": "paraphrase"}],
}  # fmt: skip
FILTERS = [{"key": key} for key in ("exact-duplicate", "near-duplicate", "fidelity", "language", "length", "shape",
                                    "label-judge")]  # fmt: skip
Row = dict[str, Any]


def main() -> None:
    options = parsed()
    rows, sets = read_rows(options.train), chosen_sets(options)
    numbers = range(options.repeats) if options.repeat is None else [options.repeat]
    repeats = [Repeat(options, number, rows) for number in numbers]
    for repeat in repeats:
        for arm in options.arms:
            repeat.measured(arm, sets)
    print(json.dumps(summary(options, repeats)))


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--train", type=Path, default=ROOT / "curation/demo/seeds.jsonl")
    parser.add_argument("--eval", type=Path, default=ROOT / "curation/demo", help="folder of labelled sets")
    parser.add_argument("--seeds", type=int, default=300)
    parser.add_argument("--rounds", type=int, default=3, help="of the adversary")
    parser.add_argument("--repeats", type=int, default=3, help="each with seeds and weights of its own")
    parser.add_argument("--repeat", type=int, help="only this one")
    parser.add_argument("--arms", default="abcdfge")
    parser.add_argument("--trainings", type=int, default=3, help="of every arm; figures are means over them")
    parser.add_argument("--steps", type=int, default=100, help="of every training, 16 rows each")
    parser.add_argument("--candidates", type=int, default=768, help="that the adversary writes in a round")
    parser.add_argument("--pairs", type=int, default=64, help="contrast pairs that the adversary brings in a round")
    parser.add_argument("--grpo-steps", type=int, default=6, help="in a round")
    parser.add_argument("--limit", type=int, default=400, help="rows of an evaluation set, 0 for all")
    parser.add_argument("--work", type=Path, default=ROOT / "var/loop-gain")
    parser.add_argument("--quick", action="store_true", help="that it runs, not what it gives")
    options = parser.parse_args()
    if options.quick:
        options.seeds, options.rounds, options.repeats, options.steps = 40, 1, 1, 4
        options.candidates, options.grpo_steps, options.limit, options.trainings = 16, 1, 20, 1
    return options


def chosen_sets(options: argparse.Namespace) -> dict[str, list[Row]]:
    """Sets with harmless rows; a random part of each, the same in every run, where a limit is set."""
    found = {}
    for name, rows in suite.read_sets(options.eval).items():
        if any(row["label"] == "safe" for row in rows):
            short = options.limit and len(rows) > options.limit
            found[name] = random.Random(0).sample(rows, options.limit) if short else rows
    return found


def spread(rows: list[Row], count: int, chance: random.Random, taken: set[str] = frozenset()) -> list[Row]:  # type: ignore[assignment]
    """Draw `count` rows, half of each label, sources taking turns."""
    drawn: list[Row] = []
    for label in ("unsafe", "safe"):
        by_source: dict[str, list[Row]] = defaultdict(list)
        for row in rows:
            if row["label"] == label and row["text"] not in taken and not is_forbidden_text(row["text"]):
                by_source[str(row.get("source"))].append(row)
        piles = [chance.sample(pile, len(pile)) for _, pile in sorted(by_source.items())]
        wanted = len(drawn) + count // 2
        while piles and len(drawn) < wanted:
            piles = [pile for pile in piles if pile]
            for pile in piles[: wanted - len(drawn)]:
                drawn.append(pile.pop())
    return drawn


class Repeat:
    """One draw of seeds and everything that is made of it."""

    def __init__(self, options: argparse.Namespace, number: int, rows: list[Row]) -> None:
        self.options, self.number, self.rows = options, number, rows
        drawn = spread(rows, options.seeds, random.Random(f"seeds:{number}"))
        held = hold_out(drawn, VALIDATION, number)
        self.seeds = [
            {"id": f"s{at}", "family": f"s{at}", "text": row["text"], "label": row["label"], "categories": [],
             "split": "validation" if out else "train"}
            for at, (row, out) in enumerate(zip(drawn, held, strict=True))
        ]  # fmt: skip
        self.learnt = [row for row in self.seeds if row["split"] == "train"]
        budget = [options.steps, options.candidates, options.grpo_steps, options.pairs]
        asked = [*budget, STAGES, FILTERS, number, self.seeds]
        key = hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()[:10]
        self.folder = options.work / f"{number}-{key}"

    # What the arms learn from, beside the seeds

    def made(self, arm: str) -> list[Row]:
        """The rows of an arm beside the seeds."""
        return {
            "a": lambda: [], "b": self.edited, "c": self.written, "d": lambda: self.hunted("best-of-n"),
            "e": lambda: self.hunted("grpo"), "f": self.real, "g": self.paired,
        }[arm]()  # fmt: skip

    def edited(self) -> list[Row]:
        """Four easy edits of every seed: synonyms, swapped, dropped and inserted words."""
        edits = (synonym, swap, drop, insert)
        return [
            {**row, "text": edit(row["text"], random.Random(f"{self.number}:{row['id']}:{edit.__name__}"))}
            for edit in edits for row in self.learnt
        ]  # fmt: skip

    def written(self) -> list[Row]:
        """What augmenters and paraphrasers make and the filters keep."""
        run = RunFolder(self.folder / "write")
        if not (run / "output.parquet").exists():
            run.write_request({"settings": {**STAGES, "seed": self.number}})
            run.write_rows(self.learnt, "input.parquet")
            generate(run, say("write"))
        return self.kept(run, "write", [])

    def kept(self, run: RunFolder, name: str, before: list[Row]) -> list[Row]:
        """The drafts of a run that every filter keeps; the seeds teach the judge among the filters."""
        drafts = [{**row, "id": f"{name}-{at}"} for at, row in enumerate(run.rows("output.parquet"))]
        sifted = RunFolder(self.folder / f"{name}-filter")
        if drafts and not (sifted / "output.parquet").exists():
            known = [{**row, "role": "known"} for row in [*self.learnt, *before]]
            texts = {row["id"]: row["text"] for row in self.learnt}
            told = ("id", "text", "label", "family", "parent_id", "origin")
            candidates = [{**{key: row[key] for key in told}, "role": "candidate",
                           "parent_text": texts.get(row["parent_id"])} for row in drafts]  # fmt: skip
            sifted.write_request({"settings": {"filters": FILTERS, "languages": ["en"]}})
            sifted.write_rows([*candidates, *known], "input.parquet")  # the first row names the columns
            filter_examples(sifted, say(name))
        refused = {row["example_id"] for row in sifted.rows("output.parquet") if not row["keep"]} if drafts else set()
        columns = ("id", "text", "label", "family", "stage")
        return [{key: row[key] for key in columns} for row in drafts if row["id"] not in refused]

    def hunted(self, method: str) -> list[Row]:
        """What is written, and the finds of an adversary against a guard that learns from round to round."""
        made = self.written()
        guard = self.trained("c", made)
        settings = {
            "best-of-n": {"candidates": self.options.candidates},
            "grpo": {"candidates": self.options.candidates // 2, "steps": self.options.grpo_steps},
        }[method]
        for number in range(1, self.options.rounds + 1):
            name = f"{method}-{number}"
            run = RunFolder(self.folder / name)
            if not (run / "output.parquet").exists():
                roles = [("seed", self.learnt), ("decided", self.learnt), ("archive", made)]
                run.write_request({"settings": {
                    "method": {"key": method, "settings": settings}, "guard": str(guard),
                    "seed": self.number * 100 + number, "wanted": self.options.candidates // 4,
                    "pairs": self.options.pairs,
                }})  # fmt: skip
                columns = ("id", "text", "label", "family")
                run.write_rows(
                    [{**{key: row[key] for key in columns}, "role": role} for role, rows in roles for row in rows],
                    "input.parquet",
                )
                attack(run, say(name))
            found = self.kept(run, name, made)
            made = made + found
            if found and number < self.options.rounds:
                guard = self.trained(f"{name}-guard", made)
        return made

    def paired(self) -> list[Row]:
        """What is written, and as many texts of contrast pairs as the best-of-n loop brought, drawn at random."""
        wanted = sum(row["stage"] == STAGE for row in self.hunted("best-of-n"))
        drawn = [pair for number in range(self.options.rounds) for pair in catalogue.pairs(self.number * 100 + number)]
        random.Random(f"pairs:{self.number}").shuffle(drawn)
        rows = [
            {"id": f"{pair.family}:{label}", "text": text, "label": label, "family": pair.family, "stage": STAGE}
            for pair in drawn for text, label in ((pair.unsafe, "unsafe"), (pair.safe, "safe")) if text
        ]  # fmt: skip
        return self.written() + rows[:wanted]

    def real(self) -> list[Row]:
        """As many real rows as the best-of-n loop made."""
        taken = {row["text"] for row in self.seeds}
        return spread(self.rows, len(self.hunted("best-of-n")), random.Random(f"real:{self.number}"), taken)

    # Training and measuring

    def trained(self, name: str, made: list[Row], training: int = 0) -> Path:
        """A guard's folder: seeds and `made`, for as many passes as make the same number of steps."""
        run = RunFolder(self.folder / (f"guard-{name}" + (f"-{training}" if training else "")))
        if (run / "metrics.json").exists():
            return run / "model"
        rows = [{key: row[key] for key in ("text", "label", "split")} for row in self.seeds]
        rows += [{"text": row["text"], "label": row["label"], "split": "train"} for row in made]
        learnt = len(rows) - (len(self.seeds) - len(self.learnt))
        settings = TrainSettings(
            epochs=max(1, round(self.options.steps * BATCH / learnt)), batch_size=BATCH, max_length=96, bf16=True,
            checkpoint_steps=10**6, seed=self.number + 1000 * training, target_fpr=0.05,
        )  # fmt: skip
        run.write_request({"settings": settings.to_dict(), "categories": []})
        run.write_rows(rows, "input.parquet")
        train(run, say(run.path.name))
        return run / "model"

    def measured(self, arm: str, sets: dict[str, list[Row]]) -> list[dict[str, Any]]:
        """Figures and scores of each training of an arm, made where they are not there yet."""
        return [self._measured(arm, sets, training) for training in range(self.options.trainings)]

    def _measured(self, arm: str, sets: dict[str, list[Row]], training: int) -> dict[str, Any]:
        file = self.folder / f"arm-{arm}-{self.options.limit}-{training}.json"
        if not file.exists():
            began = time.perf_counter(), time.process_time()
            made = self.made(arm)
            scorer = load_scorer(self.trained(arm, made, training))
            spent = {"seconds": time.perf_counter() - began[0], "processor_seconds": time.process_time() - began[1]}
            write_json(file, {"rows_made": len(made), **spent, **figures(scorer, sets)})
            say(f"{self.number}{arm}")(training + 1, self.options.trainings, "measured")
        found: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        return found


def figures(scorer: Any, sets: dict[str, list[Row]]) -> dict[str, Any]:
    """What is reported of a guard, and its scores by set."""
    scores = {name: scorer.scores([row["text"] for row in rows])[0] for name, rows in sets.items()}
    labels = {name: suite.labels_of(rows) for name, rows in sets.items()}
    measured = suite.measure({name: (scores[name], labels[name]) for name in sets}, scorer.threshold)
    mixed = [name for name, rows in sets.items() if len({row["label"] for row in rows}) == 2]
    sample = [row for name in mixed for row in random.Random(1).sample(sets[name], min(25, len(sets[name])))]
    flips = attacks.flip_rates(scorer, [row for row in sample if len(row["text"]) < 600], scorer.threshold)["raw"]
    safe = {name: float((scores[name] >= scorer.threshold).mean()) for name in sets if name not in mixed}
    return {
        **measured["average"], "ece": measured["pooled"].get("ece"), "false_alarms": safe,
        "twin_consistency": twins(sets[pair], scores[pair]) if (pair := "dro_paired") in sets else None,
        "flips_padding": flips["padding"]["flipped"],
        "flips_disguise": float(np.mean([flips[name]["flipped"] or 0 for name in
                                         ("leetspeak", "look-alikes", "zero-width", "spacing", "encoding")])),
        "scores": {name: [round(float(p), 5) for p in found] for name, found in scores.items() if name in mixed},
        "labels": {name: labels[name].tolist() for name in mixed},
    }  # fmt: skip


def twins(rows: list[Row], scores: Any) -> float | None:
    """Share of unsafe rows that score above the harmless row whose words are most like theirs."""
    bags = [set(words(row["text"])) for row in rows]
    safe = [at for at, row in enumerate(rows) if row["label"] == "safe"]
    unsafe = [at for at, row in enumerate(rows) if row["label"] == "unsafe"]
    if not safe or not unsafe:
        return None
    nearest = {at: max(safe, key=lambda s: len(bags[at] & bags[s]) / len(bags[at] | bags[s])) for at in unsafe}
    return float(np.mean([scores[at] > scores[twin] for at, twin in nearest.items()]))


# Easy text edits


def synonym(text: str, chance: random.Random) -> str:
    """Everyday phrases for everyday phrases."""
    return attacks.paraphrase(text, chance)


def swap(text: str, chance: random.Random) -> str:
    """Two words change places, in one place of ten."""
    found = text.split()
    for _ in range(max(1, len(found) // 10)):
        one, other = chance.randrange(len(found)), chance.randrange(len(found))
        found[one], found[other] = found[other], found[one]
    return " ".join(found)


def drop(text: str, chance: random.Random) -> str:
    """One word of ten goes."""
    found = text.split()
    return " ".join(word for word in found if chance.random() >= 0.1) or text


def insert(text: str, chance: random.Random) -> str:
    """One word of ten comes a second time, elsewhere."""
    found = text.split()
    for word in chance.sample(found, max(1, len(found) // 10)):
        found.insert(chance.randrange(len(found) + 1), word)
    return " ".join(found)


# The table

SHOWN = ("average_precision", "f1", "recall_at_fpr_1", "recall_at_fpr_5", "ece", "twin_consistency", "flips_padding",
         "flips_disguise", "rows_made")  # fmt: skip
SPENT = ("seconds", "processor_seconds")  # by all trainings of an arm; writing counts in the first that needs it


def summary(options: argparse.Namespace, repeats: list[Repeat]) -> dict[str, Any]:
    """Mean over repeats of each figure with its standard error, and how far the loops are ahead."""
    found = {arm: [repeat.measured(arm, {}) for repeat in repeats] for arm in options.arms}
    table: dict[str, Any] = {}
    for arm, runs in sorted(found.items()):
        values = {name: over_trainings([[one.get(name) for one in run] for run in runs]) for name in SHOWN}
        values |= {name: [sum(one[name] for one in run) for run in runs] for name in SPENT}
        alarms = [[one["false_alarms"].get("oktest") for one in run] for run in runs]
        values["oktest_false_alarms"] = over_trainings(alarms)
        table[arm] = {name: mean_of(some) for name, some in values.items() if some}
    pairs = [(loop, base) for loop in "dec" for base in "abcfg" if loop != base and {loop, base} <= set(found)]
    return {
        "benchmark": "loop_gain", "seeds": options.seeds, "rounds": options.rounds, "repeats": len(repeats),
        "trainings": options.trainings, "steps": options.steps, "candidates": options.candidates,
        "limit": options.limit, "quick": options.quick, "arms": table,
        "ahead": {f"{loop}-{base}": ahead(found[loop], found[base]) for loop, base in pairs},
    }  # fmt: skip


def over_trainings(runs: list[list[float | None]]) -> list[float]:
    """One figure for each repeat, of those that have it."""
    known = [[value for value in run if value is not None] for run in runs]
    return [float(np.mean(run)) for run in known if run]


def mean_of(values: list[float]) -> dict[str, float]:
    error = float(np.std(values, ddof=1) / len(values) ** 0.5) if len(values) > 1 else float("nan")
    return {"mean": round(float(np.mean(values)), 4), **({"se": round(error, 4)} if len(values) > 1 else {})}


def ahead(one: list[list[Row]], other: list[list[Row]]) -> dict[str, Any]:
    """Paired difference in average precision, with the interval over rows and what each repeat says."""
    points, draws = [], []
    for ours, theirs in zip(one, other, strict=True):
        pairs = [
            bootstrap.paired_draws(
                [(np.array(a["scores"][name]), np.array(b["scores"][name]), np.array(a["labels"][name]))
                 for name in a["scores"]], "average_precision",
            ) for a, b in zip(ours, theirs, strict=True)
        ]  # fmt: skip
        points.append(float(np.mean([point for point, _ in pairs])))
        draws += [drawn for _, drawn in pairs]
    return {
        **mean_of(points), "interval": bootstrap.interval(np.mean(draws, axis=0)),
        "by_repeat": [round(point, 4) for point in points],
    }  # fmt: skip


def say(name: str) -> Any:
    """Progress to standard error, one line for each new message."""
    last = {"message": ""}

    def report(done: int, total: int, message: str = "", metrics: Any = None, /) -> None:
        if message != last["message"]:
            last["message"] = message
            print(f"{time.strftime('%H:%M:%S')} {name} {done}/{total} {message}", file=sys.stderr, flush=True)

    return report


if __name__ == "__main__":
    main()
