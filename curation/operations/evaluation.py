"""Frozen evaluation sets: held-out families, written once, named by their content."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from django.conf import settings

from classifier.published import SETS
from classifier.runfolder import RunFolder, digest_rows
from curation.models import EvaluationSet, Example, Project
from curation.models.example import Label, Split
from curation.operations import Refused

HELD_OUT = 0.2  # share of the seed families, where a project brought no evaluation file of its own


def freeze(project: Project) -> EvaluationSet:
    """Freeze the project's held-out rows as they are now; the same rows give the same set.

    Raises:
        Refused: the held-out rows do not hold both labels.
    """
    rows = _rows(project)
    if not rows:
        hold_out(project)
        rows = _rows(project)
    unsafe = sum(row["label"] == Label.UNSAFE for row in rows)
    if not 0 < unsafe < len(rows):
        raise Refused(
            f"The held-out set needs safe and unsafe examples, found {len(rows) - unsafe} safe and {unsafe} unsafe.",
            "Import an evaluation file with both labels, or more seeds.",
        )
    digest = digest_rows(rows)
    found = EvaluationSet.objects.filter(project=project, digest=digest).first()
    return found or _write(project, rows, digest, unsafe)


def _rows(project: Project) -> list[dict[str, Any]]:
    held_out = project.examples.decided().filter(split=Split.EVALUATION).order_by("pk")
    return [example.to_row() for example in held_out]


def _write(project: Project, rows: list[dict[str, Any]], digest: str, unsafe: int) -> EvaluationSet:
    path = Path("evaluation") / f"{digest}.parquet"
    RunFolder(settings.ARTIFACTS_DIR / path.parent).write_rows(rows, path.name)
    name = _public_name(project) or f"Held-out set {project.evaluation_sets.count() + 1}"
    return EvaluationSet.objects.create(
        project=project, name=name, digest=digest, path=str(path), rows=len(rows), unsafe=unsafe
    )


def _public_name(project: Project) -> str:
    """The name of a public set of which others published figures, where all rows are of its file, and for once."""
    held_out = project.examples.decided().filter(split=Split.EVALUATION)
    files = list(held_out.order_by().values_list("source__name", flat=True).distinct()[:2])
    name = (files[0] or "").partition(".")[0] if len(files) == 1 else ""
    return name if name in SETS and not project.evaluation_sets.filter(name=name).exists() else ""


def read(evaluation_set: EvaluationSet) -> list[dict[str, Any]]:
    """The rows of a frozen set.

    Raises:
        Refused: the file is gone or does not hold what was frozen.
    """
    file = settings.ARTIFACTS_DIR / evaluation_set.path
    rows = RunFolder(file.parent).rows(file.name) if file.exists() else []
    if digest_rows(rows) != evaluation_set.digest:
        raise Refused(
            f"{evaluation_set.name} is not what was frozen: its file is missing or changed.",
            "Restore the artifact folder from a backup.",
        )
    return rows


def hold_out(project: Project) -> int:
    """Set whole seed families aside for evaluation, chosen by hash so that it is not a matter of luck or order."""
    families = project.examples.filter(origin__in=["seed", "human"]).values_list("family", flat=True).distinct()
    ranked = sorted(families, key=lambda family: hashlib.sha256(f"held-out:{family}".encode()).hexdigest())
    chosen = ranked[: round(len(ranked) * HELD_OUT)]
    return Example.objects.filter(project=project, family__in=chosen).update(split=Split.EVALUATION)
