"""Checkpoints of a training: folders of safetensors that count only once their manifest is there and fits."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from classifier.artifacts import is_whole, write_manifest
from classifier.runfolder import RunFolder, write_json

KEPT = 2


def write(folder: Path, tensors: Mapping[str, Mapping[str, Any]], state: Mapping[str, Any]) -> None:
    """Write one checkpoint; its manifest comes last, so what was cut off never verifies."""
    from safetensors.torch import save_file

    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for name, values in tensors.items():
        save_file({k: v.detach().clone().contiguous() for k, v in values.items()}, folder / f"{name}.safetensors")
    write_json(folder / "state.json", state)
    write_manifest(folder)
    for old in sorted(folder.parent.glob("step-*"))[:-KEPT]:
        shutil.rmtree(old)


def newest(run: RunFolder) -> Path | None:
    """The newest checkpoint that verifies; those that do not are moved out of the way."""
    for folder in sorted((run / "checkpoints").glob("step-*"), reverse=True):
        if is_whole(folder):
            return folder
        quarantine = run / "quarantine"
        quarantine.mkdir(exist_ok=True)
        shutil.rmtree(quarantine / folder.name, ignore_errors=True)
        folder.rename(quarantine / folder.name)
    return None


def read(folder: Path, name: str) -> dict[str, Any]:
    """The tensors that were written under a name."""
    from safetensors.torch import load_file

    tensors: dict[str, Any] = load_file(folder / f"{name}.safetensors")
    return tensors


def read_state(folder: Path) -> dict[str, Any]:
    """The state that was written with a checkpoint."""
    state: dict[str, Any] = json.loads((folder / "state.json").read_text(encoding="utf-8"))
    return state


def optimizer_tensors(optimizer: Any) -> dict[str, Any]:
    """An optimizer's state as flat tensors, so that nothing here ever unpickles."""
    states = optimizer.state_dict()["state"]
    return {f"{index}.{name}": value for index, state in states.items() for name, value in state.items()}


def restore_optimizer(optimizer: Any, tensors: Mapping[str, Any]) -> None:
    """Put flat tensors back into an optimizer."""
    states: dict[int, dict[str, Any]] = {}
    for key, value in tensors.items():
        index, name = key.split(".", 1)
        states.setdefault(int(index), {})[name] = value
    optimizer.load_state_dict({**optimizer.state_dict(), "state": states})
