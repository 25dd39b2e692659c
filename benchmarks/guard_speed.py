"""How fast a guard answers: eager transformers, its exported form, and the served endpoint over loopback HTTP.

    python benchmarks/guard_speed.py [--model FOLDER] [--eval FOLDER] [--rows N] [--quick]

Prints one JSON object on its last line. Without --model a guard is trained on the demo seeds and exported, once, under
`var/`. Rows come from --eval (gzipped JSON lines, every k-th of each file, in file order), else from the demo's own
evaluation file. The arms take turns, so that a busy machine is busy for all of them; ratios are medians over turns.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import numpy as np  # noqa: E402

from classifier import batches, model, networks, onnx  # noqa: E402
from classifier.evaluate import metrics, read_rows  # noqa: E402
from classifier.runfolder import RunFolder  # noqa: E402
from classifier.score import Scorer, load_scorer  # noqa: E402

LENGTHS = (32, 128, 512)
HELD = {"rate": 20, "tokens": 256}  # requests a second that must be held, and their length
CLIENTS = 8  # connections at full load
ARRAY = 32  # texts of one request at full load: what the eager arm takes at a time


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    options.add_argument("--model", type=Path, help="an exported guard")
    options.add_argument("--eval", type=Path, help="a folder of gzipped JSON lines")
    options.add_argument("--rows", type=int, default=650, help="rows of the mix")
    options.add_argument("--turns", type=int, default=7, help="how often the arms take turns")
    options.add_argument("--quick", action="store_true", help="fewer rows and turns, to see that it runs")
    chosen = options.parse_args()
    folder = chosen.model or prepared(ROOT / "var" / "bench-guard")
    rows = mix(chosen.eval, 96 if chosen.quick else chosen.rows)
    turns, seconds = (2, 2.0) if chosen.quick else (chosen.turns, 15.0)
    say(f"{len(rows)} rows, {turns} turns, load {os.getloadavg()[0]:.1f}")
    arms = Arms(folder, rows, turns)
    result: dict[str, Any] = {"benchmark": "guard_speed", "cores": onnx.cores(), "load_before": os.getloadavg()}
    result |= {"backend": arms.fast.card["backend"], "mix": arms.describe(), "single": arms.single()}
    result |= {"batch_128": arms.batch_of(128), "full_load": arms.mixed()}
    with tempfile.TemporaryDirectory() as scratch, served(folder, Path(scratch)) as server:
        result["http"] = {
            "single": arms.over_http(server), "full_load": arms.http_load(server), "held": held(server, arms, seconds),
            "promotion": promotion(server, arms, seconds),
        }  # fmt: skip
    result["load_after"] = os.getloadavg()
    print(json.dumps(result | {"verdict": verdict(result)}))


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def verdict(result: dict[str, Any]) -> dict[str, bool]:
    """The targets, one by one."""
    http = result["http"]
    return {
        "mix_at_least_4_times": result["full_load"]["times_eager"] >= 4,
        "http_mix_at_least_4_times": http["full_load"]["times_eager"] >= 4,
        "at_128_at_least_2.5_times": result["single"]["128"]["times_eager"] >= 2.5
        and result["batch_128"]["times_eager"] >= 2.5,
        "at_most_half_a_point_lost": result["full_load"]["average_precision_lost"] <= 0.005,
        "http_overhead_at_most_2_ms": all(http["single"][str(n)]["overhead_ms"] <= 2 for n in LENGTHS),
        "held_20_a_second": http["held"]["errors"] == 0 and http["held"]["p95_ms"] <= 100,
        "promotion_drops_none": http["promotion"]["dropped"] == 0 and http["promotion"]["swaps"] > 0,
    }


# What is measured


def prepared(home: Path) -> Path:
    """A guard of the demo seeds, trained and exported once."""
    exported = home / "exported"
    if (exported / "MANIFEST.json").exists():
        return exported
    demo = ROOT / "curation" / "demo"
    policy = json.loads((demo / "policy.json").read_text(encoding="utf-8"))
    seeds = [json.loads(line) for line in (demo / "seeds.jsonl").read_text(encoding="utf-8").splitlines()]
    run = RunFolder(home / "run")
    run.write_rows([
        {"text": row["text"], "label": row["label"], "categories": row["categories"],
         "split": "validation" if int(row["pair"].rpartition("-")[2]) % 6 == 0 else "train"}
        for row in seeds
    ], "input.parquet")  # fmt: skip
    keys = [category["key"] for category in policy["categories"]]
    run.write_request({"settings": {"epochs": 4, "max_length": 512}, "categories": keys})
    say("training a guard on the demo seeds")
    command = [sys.executable, "-m", "classifier"]
    subprocess.run([*command, "train", str(run.path)], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    say("exporting it")
    arguments = ["--model", run / "model", "--data", demo / "evaluation.jsonl", "--out", exported]
    subprocess.run([*command, "export", *map(str, arguments)], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    return exported


def mix(folder: Path | None, count: int) -> list[dict[str, Any]]:
    """Labelled rows with the lengths that the sets have: every k-th of all, in file order."""
    if folder is None:
        rows = read_rows(ROOT / "curation" / "demo" / "evaluation.jsonl")
    else:
        files = sorted(folder.glob("*.jsonl.gz"))
        rows = [json.loads(line) for file in files for line in gzip.decompress(file.read_bytes()).splitlines()]
    return [rows[int(at)] for at in np.linspace(0, len(rows) - 1, min(count, len(rows)))]


def text_of(tokens: int) -> str:
    """A text of so many tokens, the two special ones counted."""
    return " ".join(["bread"] * (tokens - 2))


class Arms:
    """Eager transformers and the exported form, over the same rows."""

    def __init__(self, folder: Path, rows: list[dict[str, Any]], turns: int) -> None:
        self.turns, self.rows = turns, rows
        self.texts = [row["text"] for row in rows]
        self.labels = np.array([float(row["label"] == "unsafe") for row in rows])
        self.fast = load_scorer(folder)
        tokenizer, guard, card = model.load(folder)
        self.tokenizer, self.guard, self.card = tokenizer, guard.eval(), card
        self.reference = Scorer(tokenizer, guard, card)
        self.eager_seconds: list[float] = []

    def eager(self, texts: Sequence[str], size: int = ARRAY) -> np.ndarray[Any, Any]:
        """Plain transformers: batches in the order of the file, each padded to its longest."""
        network = networks.Eager(self.guard, self.tokenizer.pad_token_id)
        found = []
        for start in range(0, len(texts), size):
            ids = batches.encode(self.tokenizer, texts[start : start + size], self.card["max_length"])
            found.append(network.logits(ids)[0])
        return np.concatenate(found)

    def describe(self) -> dict[str, Any]:
        lengths = [len(ids) for ids in batches.encode(self.tokenizer, self.texts, self.card["max_length"])]
        p50, p95 = np.percentile(lengths, [50, 95])
        return {"rows": len(lengths), "mean_tokens": float(np.mean(lengths)), "p50": float(p50), "p95": float(p95)}

    def single(self) -> dict[str, Any]:
        """One text at a time: p50 and p95 of both arms, and how many times faster at p50."""
        found = {}
        for length in LENGTHS:
            text = [text_of(length)]
            eager, fast = paired(lambda t=text: self.eager(t), lambda t=text: self.fast.scores(t), self.turns, 6)
            found[str(length)] = {
                "eager_ms": spread(eager), "exported_ms": spread(fast), "times_eager": ratio(eager, fast),
            }  # fmt: skip
            say(f"single {length}: {found[str(length)]}")
        return found

    def batch_of(self, length: int) -> dict[str, Any]:
        """Batches of one length, where nothing is won by sorting."""
        texts = [text_of(length)] * ARRAY
        eager, fast = paired(lambda: self.eager(texts), lambda: self.fast.scores(texts), self.turns, 1)
        return {
            "eager_per_second": ARRAY / min(map(min, eager)), "exported_per_second": ARRAY / min(map(min, fast)),
            "times_eager": ratio(eager, fast),
        }  # fmt: skip

    def mixed(self) -> dict[str, Any]:
        """The sets' own mix at full load, and what the exported form loses."""
        turns = max(2, self.turns // 2)
        eager, fast = paired(lambda: self.eager(self.texts), lambda: self.fast.scores(self.texts), turns, 1)
        self.eager_seconds = [min(times) for times in eager]
        precision = [
            metrics(scorer.scores(self.texts)[0], self.labels, 0.5)["average_precision"]
            for scorer in (self.reference, self.fast)
        ]
        say(f"mix: eager {eager}, exported {fast}")
        return {
            "eager_per_second": len(self.texts) / min(self.eager_seconds),
            "exported_per_second": len(self.texts) / min(map(min, fast)), "times_eager": ratio(eager, fast),
            "average_precision": precision[1], "average_precision_lost": precision[0] - precision[1],
        }  # fmt: skip

    def over_http(self, server: Server) -> dict[str, Any]:
        """One request at a time against the same call in this process: the difference is what HTTP costs."""
        found = {}
        for length in LENGTHS:
            text, connection = text_of(length), server.connection()
            direct, http = paired(
                lambda t=text: self.fast.scores([t]), lambda t=text, c=connection: ask(c, [t]), self.turns, 12
            )
            found[str(length)] = {
                "http_ms": spread(http), "direct_ms": spread(direct),
                "overhead_ms": gap(http, direct), "overhead_at_its_quietest_ms": quietest(http) - quietest(direct),
            }  # fmt: skip
            say(f"http {length}: {found[str(length)]}")
        return found

    def http_load(self, server: Server) -> dict[str, Any]:
        """The mix over HTTP: in arrays, by several clients at once, and one text a request."""
        arrays = [self.texts[start : start + ARRAY] for start in range(0, len(self.texts), ARRAY)]
        turns = max(2, self.turns // 2)
        _, many = paired(lambda: None, lambda: all_of(server, arrays), turns, 1)
        ones = [[text] for text in self.texts]
        _, single = paired(lambda: None, lambda: all_of(server, ones), turns, 1)
        # The eager arm ran a moment ago; its best turn against our median one.
        return {
            "texts_per_second": len(self.texts) / min(map(min, many)),
            "requests_per_second": len(self.texts) / min(map(min, single)),
            "times_eager": min(self.eager_seconds) / statistics.median(map(min, many)),
            "times_eager_one_text_a_request": min(self.eager_seconds) / statistics.median(map(min, single)),
        }  # fmt: skip


def paired(
    one: Callable[[], Any], other: Callable[[], Any], turns: int, calls: int
) -> tuple[list[list[float]], list[list[float]]]:
    """Seconds of each call, turn by turn, the two arms taking turns."""
    one(), other()
    found: tuple[list[list[float]], list[list[float]]] = ([], [])
    for _ in range(turns):
        for arm, times in zip((one, other), found, strict=True):
            times.append([timed(arm) for _ in range(calls)])
    return found


def timed(call: Callable[[], Any]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def ratio(slow: list[list[float]], fast: list[list[float]]) -> float:
    """How many times faster: the median over turns of the ratio of their medians."""
    return float(np.median([np.median(s) / np.median(f) for s, f in zip(slow, fast, strict=True)]))


def gap(slow: list[list[float]], fast: list[list[float]]) -> float:
    """Milliseconds between the medians of both: the median over turns."""
    return statistics.median(float(np.median(s) - np.median(f)) for s, f in zip(slow, fast, strict=True)) * 1000


def quietest(turns: list[list[float]]) -> float:
    """Milliseconds of the fastest call of all: what a busy machine cannot make smaller, only larger."""
    return min(map(min, turns)) * 1000


def spread(turns: list[list[float]]) -> dict[str, float]:
    p50, p95 = np.percentile([seconds for turn in turns for seconds in turn], [50, 95]) * 1000
    return {"p50": round(float(p50), 2), "p95": round(float(p95), 2)}


# The server


class Server:
    """A real serving process that follows a file."""

    def __init__(self, port: int, names: Path, folders: tuple[Path, Path]) -> None:
        self.port, self._names, self.folders = port, names, folders

    def connection(self) -> HTTPConnection:
        return HTTPConnection("127.0.0.1", self.port, timeout=60)

    def promote(self, folder: Path) -> None:
        part = self._names.with_suffix(".part")
        part.write_text(json.dumps({"models": {"guard": str(folder)}}))
        part.replace(self._names)

    def health(self) -> dict[str, Any]:
        connection = self.connection()
        connection.request("GET", "/healthz")
        body: dict[str, Any] = json.loads(connection.getresponse().read())
        return body


@contextmanager
def served(folder: Path, scratch: Path) -> Iterator[Server]:
    """Start the server; two names of one folder stand for the guard before and the guard after."""
    names, port = scratch / "guards.json", free_port()
    twin = scratch / "twin"
    twin.symlink_to(folder.resolve())
    server = Server(port, names, (folder.resolve(), twin))
    server.promote(server.folders[0])
    command = [sys.executable, "-m", "classifier", "serve", "--follow", str(names), "--port", str(port)]
    process = subprocess.Popen(command, cwd=ROOT)
    try:
        while not answers(server):
            if process.poll() is not None:
                raise SystemExit("the server ended")
            time.sleep(0.2)
        yield server
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)


def answers(server: Server) -> bool:
    try:
        return server.health()["status"] == "ok"
    except OSError:
        return False


def free_port() -> int:
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def ask(connection: HTTPConnection, texts: list[str]) -> tuple[int, str]:
    """Post texts; return the status and the digest that answered."""
    connection.request("POST", "/score", json.dumps({"texts": texts}), {"Content-Type": "application/json"})
    response = connection.getresponse()
    body = json.loads(response.read())
    return response.status, body.get("digest", "")


def all_of(server: Server, requests: list[list[str]]) -> None:
    """Post all of them, by several clients at once; every one must be answered."""
    local = threading.local()

    def post(texts: list[str]) -> None:
        if not hasattr(local, "connection"):
            local.connection = server.connection()
        status, _ = ask(local.connection, texts)
        while status == 429:  # back-pressure: the client that was told to wait waits
            time.sleep(0.2)
            status, _ = ask(local.connection, texts)
        assert status == 200, status

    with ThreadPoolExecutor(CLIENTS) as clients:
        list(clients.map(post, requests))


def held(server: Server, arms: Arms, seconds: float) -> dict[str, Any]:
    """A fixed rate, each request sent when it is due and timed from then, answered or not."""
    start, total = time.perf_counter() + 0.2, int(seconds * HELD["rate"])
    local = threading.local()

    def send(number: int) -> tuple[float, bool]:
        if not hasattr(local, "connection"):
            local.connection = server.connection()
        due = start + number / HELD["rate"]
        time.sleep(max(0.0, due - time.perf_counter()))
        try:
            status, _ = ask(local.connection, [text_of(HELD["tokens"])])
        except OSError:
            status = 0
        return time.perf_counter() - due, status == 200

    with ThreadPoolExecutor(32) as clients:
        answers = list(clients.map(send, range(total)))
    p50, p95 = np.percentile([took for took, _ in answers], [50, 95]) * 1000
    return {
        **HELD, "requests": total, "errors": sum(not good for _, good in answers), "p50_ms": float(p50),
        "p95_ms": float(p95),
    }  # fmt: skip


def promotion(server: Server, arms: Arms, seconds: float) -> dict[str, Any]:
    """Clients that never stop asking while one guard takes the other's place, again and again."""
    over = threading.Event()
    counts = {"answered": 0, "dropped": 0}
    lock = threading.Lock()

    def client() -> None:
        connection = server.connection()
        while not over.is_set():
            try:
                status, _ = ask(connection, ["how do i bake bread for a large table"])
            except OSError:
                status, connection = 0, server.connection()
            with lock:
                counts["answered" if status == 200 else "dropped"] += 1

    clients = [threading.Thread(target=client) for _ in range(4)]
    for one in clients:
        one.start()
    swaps, until = 0, time.monotonic() + seconds
    while time.monotonic() < until or swaps == 0:
        server.promote(server.folders[(swaps + 1) % 2])
        swaps += swapped(server, swaps + 1)
    over.set()
    for one in clients:
        one.join()
    return {**counts, "swaps": swaps}


def swapped(server: Server, wanted: int) -> int:
    """Wait until the server has put the other guard in its place."""
    until = time.monotonic() + 60
    while time.monotonic() < until:
        connection = server.connection()
        connection.request("GET", "/metrics")
        lines = connection.getresponse().read().decode().splitlines()
        if any(line.startswith("guard_swaps_total") and float(line.split()[-1]) >= wanted for line in lines):
            return 1
        time.sleep(0.1)
    raise SystemExit("the guard was not swapped")


if __name__ == "__main__":
    main()
