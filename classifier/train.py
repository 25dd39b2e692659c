"""Train a guard, from top to bottom.

    rows → token ids → batches whose order (seed, epoch) alone decide → loss on verdict and categories
    → after each epoch, average precision on the validation split; the best epoch's weights are kept
    → temperature and thresholds on the validation split → `model/` with its manifest, written last

A checkpoint is a folder that counts only once its manifest is there and fits. Optimizer state is kept as safetensors,
so that nothing here ever unpickles. The order of samples and the dropout masks follow from (seed, step), so a run that
was killed and started again sees the same samples as one that was not.
"""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from classifier import batches, calibrate, model, weights
from classifier.artifacts import digest_folder, is_whole, write_manifest
from classifier.config import TrainSettings
from classifier.evaluate import metrics
from classifier.runfolder import ProgramError, Report, RunFolder, write_json
from classifier.score import forward

if TYPE_CHECKING:
    import torch

KEPT_CHECKPOINTS = 2


@dataclass
class State:
    """Where a run stands."""

    step: int = 0
    best: float = -1.0  # validation average precision of the best epoch so far
    best_epoch: int = -1
    history: list[dict[str, float | None]] = field(default_factory=list)


@dataclass
class Rows:
    """Encoded rows and their targets. A category target of nan is unknown, and counts for nothing."""

    ids: list[list[int]]
    verdict: np.ndarray[Any, Any]  # [n] 0 or 1
    category: np.ndarray[Any, Any]  # [n, k] 0, 1 or nan
    weight: np.ndarray[Any, Any]  # [n]

    @property
    def lengths(self) -> list[int]:
        return [len(sequence) for sequence in self.ids]


def train(run: RunFolder, report: Report) -> None:
    """The program: train on `input.parquet` (column `split`: train or validation) and leave `model/`."""
    request = run.request()
    settings = TrainSettings.from_dict(request.get("settings", {}))
    if is_whole(run / "model") and (run / "metrics.json").exists():
        report(1, 1, "Trained already")
        return
    Training(run, settings, list(request.get("categories", [])), report).run()


class Training:
    """One run of training on a folder."""

    def __init__(self, run: RunFolder, settings: TrainSettings, categories: Sequence[str], report: Report) -> None:
        import torch

        torch.manual_seed(settings.seed)
        self.folder, self.settings, self.report = run, settings, report
        self.rows = run.rows()
        base = weights.encoder_folder(settings.backbone)
        self.base_digest = digest_folder(base)
        self.tokenizer, self.guard = model.build(base, categories, settings.dropout)
        self._check_length()
        self.train_rows = self._encoded("train")
        self.validation = [row for row in self.rows if row.get("split") == "validation"]
        self.steps_an_epoch = math.ceil(len(self.train_rows.ids) / settings.batch_size)
        self.steps = self.steps_an_epoch * settings.epochs
        self.optimizer = self._make_optimizer()
        self.state = State()
        self.best_weights: dict[str, torch.Tensor] | None = None

    def _check_length(self) -> None:
        positions = getattr(self.guard.encoder.config, "max_position_embeddings", None) or self.settings.max_length
        if self.settings.max_length > positions:
            raise ProgramError(
                f"max_length is {self.settings.max_length}, but {self.settings.backbone} reads {positions} tokens.",
                f"Set max_length to {positions} or less.",
            )

    def _encoded(self, split: str) -> Rows:
        rows = [row for row in self.rows if (row.get("split") or "train") == split]
        if not rows:
            raise ProgramError(f"There are no rows of the split {split!r}.", "Give at least a few hundred examples.")
        return Rows(
            ids=batches.encode(self.tokenizer, [row["text"] for row in rows], self.settings.max_length),
            verdict=np.array([float(row["label"] == "unsafe") for row in rows], np.float32),
            category=category_targets(rows, self.guard.categories),
            weight=np.array([1.0 if row.get("weight") is None else row["weight"] for row in rows], np.float32),
        )

    def _make_optimizer(self) -> torch.optim.AdamW:
        import torch

        heads = [p for name, p in self.guard.named_parameters() if not name.startswith("encoder.")]
        groups = [
            {"params": list(self.guard.encoder.parameters()), "lr": self.settings.learning_rate},
            {"params": heads, "lr": self.settings.head_learning_rate},
        ]
        return torch.optim.AdamW(groups, weight_decay=self.settings.weight_decay)

    def run(self) -> None:
        """Train from the newest whole checkpoint, or from the start, to the end."""
        self._resume()
        full_rates = [self.settings.learning_rate, self.settings.head_learning_rate]
        while self.state.step < self.steps:
            epoch, at = divmod(self.state.step, self.steps_an_epoch)
            order = batches.shuffled(self.train_rows.lengths, self.settings.batch_size, self.settings.seed, epoch)
            for rows in order[at:]:
                for group, full in zip(self.optimizer.param_groups, full_rates, strict=True):
                    group["lr"] = full * self._schedule(self.state.step)
                self._step(rows)
                if self.state.step % self.steps_an_epoch == 0:
                    self._end_epoch(epoch)
                if self.state.step % self.settings.checkpoint_steps == 0:
                    self._checkpoint()
        self._finish()

    def _schedule(self, step: int) -> float:
        """Linear warm-up, then linear decay to zero."""
        warm = max(1, int(self.settings.warm_up * self.steps))
        return min((step + 1) / warm, (self.steps - step) / max(1, self.steps - warm))

    def _step(self, rows: list[int]) -> None:
        import torch

        # Dropout masks depend on the step alone, so that a resumed run draws what an unbroken one would.
        torch.manual_seed(hash((self.settings.seed, self.state.step)) % 2**31)
        self.guard.train()
        tokens, mask = batches.pad([self.train_rows.ids[row] for row in rows], self.tokenizer.pad_token_id or 0)
        verdict, category = self.guard(tokens, mask)
        loss = self._loss(verdict, category, rows)
        self._demand_finite(loss, "loss")
        self.optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.guard.parameters(), 1.0)
        self.optimizer.step()
        self.state.step += 1
        self._trace(rows, loss.item())
        self.report(self.state.step, self.steps, "Training", {"loss": loss.item()})

    def _demand_finite(self, values: torch.Tensor, name: str) -> None:
        if not values.isfinite().all():
            raise ProgramError(
                f"Training diverged at step {self.state.step}: the {name} is not finite.",
                "Lower the learning rate and retry.",
            )

    def _loss(self, verdict: torch.Tensor, category: torch.Tensor, rows: list[int]) -> torch.Tensor:
        import torch
        from torch.nn.functional import binary_cross_entropy_with_logits as bce

        weight = torch.from_numpy(self.train_rows.weight[rows])
        wanted = torch.from_numpy(self.train_rows.verdict[rows])
        loss: torch.Tensor = (bce(verdict, wanted, reduction="none") * weight).mean()
        if category.shape[1]:
            targets = torch.from_numpy(self.train_rows.category[rows])
            known = ~targets.isnan()
            each = bce(category, targets.nan_to_num(), reduction="none") * known * weight.unsqueeze(-1)
            # Summed over categories: the mean over fifteen would drown the one that is there.
            loss = loss + self.settings.category_loss * each.sum(1).mean()
        return loss

    def _trace(self, rows: list[int], loss: float) -> None:
        """Leave which samples each step saw; the proof that a resumed run repeats the order."""
        with (self.folder / "steps.jsonl").open("a", encoding="utf-8") as trace:
            trace.write(json.dumps({"step": self.state.step, "rows": rows, "loss": round(loss, 6)}) + "\n")

    def _end_epoch(self, epoch: int) -> None:
        for name, values in self.guard.named_parameters():  # a last step can still blow up what its loss did not show
            self._demand_finite(values, name)
        precision = self._validate().get("average_precision")
        # Without a validation split that can tell, the last epoch is the best guess.
        score = float(epoch) if precision is None else precision
        if score >= self.state.best:
            self.state.best, self.state.best_epoch = score, epoch
            self.best_weights = {k: v.detach().clone() for k, v in self.guard.state_dict().items()}
        self.state.history.append({"epoch": epoch + 1, "validation_average_precision": precision})
        shown = {} if precision is None else {"validation_ap": precision}
        self.report(self.state.step, self.steps, f"Epoch {epoch + 1} of {self.settings.epochs}", shown)

    def _validate(self) -> dict[str, Any]:
        if not self.validation:
            return {}
        logits, labels = self._validation_logits()
        return metrics(calibrate.sigmoid(logits), labels, 0.5)

    def _validation_logits(self) -> tuple[Any, Any]:
        import torch

        texts = [row["text"] for row in self.validation]
        labels = np.array([float(row["label"] == "unsafe") for row in self.validation])
        logits = forward(self.guard, self.tokenizer, texts, self.settings.max_length)[0]
        self._demand_finite(torch.from_numpy(logits), "validation score")
        return logits, labels

    # Checkpoints

    @property
    def _checkpoints(self) -> Path:
        return self.folder / "checkpoints"

    def _checkpoint(self) -> None:
        name = f"step-{self.state.step:08d}"
        self._write_folder(
            self._checkpoints / name,
            {
                "weights": self.guard.state_dict(),
                "optimizer": self._optimizer_state(),
                "best": self.best_weights or {},
            },
            {"state": vars(self.state)},
        )
        for old in sorted(self._checkpoints.glob("step-*"))[:-KEPT_CHECKPOINTS]:
            shutil.rmtree(old)

    def _write_folder(self, folder: Path, tensors: Mapping[str, Any], texts: Mapping[str, Any]) -> None:
        """Write a checkpoint; its manifest comes last, so what was cut off never verifies."""
        from safetensors.torch import save_file

        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        for name, values in tensors.items():
            save_file(
                {key: value.detach().clone().contiguous() for key, value in values.items()},
                folder / f"{name}.safetensors",
            )
        for name, value in texts.items():
            write_json(folder / f"{name}.json", value)
        write_manifest(folder)

    def _optimizer_state(self) -> dict[str, Any]:
        states = self.optimizer.state_dict()["state"]
        return {f"{index}.{name}": value for index, state in states.items() for name, value in state.items()}

    def _resume(self) -> None:
        """Go on from the newest checkpoint that verifies; move those that do not out of the way."""
        for folder in sorted(self._checkpoints.glob("step-*"), reverse=True):
            if is_whole(folder):
                self._load(folder)
                self.report(self.state.step, self.steps, f"Going on from step {self.state.step}")
                return
            quarantine = self.folder / "quarantine"
            quarantine.mkdir(exist_ok=True)
            shutil.rmtree(quarantine / folder.name, ignore_errors=True)
            folder.rename(quarantine / folder.name)

    def _load(self, folder: Path) -> None:
        from safetensors.torch import load_file

        self.guard.load_state_dict(load_file(folder / "weights.safetensors"))
        flat: dict[int, dict[str, Any]] = {}
        for key, value in load_file(folder / "optimizer.safetensors").items():
            index, name = key.split(".", 1)
            flat.setdefault(int(index), {})[name] = value
        self.optimizer.load_state_dict({**self.optimizer.state_dict(), "state": flat})
        self.best_weights = load_file(folder / "best.safetensors") or None
        self.state = State(**json.loads((folder / "state.json").read_text()))

    # The end

    def _finish(self) -> None:
        self.report(self.steps, self.steps, "Calibrating")
        self.guard.load_state_dict(self.best_weights)
        decision, figures = self._decision()
        card = {
            "settings": self.settings.to_dict(), "max_length": self.settings.max_length, "base": self.settings.backbone,
            "base_digest": self.base_digest, **decision,
        }  # fmt: skip
        shutil.rmtree(self.folder / "model", ignore_errors=True)
        model.save(self.guard, self.tokenizer, self.folder / "model", card)
        digest = write_manifest(self.folder / "model")
        write_json(self.folder / "metrics.json", {
            "rows": len(self.rows), "train_rows": len(self.train_rows.ids), "steps": self.steps, "digest": digest,
            "best_epoch": self.state.best_epoch + 1, "history": self.state.history, "validation": figures,
            "base_digest": self.base_digest,
        })  # fmt: skip
        shutil.rmtree(self._checkpoints, ignore_errors=True)
        self.report(self.steps, self.steps, "Trained")

    def _decision(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """Temperature and thresholds from the validation split, and its figures with them."""
        if not self.validation:
            return {"temperature": 1.0, "thresholds": {}}, {}
        logits, labels = self._validation_logits()
        divisor = calibrate.temperature(logits, labels)
        probabilities = calibrate.sigmoid(logits / divisor)
        cuts = calibrate.thresholds(probabilities, labels)
        cut = 0.5 if cuts["best_f1"] is None else cuts["best_f1"]
        return {"temperature": divisor, "thresholds": cuts}, metrics(probabilities, labels, cut)


def category_targets(rows: Sequence[Mapping[str, Any]], names: Sequence[str]) -> np.ndarray[Any, Any]:
    """Targets [n, k]: all 0 for safe rows, 1 where named; nan where an unsafe row names none, which is unknown."""
    targets = np.zeros((len(rows), len(names)), np.float32)
    for at, row in enumerate(rows):
        named = row.get("categories") or ()
        if row["label"] == "unsafe":
            targets[at] = [float(name in named) for name in names] if named else math.nan
    return targets


__all__ = ["State", "Training", "train"]
