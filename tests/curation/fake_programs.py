"""Programs that speak the run-folder protocol without any model: they write plausible results at once."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from classifier.artifacts import write_manifest
from classifier.runfolder import RunFolder, write_json
from pipeline.adversary.contrast import contrast
from pipeline.records import Draft


class FakePrograms:
    """Stands in for `curation.runner.run`. `fail[name]` is raised once in place of a result."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.fail: dict[str, list[BaseException]] = {}
        self.average_precision = 0.7
        self.gain = 0.01  # of each guard that is measured
        self.attempts = 100  # of the adversary, three of them finds
        self.torn = False  # the guard, about every contrast pair
        self.written: dict[str, Any] = {}  # more figures of `generate`
        self.hunted: dict[str, Any] = {}  # more figures of `adversary`
        self.sifted: dict[str, Any] = {}  # figures of `filter`
        self.scores: dict[str, float] = {}  # of every row of a label
        self.look: Callable[[RunFolder], object] = lambda run: None  # at a folder before it is worked on

    def __call__(self, program: list[str], folder: Path, *, on_line: Any, keep_going: Any) -> None:
        name = program[1]
        self.calls.append(name)
        if self.fail.get(name):
            raise self.fail[name].pop(0)
        on_line({"done": 1, "total": 2, "message": f"{name} at work", "metrics": {"loss": 0.5}})
        self.look(RunFolder(folder))
        getattr(self, name)(RunFolder(folder))
        on_line({"done": 2, "total": 2, "message": "done", "metrics": {}})

    def generate(self, run: RunFolder) -> None:
        seeds = run.rows()
        run.write_rows([_draft(seed, f"{seed['text']} once more", "augmented") for seed in seeds])
        write_json(run / "metrics.json", {"made": len(seeds), **self.written})

    def filter(self, run: RunFolder) -> None:
        rows = run.rows()
        candidates = [row for row in rows if row["role"] == "candidate"]
        findings = []
        for at, row in enumerate(candidates):
            findings.append(_finding(row, "length", at % 4 != 0, None))
            findings.append(_finding(row, "label-judge", True, 0.9 if at % 3 else None))
        run.write_rows([{"id": row["id"], "vector": [0.1] * 384} for row in rows], "embeddings.parquet")
        write_json(run / "metrics.json", self.sifted)
        run.write_rows(findings)

    def train(self, run: RunFolder) -> None:
        (run / "model").mkdir(exist_ok=True)
        (run / "model" / "guard.json").write_text(json.dumps({"rows": len(run.rows()), "folder": run.path.name}))
        write_manifest(run / "model")
        write_json(run / "metrics.json", {"base_digest": "b" * 64, "validation": {}})

    def evaluate(self, run: RunFolder) -> None:
        rows = run.rows()
        self.average_precision += self.gain
        figures = {"average_precision": self.average_precision, "f1": 0.6, "n": len(rows), "threshold": 0.5}
        write_json(run / "metrics.json", figures)
        scores = self.scores or {}
        run.write_rows(
            [
                {"id": row["id"], "unsafe": scores.get(row["label"], 0.9 if row["label"] == "unsafe" else 0.1)}
                for row in rows
            ]
        )

    def export(self, run: RunFolder) -> None:
        (run / "model").mkdir(exist_ok=True)
        (run / "model" / "guard.json").write_text(json.dumps(run.request()["settings"]))
        digest = write_manifest(run / "model")
        write_json(run / "metrics.json", {"backend": "onnx-dynamic", "digest": digest, "forms": {}})

    def score(self, run: RunFolder) -> None:
        run.write_rows([{"id": row["id"], "unsafe": 0.5, "categories": {"fraud": 0.5}} for row in run.rows()])

    def embed(self, run: RunFolder) -> None:
        run.write_rows([{"id": row["id"], "vector": [0.2] * 384} for row in run.rows()])

    def adversary(self, run: RunFolder) -> None:
        seeds = [row for row in run.rows() if row["role"] == "seed"][:3]
        settings, known = run.request()["settings"], [row["text"] for row in run.rows()]
        sure = settings if self.torn else {**settings, "pairs": 0}
        pairs, tried = contrast(sure, known, lambda texts: [0.5001] * len(texts), 0.5)
        finds = [_draft(seed, f"{seed['text']} in disguise", "adversarial") for seed in seeds]
        run.write_rows([*finds, *(pair.to_row() for pair in pairs)])
        figures = {"finds": len(seeds), "attempts": self.attempts, "pairs": tried}
        write_json(run / "metrics.json", {**figures, **self.hunted})


def _draft(seed: dict[str, Any], text: str, origin: Any) -> dict[str, Any]:
    return Draft(
        text=text, label=seed["label"], categories=tuple(seed["categories"]), parent_id=seed["id"],
        family=seed["family"], origin=origin, stage="fake", settings={"copies": 1}, model="fake",
        scores={"reward": 0.4},
    ).to_row()  # fmt: skip


def _finding(row: dict[str, Any], name: str, keep: bool, score: float | None) -> dict[str, Any]:
    return {
        "example_id": row["id"],
        "filter": name,
        "keep": keep,
        "score": score,
        "reason": "" if keep else "too short",
    }
