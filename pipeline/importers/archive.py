from __future__ import annotations

import gzip
import re
import tarfile
import tempfile
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import IO, BinaryIO, cast

from classifier.runfolder import ProgramError
from pipeline.importers import ENDINGS, FILE, FOLDER, SPLIT, Columns, Read, Record, RowError, importers

UNPACKED = 4 * 2**30  # bytes that all files of an archive may have together
MOST_FILES = 10_000
BLOCK = 2**20
# Where the same rows stand in several formats, the first of these is read: it keeps the most.
PREFERRED = ("parquet", "arrow", "jsonl", "json", "csv", "text")
# What tools lay beside the data.
BESIDE = {
    "dataset_info.json", "dataset_infos.json", "dataset_dict.json", "state.json", "settings.json", "croissant.json",
    "release.json", "metadata.json", "config.json",
}  # fmt: skip
SPLITS = {
    "train": ("train", "training"), "validation": ("validation", "valid", "val", "dev"),
    "test": ("test", "testing", "eval", "evaluation"),
}  # fmt: skip
SAFER = "Pack the files again, by their plain names, and import that."


@dataclass(frozen=True)
class Member:
    """One file of an archive."""

    name: str
    size: int
    open: Callable[[], IO[bytes]]

    @property
    def format(self) -> str:
        path = PurePosixPath(self.name)
        return ENDINGS.get((path.with_suffix("") if path.suffix == ".gz" else path).suffix.lower(), "")

    @property
    def is_data(self) -> bool:
        """Whether it can be read, and is not what a tool keeps for itself."""
        path = PurePosixPath(self.name)
        hidden = any(part.startswith((".", "__MACOSX")) for part in path.parts)
        about = path.name.lower() in BESIDE or (path.suffix == ".txt" and path.stem.lower() in ("readme", "license"))
        return self.format not in ("", "archive") and not hidden and not about

    @property
    def split(self) -> str:
        """By its name, as the library `datasets` would: train, validation or test."""
        words = re.split(r"[^a-z]+", str(PurePosixPath(self.name).with_suffix("")).lower())
        return next((name for word in reversed(words) for name, known in SPLITS.items() if word in known), "")

    @property
    def place(self) -> dict[str, str]:
        """What its name says, as columns."""
        path = PurePosixPath(self.name)
        return {FILE: path.name.split(".", 1)[0], FOLDER: path.parent.name, SPLIT: self.split}


@importers.register("archive")
@dataclass(frozen=True)
class Archive:
    """A zip, tar or tar.gz of files in any of the other formats, such as a dataset's folder; or one file under gzip.

    Nothing is unpacked to a place that the archive names. What it holds is counted while it is read, whatever it says
    of itself: past the limit nothing is taken.
    """

    def __call__(self, file: BinaryIO, columns: Columns | None = None) -> Read:
        number = 0
        for member in chosen(members(file)):
            with member.open() as content:
                for row in importers.make(member.format)(content, columns):
                    number += 1
                    where = f"{member.name[-80:]}, line {row.line}"
                    if isinstance(row, RowError):
                        yield RowError(number, f"{where}: {row.message}")
                    else:
                        yield Record(number, {**member.place, **row.values}, where)


def chosen(found: Sequence[Member]) -> list[Member]:
    """The files that are read: all of one format.

    Raises:
        ProgramError: there is none.
    """
    known = Counter(member.format for member in found if member.is_data)
    format = next((name for name in PREFERRED if name in known), "")
    if not format:
        raise ProgramError(
            "The archive holds no file that can be read.",
            f"Expected files ending in {', '.join(end for end, key in ENDINGS.items() if key != 'archive')}.",
        )
    return sorted((one for one in found if one.is_data and one.format == format), key=lambda one: one.name)


def members(file: BinaryIO) -> list[Member]:
    """What an archive holds, in its order.

    Raises:
        ProgramError: it is broken, too large, or names what it should not.
    """
    head = file.read(4)
    file.seek(0)
    budget = Budget(Path(file.name).parent if isinstance(getattr(file, "name", None), str) else None)
    try:
        if head[:2] == b"PK":
            return _checked(_zipped(zipfile.ZipFile(file), budget))
        if head[:2] == b"\x1f\x8b":
            file = cast(BinaryIO, budget.unpack(gzip.GzipFile(fileobj=file)))
        if tarfile.is_tarfile(file):
            file.seek(0)
            return _checked(_tarred(tarfile.open(fileobj=file, mode="r:")))
        return [_alone(file)]
    except BROKEN as error:
        raise broken(error) from None


BROKEN = (zipfile.BadZipFile, tarfile.TarError, EOFError, zlib.error, gzip.BadGzipFile, NotImplementedError)


def broken(error: Exception) -> ProgramError:
    return ProgramError(f"The archive is broken: {type(error).__name__}.", "Pack it again, and import that.")


class Budget:
    """Unpacks into files without a name, and counts: all of them together may have so many bytes."""

    def __init__(self, folder: Path | None) -> None:
        self._folder, self._left = folder, UNPACKED

    def unpack(self, packed: IO[bytes] | gzip.GzipFile) -> IO[bytes]:
        target = tempfile.TemporaryFile(dir=self._folder)  # noqa: SIM115 - the caller reads it
        try:
            while block := packed.read(BLOCK):
                self.take(len(block))
                target.write(block)
        except BROKEN as error:
            raise broken(error) from None
        target.seek(0)
        return target

    def take(self, count: int) -> None:
        self._left -= count
        if self._left < 0:
            raise ProgramError(
                f"The archive unpacks to more than {UNPACKED // 2**20:,} MB.", "Split it and import the parts."
            )


def _zipped(archive: zipfile.ZipFile, budget: Budget) -> Iterator[Member]:
    for entry in archive.infolist():
        if entry.flag_bits & 1:
            raise ProgramError("The archive is locked with a password.", "Pack it without one, and import that.")
        if not entry.is_dir():
            yield _member(entry.filename, entry.file_size, partial(_unzip, archive, entry, budget), budget)


def _unzip(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, budget: Budget) -> IO[bytes]:
    with archive.open(entry) as packed:
        return budget.unpack(packed)


def _tarred(archive: tarfile.TarFile) -> Iterator[Member]:
    budget = Budget(None)
    for entry in archive:
        if entry.isfile():  # links and devices are passed over: what they point at is not in here
            budget.take(entry.size)  # a sparse one has more than the archive: its size is what reading it would give
            yield _member(entry.name, entry.size, partial(_untar, archive, entry), budget)


def _untar(archive: tarfile.TarFile, entry: tarfile.TarInfo) -> IO[bytes]:
    return cast(IO[bytes], archive.extractfile(entry))


def _member(name: str, size: int, opened: Callable[[], IO[bytes]], budget: Budget) -> Member:
    """A file; one under gzip is unpacked when it is opened."""
    if name.lower().endswith(".gz"):
        return Member(name, size, lambda: budget.unpack(gzip.GzipFile(fileobj=opened())))
    return Member(name, size, opened)


def _checked(found: Iterator[Member]) -> list[Member]:
    kept: dict[str, Member] = {}
    for member in found:
        if _is_odd(member.name):
            raise ProgramError(f"The archive names a file outside of itself: {member.name[:80]!r}.", SAFER)
        if member.name in kept:
            raise ProgramError(f"The archive names {member.name[:80]!r} twice.", SAFER)
        kept[member.name] = member
        if len(kept) > MOST_FILES:
            raise ProgramError(f"The archive holds more than {MOST_FILES:,} files.", "Split it and import the parts.")
    return list(kept.values())


def _is_odd(name: str) -> bool:
    path = PurePosixPath(name.replace("\\", "/"))
    return path.is_absolute() or ".." in path.parts or bool(re.match(r"[a-zA-Z]:|.*[\x00-\x1f]", name, re.DOTALL))


def _alone(file: IO[bytes]) -> Member:
    """One file under gzip, known by how it begins."""
    file.seek(0)
    head = file.read(2**10).lstrip()
    file.seek(0)
    kinds = {b"{": "jsonl", b"[": "json", b"P": "parquet" if head[:4] == b"PAR1" else "csv"}
    return Member(f"file.{kinds.get(head[:1], 'csv')}", 0, lambda: file)
