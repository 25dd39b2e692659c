from __future__ import annotations

from pathlib import Path

from classifier.runfolder import RunFolder
from curation.runner import _command


def test_a_training_on_several_devices_is_launched_by_accelerate(tmp_path: Path) -> None:
    RunFolder(tmp_path).write_request({"settings": {"devices": 4}})
    command = _command(["classifier", "train"], tmp_path)
    assert command[1:5] == ["-m", "accelerate.commands.launch", "--num_processes", "4"]
    assert command[-5:] == ["-m", "classifier", "train", str(tmp_path), "--watch-parent"]


def test_everything_else_is_started_by_python(tmp_path: Path) -> None:
    RunFolder(tmp_path).write_request({"settings": {"devices": 4}})
    assert _command(["classifier", "score"], tmp_path)[1:4] == ["-m", "classifier", "score"]
    RunFolder(tmp_path).write_request({"settings": {}})
    assert _command(["classifier", "train"], tmp_path)[1:4] == ["-m", "classifier", "train"]
