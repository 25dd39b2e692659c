"""Guards outside torch: ONNX in full precision and in 8 bits, measured before it is trusted.

    folder of a guard → the same folder, with `onnx/`, a model card and a new manifest
        onnx/model.onnx           full precision, equal to torch to a few millionths
        onnx/model_static.onnx    8-bit weights and activations, ranges from calibration texts
        onnx/model_dynamic.onnx   8-bit weights, activations in ranges found as they come

An 8-bit file that loses more average precision than the bound on the given rows is taken out again, and the report says
so. `guard.json` names the best file that stayed; `load` takes that one after checking every digest.
"""

from __future__ import annotations

import copy
import json
import logging
import os
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from classifier import batches, fused, model
from classifier.artifacts import refuse_executable, verify
from classifier.networks import Ids, Logits, by_budget, padded
from classifier.runfolder import ProgramError

logger = logging.getLogger(__name__)

FOLDER = "onnx"
BACKENDS = {"onnx-fp32": "model.onnx", "onnx-dynamic": "model_dynamic.onnx", "onnx-static": "model_static.onnx"}
CLOSE = 1e-2  # how far the logits of a rewritten graph may be from the plain one's


@dataclass
class OnnxNetwork:
    """A guard run by ONNX Runtime."""

    categories: list[str]
    session: Any
    padding: int

    def logits(self, ids: Ids) -> Logits:
        verdict, category = np.zeros(len(ids)), np.zeros((len(ids), len(self.categories)))
        for rows in by_budget(ids):
            tokens, mask = padded(ids[rows], self.padding)
            outputs = self.session.run(None, {"input_ids": tokens, "attention_mask": mask})
            verdict[rows] = outputs[0]
            if self.categories:
                category[rows] = outputs[1]
        return verdict, category


def session(file: Path, threads: int = 0) -> Any:
    """An ONNX Runtime session on the processor.

    Raises:
        ProgramError: the file is not a model that it can run.
    """
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads = threads or cores()
    options.log_severity_level = 3
    # Spinning threads would take the cores from the event loop and from other programs between two requests.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        return ort.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # its exceptions have no common base of their own
        raise ProgramError(f"{file} does not load ({type(error).__name__}).", "Export the guard again.") from None


def cores() -> int:
    """Processors that this process may use."""
    return len(os.sched_getaffinity(0))


def load(folder: Path, backend: str = "auto", threads: int = 0) -> tuple[Any, Any, dict[str, Any]]:
    """Load (tokenizer, network, card) after checking every digest.

    `backend`: auto takes what the export chose and torch where nothing was exported; or torch, or a name of BACKENDS.

    Raises:
        ProgramError: the folder is not a whole guard, or has no such backend.
    """
    if not folder.is_dir():
        raise ProgramError(f"There is no guard at {folder}.", "Give the folder that training or export wrote.")
    digest = verify(folder)
    card = read_card(folder)
    chosen = card.get("backend", "torch") if backend == "auto" else backend
    if chosen == "torch":
        tokenizer, guard, card = model.load(folder, trusted=True)
        return tokenizer, guard, {**card, "digest": digest, "backend": "torch"}
    if chosen not in BACKENDS or not (folder / FOLDER / BACKENDS[chosen]).is_file():
        raise ProgramError(
            f"{folder} has no backend {chosen!r}.", f"Export it, or use torch or one of: {', '.join(there(folder))}."
        )
    tokenizer = load_tokenizer(folder, plain=bool(card.get("plain_tokenizer")))
    network = OnnxNetwork(
        card["categories"], session(folder / FOLDER / BACKENDS[chosen], threads), tokenizer.pad_token_id or 0
    )
    return tokenizer, network, {**card, "digest": digest, "backend": chosen}


def there(folder: Path) -> list[str]:
    """The exported backends that a folder holds."""
    return [name for name, file in BACKENDS.items() if (folder / FOLDER / file).is_file()]


def read_card(folder: Path) -> dict[str, Any]:
    """What `guard.json` says.

    Raises:
        ProgramError: there is none, or it is not one.
    """
    try:
        card: dict[str, Any] = json.loads((folder / model.GUARD).read_text(encoding="utf-8"))
        _ = card["categories"], card["max_length"], card["temperature"]
    except (OSError, ValueError, KeyError, TypeError):
        raise ProgramError(f"{folder} has no readable {model.GUARD}.", "Train or export the guard again.") from None
    return card


def load_tokenizer(folder: Path, plain: bool = False) -> Any:
    """The tokenizer of a folder, without its weights and never running code of its own.

    `plain` takes `tokenizer.json` as it is, which loads in a tenth of the memory because torch stays out.
    """
    refuse_executable(folder)
    try:
        if plain:
            from transformers import PreTrainedTokenizerFast

            return PreTrainedTokenizerFast.from_pretrained(folder)
        from transformers import AutoTokenizer

        return AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
    except Exception as error:  # the library below raises kinds of its own
        raise ProgramError(
            f"{folder} has no tokenizer that loads ({type(error).__name__}).", "Export the guard again."
        ) from None


def same_plainly(folder: Path, tokenizer: Any, texts: Sequence[str], max_length: int) -> bool:
    """Whether `tokenizer.json` alone gives the ids that the guard was trained with."""
    try:
        plain = load_tokenizer(folder, plain=True)
        return batches.encode(plain, texts, max_length) == batches.encode(tokenizer, texts, max_length)
    except (ProgramError, ValueError):
        return False


# Writing


def write_full(guard: Any, file: Path) -> None:
    """Write a guard as ONNX in full precision, for any number of texts of any length."""
    import torch

    class Whole(torch.nn.Module):
        """Without categories the second output would be empty, which ONNX has no use for: a stand-in is cut off."""

        def __init__(self) -> None:
            super().__init__()
            self.guard = guard
            if not guard.categories:
                self.guard = copy.deepcopy(guard)
                self.guard.category = torch.nn.Linear(guard.verdict.in_features, 1)

        def forward(self, input_ids: Any, attention_mask: Any) -> Any:
            verdict, category = self.guard(input_ids, attention_mask)
            return (verdict, category) if guard.categories else (verdict,)

    ids = torch.arange(5, 37).reshape(2, 16)
    mask = torch.ones_like(ids)
    mask[1, 10:] = 0  # an all-ones mask lets some models trace a path that ignores it
    axes = {0: torch.export.Dim("batch"), 1: torch.export.Dim("tokens")}
    file.parent.mkdir(parents=True, exist_ok=True)
    with torch.inference_mode():
        torch.onnx.export(
            Whole().eval(), (ids, mask), str(file), dynamo=True, verbose=False, external_data=_is_large(guard),
            input_names=["input_ids", "attention_mask"], dynamic_shapes={"input_ids": axes, "attention_mask": axes},
            output_names=["verdict", "categories"] if guard.categories else ["verdict"],
        )  # fmt: skip


def write_base(guard: Any, full: Path, file: Path) -> None:
    """Write the graph that the 8-bit files are made from: rewritten for speed, or the plain one where that fails."""
    try:
        write_full(fused.fused(guard), file)
        if _largest_gap(full, file) <= CLOSE:
            return
        logger.warning("the fused graph answers differently; the plain one is used")
    except Exception as error:  # an architecture that the rewrites do not fit; torch's exporter raises many kinds
        logger.warning("the fused graph could not be made (%s); the plain one is used", type(error).__name__)
    for left in file.parent.glob(f"{file.name}*"):
        left.unlink()
    shutil.copy(full, file)  # beside it, so that external weights are found by their name


def _largest_gap(one: Path, other: Path) -> float:
    """How far the verdicts of two files are apart on a padded batch."""
    tokens, mask = padded([list(range(5, 60)), list(range(7, 20))], 0)
    given = {"input_ids": tokens, "attention_mask": mask}
    verdicts = [session(file).run(["verdict"], given)[0] for file in (one, other)]
    return float(np.abs(verdicts[0] - verdicts[1]).max())


def _is_large(guard: Any) -> bool:
    """Whether the weights would not fit into one protobuf, which ends at 2 GiB."""
    return bool(sum(parameter.numel() * 4 for parameter in guard.parameters()) > 1.8 * 2**30)


def write_dynamic(base: Path, file: Path) -> None:
    """Write the 8-bit file whose activations are ranged as they come. Weights: signed, a scale for each column."""
    from onnxruntime.quantization import QuantType, quantize_dynamic

    quantize_dynamic(
        base, file, op_types_to_quantize=["MatMul", "Gemm"], per_channel=True, weight_type=QuantType.QInt8,
        use_external_data_format=_has_external(base), extra_options={"MatMulConstBOnly": True},
    )  # fmt: skip


def write_static(base: Path, file: Path, calibration: Iterable[Ids], padding: int) -> None:
    """Write the 8-bit file whose activations are ranged beforehand, over batches of calibration texts."""
    from onnxruntime.quantization import CalibrationMethod, QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    prepared = file.with_suffix(".prepared")
    quant_pre_process(base, prepared, skip_symbolic_shape=True, save_as_external_data=_has_external(base))
    quantize_static(
        prepared, file, _Reader(calibration, padding), quant_format=QuantFormat.QDQ, op_types_to_quantize=["MatMul"],
        per_channel=True, activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8,
        calibrate_method=CalibrationMethod.MinMax, use_external_data_format=_has_external(base),
        extra_options={"MatMulConstBOnly": True, "WeightSymmetric": True, "ActivationSymmetric": False},
    )  # fmt: skip
    for left in file.parent.glob(f"{prepared.name}*"):
        left.unlink()


def _has_external(base: Path) -> bool:
    return base.with_name(base.name + ".data").exists()


class _Reader:
    """Batches of calibration texts, as ONNX Runtime asks for them."""

    def __init__(self, batches: Iterable[Ids], padding: int) -> None:
        self._batches, self._padding = iter(batches), padding

    def get_next(self) -> dict[str, Any] | None:
        ids = next(self._batches, None)
        if ids is None:
            return None
        tokens, mask = padded(ids, self._padding)
        return {"input_ids": tokens, "attention_mask": mask}
