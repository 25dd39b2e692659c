"""Train a guard, from top to bottom.

    rows → token ids → batches whose order (seed, epoch) alone decide → losses of `losses.py`, weighed by `targets.py`
    → after each epoch, average precision on the validation split; the best epoch's weights are kept
    → calibration and thresholds on the validation split → `model/` with its manifest, written last

With `folds` there are several such runs and their mean is the guard: see `folds.py`.

A checkpoint is a folder that counts only once its manifest is there and fits. The order of samples and the dropout
masks follow from (seed, step), so a run that was killed and started again sees the same samples as one that was not.
With a budget of processor time the schedule follows the time that is spent, so there the clock decides the last step;
the order of samples is the same still.
"""

from __future__ import annotations

import json
import math
import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from classifier import batches, calibrate, checkpoints, losses, model, optimize, probe, selection, weights
from classifier.artifacts import digest_folder, is_whole, write_manifest
from classifier.config import TrainSettings
from classifier.decide import choose
from classifier.devices import Devices, is_out_of_memory, tensor
from classifier.evaluate import metrics
from classifier.runfolder import ProgramError, Report, RunFolder, write_json
from classifier.score import forward
from classifier.targets import Rows, category_targets, make_rows
from classifier.teach import taught

if TYPE_CHECKING:
    import torch

Logits = tuple[Any, Any, Any]  # verdict [n], categories [n, k], 0/1 labels [n]
Decision = tuple[dict[str, Any], dict[str, Any]]  # the part of a guard's card that decides, and its figures
CONSISTENCY_SHARE = 4  # every fourth row of a batch is shown in disguise too: a quarter more work, not twice as much


@dataclass
class State:
    """Where a run stands."""

    step: int = 0
    spent: float = 0.0  # seconds of processor time in steps
    best: float = -1.0  # validation average precision of the best epoch so far
    best_epoch: int = -1
    pieces: int = 1  # that a batch is cut into
    halved: bool = False
    history: list[dict[str, float | None]] = field(default_factory=list)


def train(run: RunFolder, report: Report, devices: Devices | None = None) -> None:
    """The program: `input.parquet` (text, label, categories, split, weight) and `request.json` → `model/`.

    It computes on all processes of `accelerate launch` where no `devices` are given.
    """
    from classifier.folds import train_in_folds  # which trains by what stands below

    request = run.request()
    settings = TrainSettings.from_dict(request.get("settings", {}))
    categories = list(request.get("categories", []))
    devices = devices or Devices()
    if is_whole(run / "model") and (run / "metrics.json").exists():
        report(1, 1, "Trained already")
    elif settings.folds:
        train_in_folds(run, settings, categories, report, devices)
    else:
        Training(run, settings, categories, report, devices).run()
    devices.leave()


class Training:
    """One run of training on a folder."""

    def __init__(
        self, run: RunFolder, settings: TrainSettings, categories: Sequence[str], report: Report,
        devices: Devices | None = None,
    ) -> None:  # fmt: skip
        import torch

        torch.manual_seed(settings.seed)
        self.folder, self.settings, self._report = run, settings, report
        self.devices = devices or Devices()
        weighs = settings.source_weights
        self.rows = [row for row in run.rows() if weighs.get(row.get("source") or "", 1)]
        base = weights.encoder_folder(settings.backbone)
        self.base_digest = digest_folder(base)
        self.tokenizer, self.guard = model.build(base, categories, settings.dropout)
        optimize.choose_weights(self.guard, settings)
        self.guard.to(self.devices.device)
        self._check_length()
        self.train_rows = self._encoded("train")
        self.validation = [row for row in self.rows if row.get("split") == "validation"]
        self.state = State(pieces=settings.accumulate)
        self.caution = 1.0
        if settings.probe:
            self._start_heads()
        self.steps_an_epoch = math.ceil(len(self.train_rows.ids) / settings.batch_size)
        self.steps = self.steps_an_epoch * settings.epochs
        self.optimizer = optimize.make_optimizer(self.guard, settings)
        self.mean = optimize.RunningMean(self.guard, settings.average)
        self.hard = torch.zeros(2, len(self.train_rows.ids))  # how wrong each row was: last epoch, this epoch
        self.best_weights: dict[str, torch.Tensor] | None = None
        self.best_logits: Logits | None = None  # of the validation split; not kept in checkpoints
        self.vectors = self._vectors(self.train_rows.ids) if settings.frozen else None

    def report(self, message: str, shown: dict[str, Any] | None = None) -> None:
        if self.devices.first:
            self._report(self.state.step, self.steps, message, shown)

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
        if split == "train" and 0 < self.settings.most_rows < len(rows):
            rows = self._chosen(rows)
        made = make_rows(rows, self.guard.categories, self.tokenizer, self.settings)
        if self.settings.teacher:
            said = taught(self.folder, self.settings.teacher, [row["text"] for row in rows])
            made.verdict = (1 - self.settings.distill) * made.verdict + self.settings.distill * said
        return made

    def _chosen(self, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """As many rows as the settings allow, chosen by a proxy; the same ones whenever the run goes on."""
        message = f"Choosing {self.settings.most_rows:,} of {len(rows):,} rows"

        def told(done: int, total: int) -> None:
            if self.devices.first:
                self._report(done, total, message)

        evidence = selection.evidence_of(rows, self.settings.seed, told)
        return [rows[at] for at in selection.select(evidence, self.settings.choose_by, self.settings.most_rows)]

    def _start_heads(self) -> None:
        """Let the heads begin as a linear probe; its time is part of the budget, and never more than half of one."""
        began, rows = time.process_time(), self.train_rows
        some = probe.sample(len(rows.ids), self.settings.seed).tolist()
        vectors = self._vectors([rows.ids[row] for row in some])
        probe.start_heads(self.guard, vectors, rows.label[some], rows.category[some], self._held_out())
        if self.settings.other_sources:
            self.caution = probe.caution(vectors, rows.label[some], [rows.source[row] for row in some])
        spent = self.devices.largest(time.process_time() - began)
        self.state.spent = min(spent, self.settings.budget_minutes * 30)

    def _held_out(self) -> tuple[torch.Tensor, Any] | None:
        """Vectors and labels of the validation split, cut like training rows."""
        rows = [self.validation[at] for at in probe.sample(len(self.validation), self.settings.seed)]
        ids = batches.encode(self.tokenizer, [row["text"] for row in rows], self.settings.max_length)
        return (self._vectors(ids), np.array([float(row["label"] == "unsafe") for row in rows])) if rows else None

    def _vectors(self, ids: list[list[int]]) -> torch.Tensor:
        """What the encoder says of these rows before it learns [n, width]."""
        import torch

        vectors = torch.zeros(len(ids), self.guard.encoder.config.hidden_size)
        self.guard.eval()
        with torch.inference_mode():
            for some in batches.by_length([len(sequence) for sequence in ids], 64):
                vectors[some] = self.guard.vectors(*self._padded(ids, some)).cpu()
        return vectors.clone().to(self.devices.device)

    def _padded(self, ids: list[list[int]], rows: Sequence[int]) -> tuple[torch.Tensor, torch.Tensor]:
        tokens, mask = batches.pad([ids[row] for row in rows], self.tokenizer.pad_token_id or 0)
        return tokens.to(self.devices.device), mask.to(self.devices.device)

    # The loop

    def run(self) -> None:
        """Train from the newest whole checkpoint, or from the start, to the end."""
        self._resume()
        while not self._over():
            epoch, at = divmod(self.state.step, self.steps_an_epoch)
            order = batches.shuffled(self.train_rows.lengths, self.settings.batch_size, self.settings.seed, epoch)
            for rows in order[at:]:
                self._step(rows)
                if self.state.step % self.steps_an_epoch == 0 or self._spent() >= 1:
                    self._end_epoch(epoch)
                if self.state.step % self.settings.checkpoint_steps == 0:
                    self._checkpoint()
                if self._over():
                    break
        self._finish()

    def _fraction(self) -> float:
        """How much of the training is done, from 0 to 1, by steps or by the time that is spent."""
        return min(1.0, max(self.state.step / self.steps, self._spent()))

    def _spent(self) -> float:
        budget = self.settings.budget_minutes * 60
        return self.state.spent / budget if budget else 0.0

    def _over(self) -> bool:
        waited = len(self.state.history) - 1 - self.state.best_epoch
        bored = bool(self.settings.patience and self.state.history and waited >= self.settings.patience)
        return self._fraction() >= 1 or bored

    def _step(self, rows: list[int]) -> None:
        import torch

        began = time.process_time()
        optimize.set_rates(self.optimizer, self._fraction(), self.settings.warm_up, 1 / self.steps)
        self.guard.train()
        loss = self._backward(rows)
        self.devices.sum_gradients(self.guard.parameters())
        torch.nn.utils.clip_grad_norm_([p for p in self.guard.parameters() if p.requires_grad], 1.0)
        self.optimizer.step()
        self.state.step += 1
        if self.mean.weights:
            self.mean.update(self.guard, self.state.step)
        self.state.spent += self.devices.largest(time.process_time() - began)
        self._trace(rows, loss)
        self.report("Training", {"loss": loss})

    def _backward(self, rows: list[int]) -> float:
        """Gradients of one batch; where memory runs out, once more in pieces of half the size."""
        try:
            return self._backward_in_pieces(rows)
        except (RuntimeError, MemoryError) as error:
            self._halve(error)
        return self._backward(rows)

    def _halve(self, error: Exception) -> None:
        """Cut batches into twice as many pieces, once; raise whatever that does not help against."""
        if not is_out_of_memory(error) or self.devices.count > 1:  # others would wait for us for ever
            raise error
        if self.state.halved:
            raise ProgramError(
                f"Memory ran out at step {self.state.step} with batches in {self.state.pieces} pieces.",
                "Lower max_length, raise accumulate, or take a smaller backbone.",
            ) from None
        self.state.halved, self.state.pieces = True, self.state.pieces * 2
        self.report(f"Memory ran out: batches go in {self.state.pieces} pieces from here")

    def _backward_in_pieces(self, rows: list[int]) -> float:
        import torch

        # Dropout masks depend on the step alone, so that a resumed run draws what an unbroken one would.
        torch.manual_seed(
            hash((self.settings.seed, self.state.step, *[self.devices.rank][: self.devices.rank])) % 2**31
        )
        self.optimizer.zero_grad()
        mine = self.devices.share(rows)
        size = math.ceil(len(mine) / self.state.pieces) or 1
        total = 0.0
        for start in range(0, len(mine), size):
            loss = self._loss(mine[start : start + size]) / len(rows)
            self._demand_finite(loss, "loss")
            loss.backward()
            total += loss.item()
        return total

    def _logits(self, ids: list[list[int]], rows: Sequence[int]) -> tuple[torch.Tensor, torch.Tensor]:
        verdict, category = (
            self.guard.heads(self.vectors[list(rows)]) if self.vectors is not None else self._encode(ids, rows)
        )
        return verdict.float(), category.float()

    def _encode(self, ids: list[list[int]], rows: Sequence[int]) -> Any:
        with self.devices.precision(self.settings.bf16):
            vectors = self.guard.vectors(*self._padded(ids, rows))
        return self.guard.heads(vectors.float())  # the heads are cheap, and bfloat16 has three digits

    def _loss(self, rows: list[int]) -> torch.Tensor:
        """The sum over rows of everything that the settings ask for."""
        settings, data, device = self.settings, self.train_rows, self.devices.device
        verdict, category = self._logits(data.ids, rows)
        wanted, label = tensor(data.verdict[rows], device), tensor(data.label[rows], device)
        each = losses.verdict_loss(verdict, wanted)
        if settings.rdrop:
            other, _ = self._logits(data.ids, rows)
            each = (each + losses.verdict_loss(other, wanted)) / 2
            each = each + settings.rdrop * losses.agreement_loss(verdict, other)
        if category.shape[1]:
            each = each + settings.category_loss * losses.category_loss(category, tensor(data.category[rows], device))
        if settings.energy:
            each = each + settings.energy * losses.energy_loss(verdict, label)
        if settings.mining:
            each = each * (1 + settings.mining * self.hard[0, rows].to(device))
            self.hard[1, rows] = losses.hardness(verdict.detach(), label).cpu()
        loss: torch.Tensor = (each * tensor(data.weight[rows], device)).sum()
        return loss + self._second_looks(rows, verdict)

    def _second_looks(self, rows: list[int], verdict: torch.Tensor) -> torch.Tensor:
        """What needs another text beside the row's own: its disguise, its harmless twin."""
        data, extra = self.train_rows, verdict.new_zeros(())
        if self.settings.consistency:
            some = list(range(self.state.step % CONSISTENCY_SHARE, len(rows), CONSISTENCY_SHARE))
            if some:
                extra = extra + self._disguise_loss([rows[at] for at in some], verdict[some])
        paired = [at for at, row in enumerate(rows) if data.twin[row] >= 0]
        if self.settings.twins and paired:
            twin, _ = self._logits(data.ids, [int(data.twin[rows[at]]) for at in paired])
            extra = extra + self.settings.twins * losses.twin_loss(verdict[paired], twin).sum()
        return extra

    def _disguise_loss(self, rows: list[int], plain: torch.Tensor) -> torch.Tensor:
        factor = self.settings.consistency * CONSISTENCY_SHARE / 2
        disguised, _ = self._logits(self.train_rows.disguised, rows)
        each = losses.verdict_loss(disguised, tensor(self.train_rows.verdict[rows], self.devices.device))
        each = each + losses.agreement_loss(disguised, plain)
        return (each * tensor(self.train_rows.weight[rows], self.devices.device)).sum() * factor

    def _demand_finite(self, values: torch.Tensor, name: str) -> None:
        if not values.isfinite().all():
            raise ProgramError(
                f"Training diverged at step {self.state.step}: the {name} is not finite.",
                "Lower the learning rate and retry.",
            )

    def _trace(self, rows: list[int], loss: float) -> None:
        """Leave which samples each step saw; the proof that a resumed run repeats the order."""
        if self.devices.first:
            with (self.folder / "steps.jsonl").open("a", encoding="utf-8") as trace:
                trace.write(json.dumps({"step": self.state.step, "rows": rows, "loss": round(loss, 6)}) + "\n")

    # Validation

    def _end_epoch(self, epoch: int) -> None:
        for name, values in self.guard.named_parameters():  # a last step can still blow up what its loss did not show
            self._demand_finite(values, name)
        self.hard[0], self.hard[1] = self.devices.merged(self.hard[1]), 0.0
        with self.mean.in_place(self.guard):
            logits = self._validation_logits() if self.validation else None
            precision = metrics(calibrate.sigmoid(logits[0]), logits[2], 0.5)["average_precision"] if logits else None
            # Without a validation split that can tell, the last epoch is the best guess.
            score = self.devices.largest(float(epoch) if precision is None else precision)
            if score >= self.state.best:
                self.state.best, self.state.best_epoch, self.best_logits = score, epoch, logits
                self.best_weights = {k: v.detach().cpu().clone() for k, v in self.guard.state_dict().items()}
        self.state.history.append({"epoch": epoch + 1, "validation_average_precision": precision})
        shown = {} if precision is None else {"validation_ap": precision}
        self.report(f"Epoch {epoch + 1} of {self.settings.epochs}", shown)

    def _validation_logits(self) -> Logits:
        """Verdict [n], categories [n, k] and 0/1 labels [n] of the validation split."""
        import torch

        texts = [row["text"] for row in self.validation]
        labels = np.array([float(row["label"] == "unsafe") for row in self.validation])
        verdict, category = forward(
            self.guard, self.tokenizer, texts, self.settings.max_length, overlap=self.settings.window_overlap
        )
        self._demand_finite(torch.from_numpy(verdict), "validation score")
        return verdict, category, labels

    # Checkpoints

    def _checkpoint(self) -> None:
        if self.devices.first:
            tensors = {
                "weights": self.guard.state_dict(), "optimizer": checkpoints.optimizer_tensors(self.optimizer),
                "best": self.best_weights or {}, "mean": self.mean.weights, "hard": {"hard": self.hard},
            }  # fmt: skip
            checkpoints.write(self.folder / f"checkpoints/step-{self.state.step:08d}", tensors, vars(self.state))
        self.devices.wait()

    def _resume(self) -> None:
        """Go on from the newest checkpoint that verifies."""
        found = checkpoints.newest(self.folder) if self.devices.first else None
        self.devices.wait()
        if found := found or checkpoints.newest(self.folder):
            self.guard.load_state_dict(checkpoints.read(found, "weights"))
            checkpoints.restore_optimizer(self.optimizer, checkpoints.read(found, "optimizer"))
            self.best_weights = checkpoints.read(found, "best") or None
            for name, value in checkpoints.read(found, "mean").items():
                self.mean.weights[name].copy_(value)
            self.hard = checkpoints.read(found, "hard")["hard"]
            self.state = State(**checkpoints.read_state(found))
            self.report(f"Going on from step {self.state.step}")

    # The end

    def _finish(self) -> None:
        if self.devices.first:
            self.report("Calibrating")
            self.guard.load_state_dict(self.best_weights)
            optimize.merge_adapters(self.guard)
            self._save(self._decision())
            shutil.rmtree(self.folder / "checkpoints", ignore_errors=True)
            self._report(self.steps, self.steps, "Trained")

    def _decision(self) -> Decision:
        if not self.validation:
            return {"temperature": 1.0, "thresholds": {}}, {}
        logits = self.best_logits or self._validation_logits()
        return decided(self.validation, logits, self.guard.categories, self.settings, self.caution)

    def _save(self, decision: Decision) -> None:
        base = {"base": self.settings.backbone, "base_digest": self.base_digest}
        save(self.folder, self.guard, self.tokenizer, self.settings, decision, base, {
            "rows": len(self.rows), "train_rows": len(self.train_rows.ids),
            "train_unsafe": float(self.train_rows.label.mean()), "steps": self.state.step,
            "best_epoch": self.state.best_epoch + 1, "history": self.state.history,
            "processor_seconds": round(self.state.spent, 1), "caution": self.caution,
        })  # fmt: skip


def decided(
    rows: Sequence[Mapping[str, Any]], logits: Logits, categories: Sequence[str], settings: TrainSettings,
    caution: float,
) -> Decision:  # fmt: skip
    """Calibration and thresholds from rows that were not learnt from, for a guard's card, and its figures on them."""
    verdict, category, labels = logits
    targets = category_targets(rows, categories).astype(float)
    card = calibrate.fit(verdict, labels, category, targets, caution)
    unsafe, likely = calibrate.calibrated(card, verdict, category)
    card |= choose(unsafe, labels, likely, targets, categories, settings.target_fpr)
    cut = 0.5 if card["thresholds"]["default"] is None else card["thresholds"]["default"]
    return card, metrics(unsafe, labels, cut)


def save(
    run: RunFolder, guard: Any, tokenizer: Any, settings: TrainSettings, decision: Decision, base: Mapping[str, str],
    figures: Mapping[str, Any],
) -> None:  # fmt: skip
    """Leave `model/` and, once it is whole, `metrics.json`."""
    card, validation = decision
    shutil.rmtree(run / "model", ignore_errors=True)
    model.save(guard, tokenizer, run / "model", {
        "settings": settings.to_dict(), "max_length": settings.max_length, **base,
        "window_overlap": settings.window_overlap, **card,
    })  # fmt: skip
    digest = write_manifest(run / "model")
    write_json(run / "metrics.json", {
        **figures, "digest": digest, "validation": validation, "base_digest": base["base_digest"],
    })  # fmt: skip


__all__ = ["State", "Training", "category_targets", "train"]
