"""How fast the filters are and what memory they take, each in a process of its own.

    python benchmarks/filters.py --rows 1000000

Rows are drawn by a fixed seed: 18 words of 30,000 by Zipf's law, every tenth row an earlier one with another
last word. They stream through, as they do from a file; what is measured is everything from the example to its finding.
`seconds` are of the filter and of making the rows; `making_rows` is what the rows alone take, and the rate is without
it. Embedding is compared with a bare ONNX Runtime session that gets the same token ids in the same batches.
The last line is one JSON object, with the load average beside the figures.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from pipeline.context import Context  # noqa: E402
from pipeline.filters import filters  # noqa: E402
from pipeline.filters.near_duplicate import CHUNK, ROWS, NearDuplicate  # noqa: E402
from pipeline.records import Example  # noqa: E402

WORDS = 18
SLOW = {"language": 20, "label-judge": 4, "shape": 4}  # looked at with so many times fewer rows
KNOWN = 400


def main() -> None:
    options = parsed()
    if options.one:
        apart_from_filters = {"embedding": embedding, "bare-minhash": bare_minhash}.get(options.one)
        print(json.dumps(apart_from_filters(options.rows) if apart_from_filters else one(options.one, options.rows)))
        return
    keys = options.only or [*filters.stages, "bare-minhash", "embedding"]
    found = {key: apart(key, options.embed if key == "embedding" else options.rows // SLOW.get(key, 1)) for key in keys}
    print(json.dumps({"benchmark": "filters", "rows": options.rows, "load": os.getloadavg()[0], "filters": found}))


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--embed", type=int, default=2000, help="rows that are embedded")
    parser.add_argument("--only", nargs="*", help="these filters, bare-minhash or embedding")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    parser.add_argument("--quick", action="store_true", help="few rows: that it runs")
    options = parser.parse_args()
    if options.quick:
        options.rows, options.embed = 2000, 100
    return options


def apart(key: str, rows: int) -> dict[str, Any]:
    """One filter in a process of its own, so that its peak memory is its own."""
    program = [sys.executable, __file__, "--one", key, "--rows", str(rows)]
    done = subprocess.run(program, stdout=subprocess.PIPE, check=True, text=True)
    found: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    print(key, found, file=sys.stderr, flush=True)
    return found


def examples(count: int) -> Iterator[Example]:
    """Rows of the benchmark, the same for the same count."""
    chance, numbers = random.Random(0), np.random.default_rng(0)
    letters = np.array(list("abcdefghijklmnoprstuvwy"))
    vocabulary = ["".join(numbers.choice(letters, size=3 + at % 7)) for at in range(30_000)]
    recent: list[list[str]] = []
    for start in range(0, count, 10_000):
        ranks = numbers.zipf(1.2, size=(min(10_000, count - start), WORDS)) % len(vocabulary)
        for at, row in enumerate(ranks.tolist(), start):
            drawn = [vocabulary[word] for word in row]
            if at % 10 == 9:
                drawn = list(chance.choice(recent))
                drawn[-1] = vocabulary[chance.randrange(len(vocabulary))]
            if at % 100 == 0:
                recent.append(drawn)
            yield Example(str(at), " ".join(drawn), "safe", family=str(at), parent_id=str(at % KNOWN))


class Vectors(dict[str, Any]):
    """A unit vector for every id, out of a thousand: a million different ones would hide what the filter takes."""

    def __init__(self) -> None:
        drawn = np.random.default_rng(1).normal(size=(1000, 384)).astype(np.float32)
        self._pool = drawn / np.linalg.norm(drawn, axis=1, keepdims=True)

    def __contains__(self, key: object) -> bool:
        return True

    def __getitem__(self, key: str) -> Any:
        return self._pool[hash(key) % 1000]

    def get(self, key: str, default: Any = None) -> Any:
        return self[key]


def one(key: str, rows: int) -> dict[str, Any]:
    """Rate, peak memory and kept share of one filter."""
    began = time.perf_counter()
    for _ in examples(rows):
        pass
    making = time.perf_counter() - began
    known = [
        Example(f"k{at}", f"{example.text} known {at}", "unsafe" if at % 2 else "safe", family=f"k{at}")
        for at, example in enumerate(examples(KNOWN))
    ]
    stage, context = filters.make(key), Context(known=known, embeddings=Vectors())
    began, processor = time.perf_counter(), time.process_time()
    kept = sum(finding.keep for finding in stage(examples(rows), context))
    seconds = time.perf_counter() - began
    return {
        "rows": rows, "rows_per_second": round(rows / max(1e-9, seconds - making)), "seconds": round(seconds, 2),
        "making_rows": round(making, 2), "processor_seconds": round(time.process_time() - processor, 2),
        "kept": round(kept / rows, 4), "peak_mb": peak(),
    }  # fmt: skip


def bare_minhash(rows: int) -> dict[str, Any]:
    """Signing and indexing by the library alone: nothing is compared, nothing kept, nothing said."""
    from rensa import RMinHash, RMinHashLSH

    settings = NearDuplicate()
    index = RMinHashLSH(settings.threshold, settings.permutations, settings.permutations // ROWS)
    texts, seconds, done = (example.text for example in examples(rows)), 0.0, 0
    while chunk := [text.split() for text in islice(texts, CHUNK)]:
        began = time.perf_counter()
        matrix = RMinHash.digest_matrix_from_token_sets(chunk, settings.permutations, 1)
        index.insert_matrix_and_query_duplicate_flags(matrix, done)
        seconds, done = seconds + time.perf_counter() - began, done + len(chunk)
    return {"rows": rows, "rows_per_second": round(rows / seconds), "seconds": round(seconds, 2), "peak_mb": peak()}


def embedding(rows: int) -> dict[str, Any]:
    """Texts a second of the embedder, and of a bare session on the same token ids; turns alternate, the best counts."""
    from classifier import batches, model, onnx, weights
    from classifier.config import DEFAULT_ENCODER
    from classifier.embed import MAX_LENGTH, Embedder
    from classifier.networks import by_budget, padded

    texts = [example.text for example in examples(rows)]
    tokenizer, guard = model.build(weights.encoder_folder(DEFAULT_ENCODER), [], 0.0)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "model.onnx"
        onnx.write_full(guard.eval(), file)
        session, embedder = onnx.session(file), Embedder()

        def bare() -> None:
            ids = sorted(batches.encode(tokenizer, texts, MAX_LENGTH), key=len)
            for part in by_budget(ids):
                tokens, mask = padded(ids[part], 0)
                session.run(None, {"input_ids": tokens, "attention_mask": mask})

        rates: dict[str, list[float]] = {"ours": [], "onnxruntime": []}
        for _ in range(3):
            for name, work in (("ours", lambda: embedder.embed(texts)), ("onnxruntime", bare)):
                began = time.perf_counter()
                work()
                rates[name].append(rows / (time.perf_counter() - began))
    best = {name: round(max(found), 1) for name, found in rates.items()}
    return {"rows": rows, **best, "share": round(best["ours"] / best["onnxruntime"], 3), "peak_mb": peak()}


def peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


if __name__ == "__main__":
    main()
