"""Small guards for tests of what runs them: random weights, so what they say is noise, but how they load is real."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from classifier import model
from classifier.artifacts import write_manifest
from classifier.runfolder import write_json
from tests.processes import ROOT, wait_until
from tests.tiny_models import tiny_encoder

CATEGORIES = ("fraud", "hate", "child-exploitation")  # those of tests/factories.py


def make_guard(folder: Path, seed: int = 0, categories: Sequence[str] = CATEGORIES, threshold: float = 0.5) -> Path:
    """Write a guard with random weights and a manifest; return its folder."""
    import torch

    encoder = tiny_encoder(folder.with_name(f"{folder.name}-encoder"), seed)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        tokenizer, guard = model.build(encoder, categories, 0.0)
    card = {"max_length": 64, "temperature": 1.0, "thresholds": {"best_f1": threshold}, "base": "tiny"}
    model.save(guard, tokenizer, folder, card)
    write_manifest(folder)
    return folder


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Served:
    """A real serving process that follows a file."""

    def __init__(self, process: subprocess.Popen[str], url: str, names: Path, log: Path) -> None:
        self.process, self.url, self.names, self.log = process, url, names, log

    def serve(self, **folders: Path) -> None:
        """Name the guards that are to be served."""
        write_json(self.names, {"models": {name: str(folder) for name, folder in folders.items()}})

    def health(self) -> dict[str, Any]:
        found: dict[str, Any] = httpx.get(f"{self.url}/healthz", timeout=60).json()
        return found

    def wait_for(self, name: str, digest: str = "") -> None:
        def there() -> bool:
            found = self.health()["models"].get(name)
            return bool(found) and found["digest"].startswith(digest)

        wait_until(there, f"{name} is served")

    def post(self, path: str, body: Any, **options: Any) -> httpx.Response:
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        return httpx.post(f"{self.url}{path}", content=raw, timeout=60, **options)

    def stop(self) -> int:
        """End it as the supervisor does; return its exit status."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(60)


@contextmanager
def serving(scratch: Path, **folders: Path) -> Iterator[Served]:
    """Start `python -m classifier serve` and wait until it answers for these guards."""
    names, port, log = scratch / "guards.json", free_port(), scratch / "serve.log"
    arguments = ["--follow", str(names), "--port", str(port), "--threads", "1"]
    with log.open("w") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "classifier", "serve", *arguments], cwd=ROOT, stdout=out, stderr=out, text=True
        )
    served = Served(process, f"http://127.0.0.1:{port}", names, log)
    served.serve(**folders)
    try:
        wait_until(lambda: _answers(served), "the server answers")
        for name in folders:
            served.wait_for(name)
        yield served
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


def _answers(served: Served) -> bool:
    assert served.process.poll() is None, served.log.read_text()
    try:
        return httpx.get(f"{served.url}/healthz", timeout=60).status_code in (200, 503)
    except httpx.TransportError:
        return False
