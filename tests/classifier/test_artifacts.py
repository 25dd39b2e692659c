from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from classifier import artifacts, model, weights
from classifier.config import DEFAULT_ENCODER
from classifier.runfolder import ProgramError, RunFolder, write_json
from tests.classifier.planted import ROOT, flip_byte


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a manifest."""
    folder = tmp_path / "source"
    (folder / "inner").mkdir(parents=True)
    (folder / "model.safetensors").write_bytes(bytes(range(256)))
    (folder / "inner/notes.txt").write_text("plain")
    artifacts.write_manifest(folder)
    return folder


def test_a_whole_folder_verifies_and_tells_its_digest(folder: Path) -> None:
    assert artifacts.verify(folder) == artifacts.digest_file(folder / "MANIFEST.json")
    assert artifacts.is_whole(folder)


def test_a_flipped_byte_is_found(folder: Path) -> None:
    flip_byte(folder / "model.safetensors")
    with pytest.raises(ProgramError, match=r"model\.safetensors in .* is missing or not what its manifest says"):
        artifacts.verify(folder)


def test_a_truncated_file_is_found(folder: Path) -> None:
    (folder / "model.safetensors").write_bytes(bytes(range(255)))
    assert not artifacts.is_whole(folder)


def test_a_missing_file_is_found(folder: Path) -> None:
    (folder / "inner/notes.txt").unlink()
    assert not artifacts.is_whole(folder)


def test_a_file_that_nobody_listed_is_found(folder: Path) -> None:
    (folder / "extra.json").write_text("{}")
    with pytest.raises(ProgramError, match=r"extra\.json in .* is not in its manifest"):
        artifacts.verify(folder)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"files": []}', b'{"files": 3}', b"\xff"])
def test_a_manifest_that_says_nothing_vouches_for_nothing(folder: Path, content: bytes) -> None:
    (folder / "MANIFEST.json").write_bytes(content)
    assert not artifacts.is_whole(folder)


def test_a_guard_with_a_flipped_byte_does_not_load(trained_run: RunFolder, tmp_path: Path) -> None:
    guard = tmp_path / "guard"
    shutil.copytree(trained_run / "model", guard)
    model.load(guard)
    flip_byte(guard / "model.safetensors")
    with pytest.raises(ProgramError, match="not what its manifest says"):
        model.load(guard)


def test_a_folder_with_pickles_only_is_refused(encoder: Path, tmp_path: Path) -> None:
    pickled = tmp_path / "pickled"
    shutil.copytree(encoder, pickled)
    (pickled / "model.safetensors").rename(pickled / "pytorch_model.bin")
    with pytest.raises(ProgramError, match=r"should hold safetensors, found the pickle pytorch_model\.bin"):
        weights.encoder_folder(str(pickled))


@pytest.mark.parametrize("file", ["config.json", "tokenizer_config.json"])
def test_a_folder_that_names_code_of_its_own_is_refused(encoder: Path, tmp_path: Path, file: str) -> None:
    remote = tmp_path / "remote"
    shutil.copytree(encoder, remote)
    content = json.loads((remote / file).read_text())
    write_json(remote / file, {**content, "auto_map": {"AutoModel": "modeling.Strange"}})
    with pytest.raises(ProgramError, match="names code of its own"):
        model.load_encoder(remote)


def test_a_folder_without_weights_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ProgramError, match="found no weights"):
        weights.encoder_folder(str(tmp_path))


def test_damaged_weights_are_refused_with_a_sentence(encoder: Path, tmp_path: Path) -> None:
    damaged = tmp_path / "damaged"
    shutil.copytree(encoder, damaged)
    (damaged / "model.safetensors").write_bytes(b"not weights")
    with pytest.raises(ProgramError, match="does not load"):
        model.load_encoder(damaged)


def test_an_unknown_name_is_answered_with_what_there_is(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_network(*_: object, **__: object) -> str:
        raise ConnectionError

    monkeypatch.setattr("huggingface_hub.snapshot_download", no_network)
    with pytest.raises(ProgramError, match="No model named 'nobody/nothing'") as caught:
        weights.encoder_folder("nobody/nothing")
    assert DEFAULT_ENCODER in caught.value.remedy


def test_the_packaged_encoder_is_found_without_a_network() -> None:
    assert (weights.encoder_folder(DEFAULT_ENCODER) / "model.safetensors").exists()


def test_publishing_twice_is_publishing_once(folder: Path, tmp_path: Path) -> None:
    root = tmp_path / "root"
    digest, home = artifacts.publish(folder, root)
    assert artifacts.publish(folder, root) == (digest, home) == (artifacts.verify(folder), root / digest)
    assert [entry.name for entry in root.iterdir()] == [digest]
    assert artifacts.verify(home) == digest


def test_a_broken_home_is_replaced_and_kept_aside(folder: Path, tmp_path: Path) -> None:
    root = tmp_path / "root"
    digest, home = artifacts.publish(folder, root)
    for _ in range(2):
        flip_byte(home / "model.safetensors")
        assert artifacts.publish(folder, root) == (digest, home)
        assert artifacts.is_whole(home)
    assert len([entry for entry in root.iterdir() if entry.name.startswith(".broken-")]) == 1


def test_a_broken_source_is_never_published(folder: Path, tmp_path: Path) -> None:
    flip_byte(folder / "model.safetensors")
    with pytest.raises(ProgramError):
        artifacts.publish(folder, tmp_path / "root")
    assert not (tmp_path / "root").exists()


def test_publishing_that_is_cut_off_leaves_nothing_at_home(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def disk_full(source: Path, target: Path) -> None:
        target.mkdir(parents=True)
        (target / "model.safetensors").write_bytes(b"half")
        raise OSError(28, "No space left on device")

    root = tmp_path / "root"
    with monkeypatch.context() as patch, pytest.raises(OSError, match="No space"):
        patch.setattr(shutil, "copytree", disk_full)
        artifacts.publish(folder, root)
    assert not (root / artifacts.verify(folder)).exists()
    _, home = artifacts.publish(folder, root)
    assert artifacts.is_whole(home)


def test_several_processes_may_publish_the_same_folder_at_once(folder: Path, tmp_path: Path) -> None:
    code = "import sys, pathlib; from classifier.artifacts import publish; publish(*map(pathlib.Path, sys.argv[1:]))"
    command = [sys.executable, "-c", code, str(folder), str(tmp_path / "root")]
    processes = [subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE) for _ in range(4)]
    assert [process.communicate()[1] for process in processes] == [b""] * 4
    assert [entry.name for entry in (tmp_path / "root").iterdir()] == [artifacts.verify(folder)]


def test_the_digest_of_a_folder_follows_its_contents(encoder: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(encoder, copy)
    assert artifacts.digest_folder(copy) == artifacts.digest_folder(encoder)
    flip_byte(copy / "model.safetensors")
    assert artifacts.digest_folder(copy) != artifacts.digest_folder(encoder)
