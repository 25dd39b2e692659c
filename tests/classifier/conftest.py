from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from classifier.runfolder import RunFolder
from tests.classifier.planted import trained, training_run
from tests.tiny_models import tiny_encoder


@pytest.fixture(scope="package", autouse=True)
def _one_thread() -> Iterator[None]:
    """A model this small waits longer for its threads than it computes, twentyfold where cores are shared."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_encoder(tmp_path_factory.mktemp("weights") / "tiny")


@pytest.fixture(scope="session")
def trained_run(encoder: Path, tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """One finished training on the planted rule. Shared: read it, do not write to it."""
    run = training_run(tmp_path_factory.mktemp("runs") / "trained", encoder)
    trained(run)
    return run
