"""The writer learns from what was accepted: the local generator, tuned on pairs of a text and a kept rewrite of it.

What writes candidates and what attacks the guard begin with it alike, each by what was accepted when its run began.

Supervised fine-tuning of an adapter (TRL), with the loss on the rewrite alone. A part of the pairs is held out, texts
that are alike together; the adapter is used only if it finds these likelier than the base did.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from classifier.artifacts import is_whole, write_manifest
from classifier.devices import Devices
from classifier.families import hold_out
from classifier.runfolder import ProgramError, Report, RunFolder, write_json
from pipeline import prompts
from pipeline.context import Refusals
from pipeline.generators import Generator
from pipeline.generators.local import Local
from pipeline.records import Example

PAIRS = "pairs.parquet"  # columns text (the rewrite), parent_text, label, categories
ADAPTER = "writer"
FIGURES = "warm_start.json"
FEWEST = 24  # pairs: with fewer, a tenth held out says nothing
HELD_OUT = 0.15
BATCH, EPOCHS, MOST_STEPS = 8, 2, 60  # 400 pairs; more of them change a small adapter little
LEARNING_RATE, RANK = 2e-4, 8
LONGEST = 512  # tokens of a prompt with its answer
VERSION = "paraphrase.v2"


def warmed(
    run: RunFolder, generator: Generator, refusals: Refusals, report: Report
) -> tuple[Generator, dict[str, Any]]:
    """The generator to write with, and what came of its tuning; the one that was given where there is nothing to learn.

    Raises:
        ProgramError: the training diverged.
    """
    if not (isinstance(generator, Local) and generator.warm_start):
        return generator, {}
    pairs = _pairs(run, refusals)
    if len(pairs) < FEWEST:
        report(0, 1, f"The writer stays as it is: {len(pairs)} accepted rewrites, {FEWEST} are needed to learn from")
        return generator, {"pairs": len(pairs), "used": False}
    adapter = run / ADAPTER
    if not Devices().decided(lambda: is_whole(adapter)):
        _tune(generator, pairs, adapter, run / "writer-training", report)
    figures = json.loads((adapter / FIGURES).read_text(encoding="utf-8"))
    if not figures["used"]:
        return generator, figures
    from pipeline.adversary.tuned import Tuned

    return Tuned(generator, adapter), figures


def _pairs(run: RunFolder, refusals: Refusals) -> list[dict[str, Any]]:
    """The pairs that may be learnt from: nothing forbidden on either side."""
    if not (run / PAIRS).exists():
        return []
    rows = run.rows(PAIRS)
    return [row for row in rows if row["parent_text"] and refusals.allows(_example(row))]


def _example(row: Mapping[str, Any]) -> Example:
    return Example("", row["text"], row["label"], tuple(row["categories"] or ()), parent_text=row["parent_text"])


def _tune(generator: Local, pairs: Sequence[Mapping[str, Any]], adapter: Path, work: Path, report: Report) -> None:
    from pipeline.adversary.quiet import quiet

    quiet()
    devices = Devices()
    held = hold_out([{"text": row["parent_text"], "label": row["label"]} for row in pairs], HELD_OUT)
    learnt = [row for row, out in zip(pairs, held, strict=True) if not out]
    kept_back = [row for row, out in zip(pairs, held, strict=True) if out]
    trainer = _trainer(generator, learnt, kept_back, work, report)
    report(0, 1, f"Tuning the writer on {len(learnt)} accepted rewrites")
    before = _loss(trainer)
    trainer.train()
    after = _loss(trainer)
    if devices.first:
        trainer.model.save_pretrained(adapter)
        write_json(adapter / FIGURES, {
            "pairs": len(pairs), "held_out": len(kept_back), "loss_before": before, "loss_after": after,
            "used": after < before,
        })  # fmt: skip
        write_manifest(adapter)
    devices.wait()


def _loss(trainer: Any) -> float:
    """Mean loss on the held-out rewrites, in nats per token.

    Raises:
        ProgramError: it is no number.
    """
    loss = float(trainer.evaluate()["eval_loss"])
    if not math.isfinite(loss):
        raise ProgramError("Tuning the writer diverged.", "Switch warm_start off, or look at the pairs.")
    return round(loss, 4)


def _trainer(
    generator: Local, learnt: Sequence[Mapping[str, Any]], held: Sequence[Mapping[str, Any]], work: Path, report: Report
) -> Any:
    from trl import SFTConfig, SFTTrainer

    from pipeline.adversary import training

    steps = min(MOST_STEPS, max(1, EPOCHS * len(learnt) // BATCH))
    settings = SFTConfig(
        **training.arguments(work, 0, steps, LEARNING_RATE),
            per_device_train_batch_size=max(1, BATCH // Devices().count),
        per_device_eval_batch_size=BATCH, max_length=LONGEST, completion_only_loss=True, packing=False,
        save_strategy="no",
    )  # fmt: skip
    return training.silence(
        SFTTrainer(
            **training.beginning(generator, RANK), args=settings, callbacks=[_progress(report)],
            train_dataset=_dataset(learnt), eval_dataset=_dataset(held),
        )
    )  # fmt: skip


def _dataset(rows: Sequence[Mapping[str, Any]]) -> Any:
    """As the paraphraser asks and as it is answered: the rewrite on one line."""
    from datasets import Dataset

    prompt = prompts.load(VERSION)
    pairs = [(row["parent_text"], prompts.one_line(row["text"])) for row in rows]
    return Dataset.from_list([{"prompt": prompt.render(one), "completion": f" {other}\n"} for one, other in pairs])


def _progress(report: Report) -> Any:
    from transformers import TrainerCallback

    class Progress(TrainerCallback):
        def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            report(state.global_step, state.max_steps, "Tuning the writer")

    return Progress()
