"""Folders of model files that can be trusted: a manifest of digests, checked before anything is loaded.

Safetensors, JSON and tokenizer text only. Pickles execute what they hold, and so does remote code, so both are refused.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from classifier.runfolder import ProgramError, sync_folder, write_json

MANIFEST = "MANIFEST.json"
ALLOWED = {".safetensors", ".json", ".txt", ".model", ".md", ".jinja"}
PICKLES = {".bin", ".pt", ".pth", ".pkl", ".pickle", ".joblib", ".npy", ".ckpt"}


def digest_file(file: Path) -> str:
    """SHA-256 (hex) of a file, read in blocks."""
    with file.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def write_manifest(folder: Path) -> str:
    """Write the digests of all files of a folder, last and by rename; return the digest of the manifest."""
    files = {str(file.relative_to(folder)): digest_file(file) for file in _files(folder)}
    for name in files:
        with (folder / name).open("rb") as handle:
            os.fsync(handle.fileno())
    write_json(folder / MANIFEST, {"files": files})
    return digest_file(folder / MANIFEST)


def _files(folder: Path) -> list[Path]:
    found = (file for file in folder.rglob("*") if file.is_file() and file.name != MANIFEST)
    return sorted(file for file in found if not file.name.endswith(".part"))


def verify(folder: Path) -> str:
    """Check every file against the manifest; return the manifest's digest.

    Raises:
        ProgramError: the manifest is missing, or a file is missing, changed or not listed.
    """
    try:
        listed: dict[str, str] = dict(json.loads((folder / MANIFEST).read_text(encoding="utf-8"))["files"])
    except (OSError, ValueError, KeyError, TypeError):
        raise ProgramError(
            f"{folder} has no readable {MANIFEST}.", "Use a folder that was written to its end."
        ) from None
    for name, digest in listed.items():
        file = folder / name
        if not file.is_file() or digest_file(file) != digest:
            raise ProgramError(
                f"{name} in {folder} is missing or not what its manifest says.", "Restore it or train again."
            )
    if strange := [file.name for file in _files(folder) if str(file.relative_to(folder)) not in listed]:
        raise ProgramError(
            f"{strange[0]} in {folder} is not in its manifest.", "Remove it, or write the manifest again."
        )
    return digest_file(folder / MANIFEST)


def is_whole(folder: Path) -> bool:
    """Whether a folder verifies."""
    try:
        verify(folder)
    except ProgramError:
        return False
    return True


def refuse_executable(folder: Path) -> None:
    """Refuse a model folder that could run code while it loads.

    Raises:
        ProgramError: it holds pickled weights without safetensors, or its configuration names remote code.
    """
    if not any(folder.glob("*.safetensors")):
        pickled = sorted(file.name for file in folder.iterdir() if file.suffix in PICKLES)
        found = f"found the pickle {pickled[0]}" if pickled else "found no weights"
        raise ProgramError(f"{folder} should hold safetensors, {found}.", "Convert the weights to safetensors first.")
    for file in folder.glob("*.json"):
        try:
            content = json.loads(file.read_text(encoding="utf-8"))
        except ValueError:
            raise ProgramError(f"{file} is not JSON.", "Restore the model folder.") from None
        if isinstance(content, dict) and "auto_map" in content:
            raise ProgramError(f"{file} names code of its own to run, which is never loaded.", "Use another model.")


def digest_folder(folder: Path) -> str:
    """SHA-256 (hex) over names and contents of a folder's model files."""
    digest = hashlib.sha256()
    for file in _files(folder):
        if file.suffix in ALLOWED and ".cache" not in file.parts:
            digest.update(f"{file.relative_to(folder)}\0{digest_file(file)}\n".encode())
    return digest.hexdigest()


def publish(source: Path, root: Path) -> tuple[str, Path]:
    """Copy a verified folder to `root/<digest>`: write aside, fsync, rename. Doing it twice is doing it once.

    Returns:
        The digest of the manifest and the folder's home.
    """
    digest = verify(source)
    root.mkdir(parents=True, exist_ok=True)
    home = root / digest
    with _alone(root):
        if not is_whole(home):
            _settle(_staged(source, root / f".{digest}.staging"), home)
    return digest, home


@contextmanager
def _alone(root: Path) -> Iterator[None]:
    """One process at a time: another's fresh home must not be taken for a broken one. A death lets go of it."""
    descriptor = os.open(root, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _staged(source: Path, staging: Path) -> Path:
    """A whole copy of a folder, on the disk to its last byte."""
    shutil.rmtree(staging, ignore_errors=True)
    shutil.copytree(source, staging)
    verify(staging)
    for file in staging.rglob("*"):
        if file.is_file():
            with file.open("rb") as handle:
                os.fsync(handle.fileno())
    sync_folder(staging)
    return staging


def _settle(staging: Path, home: Path) -> None:
    if home.exists():  # somebody broke it
        broken = home.with_name(f".broken-{home.name}")
        shutil.rmtree(broken, ignore_errors=True)
        home.rename(broken)
    staging.rename(home)
    sync_folder(home.parent)
