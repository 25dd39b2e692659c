"""Peers: other guards on the very rows that a project's guards are measured on, by the same program.

Folders and addresses are an operator's matter. A form for them on the web would read any path of this machine and ask
any address of its network; so `manage.py measure_peer` is the only way in.
"""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.db import transaction

from classifier.peers import Spec, read_spec
from classifier.published import SOURCES, published
from classifier.runfolder import ProgramError, RunFolder
from curation import runner
from curation.models import AuditEntry, EvaluationSet, PeerEvaluation, Project
from curation.operations import Refused, evaluation

if TYPE_CHECKING:
    from django.contrib.auth.models import User


def measure(
    project: Project, spec: str, listen: runner.Listener, *, name: str = "", on: str = "", by: User | None = None
) -> PeerEvaluation:
    """Measure a peer on a frozen set, the newest where none is named; measured again, its figures are replaced.

    Raises:
        Refused: there is no such set, the spec names nothing that can be asked, or the program says why it stopped.
    """
    read, one = _read(spec), _set(project, on)
    metrics = _run(read, one, listen)
    with transaction.atomic():
        found = {"name": (name.strip() or read.name)[:120], "metrics": metrics, "measured_by": by}
        kept, _ = PeerEvaluation.objects.update_or_create(evaluation_set=one, spec=str(read), defaults=found)
        AuditEntry.objects.create(
            project=project, actor=by, action="peer-measured", subject=f"peer:{kept.pk}",
            detail={"name": kept.name, "asked": kept.asked, "set": one.name, "digest": one.digest, "rows": one.rows},
        )  # fmt: skip
    return kept


def _read(spec: str) -> Spec:
    try:
        read = read_spec(spec)
    except ProgramError as no:
        raise Refused(no.error, no.remedy) from None
    if len(str(read)) > 500:
        raise Refused("A peer should be named in 500 letters at most.", "Link its folder under a shorter path.")
    return read


def _set(project: Project, name: str) -> EvaluationSet:
    sets = list(project.evaluation_sets.order_by("-pk"))
    if not sets:
        raise Refused(f"{project.name} has no evaluation set yet.", "Start a round first: it freezes one.")
    found = next((one for one in sets if name in ("", one.name)), None)
    if found is None:
        raise Refused(f"There is no set {name!r}.", f"There is: {', '.join(one.name for one in sets)}.")
    return found


def _run(read: Spec, one: EvaluationSet, listen: runner.Listener) -> dict[str, Any]:
    """The figures that the program of the guards' own evaluation finds; its folder stays only where it failed."""
    rows, folder = evaluation.read(one), _folder(read, one)
    runner.end_leftover(folder)
    shutil.rmtree(folder, ignore_errors=True)
    runner.prepare(folder, {"settings": {"peer": str(read)}}, {"input.parquet": rows})
    try:
        runner.run(["classifier", "evaluate"], folder, on_line=listen, keep_going=lambda: True)
    except runner.ProgramFailed as no:
        raise Refused(no.error, no.remedy.replace("the run folder", str(folder))) from None
    except runner.ProgramKilled as death:
        raise Refused(str(death), "Nothing was stored. Measure again.") from None
    except KeyboardInterrupt:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    metrics = RunFolder(folder).metrics()
    shutil.rmtree(folder, ignore_errors=True)
    return metrics


def _folder(read: Spec, one: EvaluationSet) -> Path:
    digest = hashlib.sha256(str(read).encode()).hexdigest()[:12]
    return settings.ARTIFACTS_DIR / "runs" / f"peer-{one.pk}-{digest}"


# For the page


def elsewhere(project: Project, one: EvaluationSet | None) -> list[PeerEvaluation]:
    """Peers that were measured on other sets of the project alone: not comparable with what stands on this one."""
    measured = PeerEvaluation.objects.filter(evaluation_set__project=project).select_related("evaluation_set")
    here = {peer.spec for peer in measured if peer.evaluation_set_id == getattr(one, "pk", None)}
    return [peer for peer in measured if peer.spec not in here]


def published_on(one: EvaluationSet | None) -> list[dict[str, Any]]:
    """What others published about their guards on a public set of this name, the best first."""
    if one is None:
        return []
    rows = [{**row, "source": SOURCES[row["source"]], "f1": row["f1"][one.name]} for row in published([one.name])]
    return sorted(rows, key=lambda row: -row["f1"])
