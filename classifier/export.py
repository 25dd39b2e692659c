"""Write a guard in the forms that others can run, and measure what each form costs in accuracy and time.

A form is kept only where it stays within the bound on the given rows; `guard.json` names the fastest of those.
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from classifier import batches, model, networks, onnx
from classifier.artifacts import MANIFEST, is_whole, write_manifest
from classifier.cards import model_card
from classifier.evaluate import metrics, read_rows
from classifier.runfolder import ProgramError, Report, RunFolder, write_json
from classifier.score import Scorer, texts_of

CALIBRATION_TOKENS = 512  # a batch of calibration texts
REPORT = "export.json"


@dataclass(frozen=True)
class ExportSettings:
    """What is exported, and what it may cost."""

    model: str  # a guard's folder
    bound: float = 0.005  # average precision that an 8-bit file may lose on the given rows
    backends: tuple[str, ...] = tuple(onnx.BACKENDS)
    calibration: int = 256  # texts that set the ranges of the static file

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> ExportSettings:
        """Build from JSON.

        Raises:
            ProgramError: a setting that does not exist, or a value that cannot be used.
        """
        try:
            found = cls(**{**values, "backends": tuple(values.get("backends", onnx.BACKENDS))})
        except TypeError as error:
            raise ProgramError(f"A setting cannot be used: {error}.", "Correct it and start again.") from None
        if strange := sorted(set(found.backends) - set(onnx.BACKENDS)):
            raise ProgramError(f"There is no backend {strange[0]!r}.", f"Use some of: {', '.join(onnx.BACKENDS)}.")
        if not 0 <= found.bound <= 1 or found.calibration < 1:
            raise ProgramError("bound should be between 0 and 1, and calibration at least 1.", "Correct it.")
        return found


def export(run: RunFolder, report: Report) -> None:
    """The program: export the guard that the request names, measured on `input.parquet`, and leave `model/`."""
    settings = ExportSettings.from_dict(run.request().get("settings", {}))
    if is_whole(run / "model") and (run / "metrics.json").exists():
        report(1, 1, "Exported already")
        return
    write_json(run / "metrics.json", export_folder(settings, run.rows(), run / "model", report))


def export_file(settings: ExportSettings, data: Path, target: Path, report: Report) -> dict[str, Any]:
    """Export by hand, measured on a file of labelled JSON lines; return the report."""
    if target.exists() and any(target.iterdir()):
        raise ProgramError(f"{target} is not empty.", "Give a new folder, or remove this one.")
    return export_folder(settings, read_rows(data), target, report)


def export_folder(
    settings: ExportSettings, rows: Sequence[Mapping[str, Any]], target: Path, report: Report
) -> dict[str, Any]:
    """Write `target` and return the report: digest, chosen backend, and a figure a form.

    Raises:
        ProgramError: the guard does not load, or no form stays within the bound.
    """
    source = Path(settings.model)
    tokenizer, guard, card = model.load(source)
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(source, target, ignore=shutil.ignore_patterns(MANIFEST, onnx.FOLDER, REPORT))
    reference = _Measure(Scorer(tokenizer, guard, card), rows)
    steps = len(settings.backends) + 1
    found = {"torch": reference.of(reference.scorer)}
    full = target / onnx.FOLDER / onnx.BACKENDS["onnx-fp32"]
    base = full.with_name("base.onnx")
    report(0, steps, "Writing the graph")
    onnx.write_full(guard, full)
    if settings.backends != ("onnx-fp32",):
        onnx.write_base(guard, full, base)
    for done, backend in enumerate(settings.backends, start=1):
        report(done, steps, f"Measuring {backend}")
        file = target / onnx.FOLDER / onnx.BACKENDS[backend]
        _write(backend, base, file, tokenizer, rows, settings, card["max_length"])
        network = onnx.OnnxNetwork(card["categories"], onnx.session(file), tokenizer.pad_token_id or 0)
        found[backend] = reference.of(Scorer(tokenizer, network, card)) | {"bytes": file.stat().st_size}
    plain = onnx.same_plainly(target, tokenizer, reference.texts, card["max_length"])
    summary = _settle(target, {**card, "plain_tokenizer": plain}, found, settings, rows)
    report(steps, steps, f"Exported as {summary['backend']}")
    return summary


def _write(
    backend: str, base: Path, file: Path, tokenizer: Any, rows: Sequence[Mapping[str, Any]], settings: ExportSettings,
    max_length: int,
) -> None:  # fmt: skip
    if backend == "onnx-dynamic":
        onnx.write_dynamic(base, file)
    elif backend == "onnx-static":
        calibration = calibration_ids(tokenizer, rows, settings.calibration, max_length)
        onnx.write_static(base, file, calibration, tokenizer.pad_token_id or 0)


def calibration_ids(
    tokenizer: Any, rows: Sequence[Mapping[str, Any]], count: int, max_length: int
) -> list[networks.Ids]:
    """Batches of texts to find ranges with: training rows where the rows say so, evenly spread, short to long."""
    texts = texts_of([dict(row) for row in rows if row.get("split") in (None, "train")] or [dict(row) for row in rows])
    chosen = [texts[at] for at in np.linspace(0, len(texts) - 1, min(count, len(texts))).astype(int)]
    ids = sorted(batches.encode(tokenizer, chosen, max_length), key=len)
    return [ids[part] for part in networks.by_budget(ids, CALIBRATION_TOKENS)]


class _Measure:
    """Rows, and what torch says about them; others are held against it."""

    def __init__(self, scorer: Scorer, rows: Sequence[Mapping[str, Any]]) -> None:
        judged = [row for row in rows if row.get("split") not in (None, "train")] or list(rows)
        self.scorer = scorer
        self.texts = texts_of([dict(row) for row in judged])
        self.labels = np.array([float(row.get("label") == "unsafe") for row in judged])
        self.expected = scorer.scores(self.texts)[0]
        self.precision = self._precision(self.expected)

    def _precision(self, unsafe: Any) -> float | None:
        found: float | None = metrics(unsafe, self.labels, 0.5)["average_precision"]
        return found

    def of(self, scorer: Scorer) -> dict[str, Any]:
        """How far a scorer's probabilities are from torch's, what that costs, and the processor's seconds."""
        start = time.process_time()
        unsafe = scorer.scores(self.texts)[0]
        seconds = time.process_time() - start
        gap = np.abs(unsafe - self.expected)
        precision = self._precision(unsafe)
        return {
            "average_precision": precision,
            "lost": None if precision is None or self.precision is None else self.precision - precision,
            "mean_difference": float(gap.mean()), "largest_difference": float(gap.max()),
            "rows": len(self.texts), "processor_seconds": round(seconds, 3),
        }  # fmt: skip


def _settle(
    target: Path, card: dict[str, Any], found: dict[str, dict[str, Any]], settings: ExportSettings,
    rows: Sequence[Mapping[str, Any]],
) -> dict[str, Any]:  # fmt: skip
    """Take out what costs too much, choose the fastest of the rest, and write card, report and manifest."""
    kept = {name: figures for name, figures in found.items() if name != "torch" and within(figures, settings.bound)}
    refused = sorted(set(found) - set(kept) - {"torch"})
    for left in (target / onnx.FOLDER).glob("base.onnx*"):
        left.unlink()
    for name in refused:
        for file in (target / onnx.FOLDER).glob(f"{onnx.BACKENDS[name]}*"):
            file.unlink()
    if not kept:
        raise ProgramError(
            f"No form loses at most {settings.bound:g} average precision: "
            + "; ".join(f"{name} loses {_said(found[name])}" for name in refused) + ".",
            "Raise the bound, or give more calibration rows like the texts that the guard will see.",
        )  # fmt: skip
    chosen = min(kept, key=lambda name: float(kept[name]["processor_seconds"]))
    summary = {"backend": chosen, "bound": settings.bound, "refused": refused, "forms": found, "rows": len(rows)}
    write_json(target / model.GUARD, {**card, "backend": chosen})
    _for_other_servers(target, guard_width(target))
    write_json(target / REPORT, summary)
    (target / "README.md").write_text(model_card({**card, "backend": chosen}, summary), encoding="utf-8")
    return {**summary, "digest": write_manifest(target)}


def within(figures: Mapping[str, Any], bound: float) -> bool:
    """Whether a form stays within the bound; by the mean difference where the rows cannot say the precision."""
    cost = figures["mean_difference"] if figures["lost"] is None else figures["lost"]
    return bool(cost <= bound)


def _said(figures: Mapping[str, Any]) -> str:
    return f"{figures['mean_difference' if figures['lost'] is None else 'lost']:.4f}"


def guard_width(folder: Path) -> int:
    """The width of the encoder's hidden states."""
    width: int = json.loads((folder / "config.json").read_text(encoding="utf-8"))["hidden_size"]
    return width


def _for_other_servers(target: Path, width: int) -> None:
    """Tell Text Embeddings Inference, vLLM and sentence-transformers to average the token vectors."""
    pooling = target / "1_Pooling"
    pooling.mkdir(exist_ok=True)
    write_json(pooling / "config.json", {"word_embedding_dimension": width, "pooling_mode_mean_tokens": True})
    parts = [("", "Transformer"), ("1_Pooling", "Pooling")]
    write_json(target / "modules.json", [
        {"idx": at, "name": str(at), "path": path, "type": f"sentence_transformers.models.{kind}"}
        for at, (path, kind) in enumerate(parts)
    ])  # fmt: skip
