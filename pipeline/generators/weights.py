"""Where generator weights come from: the packaged decoder, a local folder, or a hub name."""

from __future__ import annotations

from pathlib import Path

from classifier.artifacts import refuse_executable
from classifier.decoder import DECODER, decoder_folder
from classifier.weights import download

DEFAULT_GENERATOR = DECODER


def generator_folder(name: str) -> Path:
    """Return the folder of safetensors of a causal language model.

    Raises:
        ProgramError: nothing of that name is to be had, or it could run code while loading.
    """
    if name == DEFAULT_GENERATOR:
        return decoder_folder()
    folder = Path(name) if Path(name).is_dir() else download(name, f"{DEFAULT_GENERATOR}, the generator 'endpoint'")
    refuse_executable(folder)
    return folder
