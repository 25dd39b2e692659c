"""The program that sifts candidates: every filter has its say on each, and says why.

Rows have a role: `candidate`, `known` (decided already), `waiting` (there already, its label a proposal that teaches
nobody) or `evaluation` (what guards are measured with, which nothing may repeat, whatever the recipe says).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from classifier.obfuscation import read
from classifier.runfolder import ProgramError, Report, RunFolder, write_json
from pipeline.contamination import contaminated
from pipeline.context import Context
from pipeline.diversity import measured
from pipeline.filters import filters
from pipeline.records import Example, Finding
from pipeline.registry import UnknownStage


def filter_examples(run: RunFolder, report: Report) -> None:
    """The program: candidates and known examples -> findings, embeddings, figures per filter."""
    settings = run.request().get("settings", {})
    stages = _stages(settings)
    rows = run.rows()
    candidates = [Example.from_row(row) for row in rows if row["role"] == "candidate"]
    known = [Example.from_row(row) for row in rows if row["role"] in ("known", "waiting")]
    waiting = frozenset(str(row["id"]) for row in rows if row["role"] == "waiting")
    evaluation = [Example.from_row(row) for row in rows if row["role"] == "evaluation"]
    if not candidates:
        raise ProgramError("There is no candidate to filter.", "Generate some first.")
    embeddings = _embed(candidates, [*known, *evaluation], report)
    context = Context(
        int(settings.get("seed", 0)), tuple(settings.get("languages") or ("en",)), known, embeddings, report,
        waiting=waiting, policy=str(settings.get("policy") or ""), folder=run.path,
    )  # fmt: skip
    findings = _heard(context, contaminated(candidates, evaluation, embeddings))
    for number, (key, stage) in enumerate(stages):
        report(number, len(stages), f"Filter {key}")
        findings += _heard(context, stage(candidates, context))
    ids = [example.id for example in (*candidates, *known, *evaluation)]
    kept = [example for example in candidates if example.id not in context.dropped]
    figures = {"spent": context.spent, "diversity": _diversity(kept, candidates, embeddings)}
    _deliver(run, findings, ids, embeddings, figures)
    report(len(stages), len(stages), "Filtered")


def _heard(context: Context, findings: Iterable[Finding]) -> list[Finding]:
    """The findings of one filter; the next one is told whom it advised against."""
    found = list(findings)
    context.dropped.update(finding.example_id for finding in found if not finding.keep)
    return found


def _diversity(
    kept: Sequence[Example], candidates: Sequence[Example], embeddings: Mapping[str, Any]
) -> dict[str, dict[str, float]]:
    """How different what was kept is, beside what was written."""
    return {
        name: measured([example.text for example in some], np.stack([embeddings[example.id] for example in some]))
        for name, some in (("kept", kept), ("written", candidates))
        if some
    }


def _stages(settings: Mapping[str, Any]) -> list[tuple[str, Any]]:
    try:
        return [
            (entry["key"], filters.make(entry["key"], entry.get("settings"))) for entry in settings.get("filters", ())
        ]
    except (UnknownStage, ValueError) as error:
        raise ProgramError(str(error), "Correct the recipe.") from None


def _embed(candidates: Sequence[Example], known: Sequence[Example], report: Report) -> dict[str, Any]:
    """Unit vectors by id, and those of parents by `parent:<id of the child>`."""
    from classifier.embed import Embedder

    texts = {example.id: read(example.text).text for example in candidates}  # what a disguise hides is what it means
    texts |= {example.id: example.text for example in known}
    known_texts = {example.id: example.text for example in known}
    for example in candidates:
        parent = example.parent_text or known_texts.get(example.parent_id or "")
        if parent:
            texts[f"parent:{example.id}"] = parent
    different = list(dict.fromkeys(texts.values()))  # a parent of many is embedded once
    vectors = Embedder().embed(different, lambda done, total: report(done, total, "Embedding"))
    by_text = dict(zip(different, vectors, strict=True))
    return {name: by_text[text] for name, text in texts.items()}


def _deliver(
    run: RunFolder, findings: Sequence[Finding], ids: Sequence[str], embeddings: Mapping[str, Any],
    figures: Mapping[str, Any],
) -> None:  # fmt: skip
    counts: dict[str, dict[str, int]] = {}
    for finding in findings:
        entry = counts.setdefault(finding.filter, {"seen": 0, "kept": 0})
        entry["seen"] += 1
        entry["kept"] += finding.keep
    run.write_rows([{"id": name, "vector": embeddings[name].tolist()} for name in ids], "embeddings.parquet")
    write_json(run / "metrics.json", {"filters": counts, **figures})
    run.write_rows(
        [
            {
                "example_id": finding.example_id, "filter": finding.filter, "keep": finding.keep,
                "score": finding.score, "reason": finding.reason,
            }
            for finding in findings
        ]
    )  # fmt: skip
