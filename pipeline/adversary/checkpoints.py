"""Checkpoints that can be trusted after a crash.

The trainer writes into `checkpoint-N` file by file, and by itself takes the highest number, whole or not. So each one
gets a manifest when it is done, written last; the newest that verifies is taken, and broken ones are put aside.

The optimizer's and the random states in them are pickles. They are read back only from the run's own folder, which this
program wrote; a checkpoint is never imported and never leaves it.
"""

from __future__ import annotations

from pathlib import Path

from classifier.artifacts import is_whole, write_manifest

QUARANTINE = "quarantine"


def seal(folder: Path, step: int) -> None:
    """Write the manifest of the checkpoint of a step."""
    write_manifest(folder / f"checkpoint-{step}")


def newest_whole(folder: Path) -> Path | None:
    """Return the newest checkpoint that verifies, None where there is none; put newer, broken ones into quarantine."""
    found = sorted(folder.glob("checkpoint-*"), key=step_of, reverse=True)
    for checkpoint in found:
        if is_whole(checkpoint):
            return checkpoint
        put_aside(checkpoint)
    return None


def step_of(checkpoint: Path | None) -> int:
    """The step after which a checkpoint was written, 0 for none."""
    return int(checkpoint.name.rpartition("-")[2]) if checkpoint else 0


def put_aside(checkpoint: Path) -> None:
    """Move a broken checkpoint out of the trainer's sight, and keep it for whoever wonders why."""
    home = checkpoint.parent / QUARANTINE
    home.mkdir(exist_ok=True)
    taken = sum(1 for _ in home.glob(f"{checkpoint.name}*"))
    checkpoint.rename(home / f"{checkpoint.name}.{taken}")
