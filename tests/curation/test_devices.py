from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from classifier.runfolder import RunFolder
from curation.runner import _command


@pytest.mark.parametrize(
    ("program", "named"),
    [
        (["classifier", "train"], {"devices": 4}),
        (["pipeline", "adversary"], {"method": {"key": "grpo", "settings": {"devices": 4}}}),
    ],
)
def test_a_training_on_several_devices_is_launched_by_accelerate(
    tmp_path: Path, program: list[str], named: dict[str, Any]
) -> None:
    RunFolder(tmp_path).write_request({"settings": named})
    command = _command(program, tmp_path)
    assert command[1:6] == ["-m", "accelerate.commands.launch", "--multi_gpu", "--num_processes", "4"]
    assert command[-5:] == ["-m", *program, str(tmp_path), "--watch-parent"]


def test_everything_else_is_started_by_python(tmp_path: Path) -> None:
    RunFolder(tmp_path).write_request({"settings": {"devices": 4}})
    assert _command(["classifier", "score"], tmp_path)[1:4] == ["-m", "classifier", "score"]
    RunFolder(tmp_path).write_request({"settings": {}})
    assert _command(["classifier", "train"], tmp_path)[1:4] == ["-m", "classifier", "train"]
    assert _command(["pipeline", "adversary"], tmp_path)[1:4] == ["-m", "pipeline", "adversary"]
