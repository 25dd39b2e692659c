"""What the serving program serves: a file that names the active guards, and the forms that it runs them in.

The file is written when a promotion commits, and again by the reconciler, so that a crash between the two costs
seconds. The serving program follows it and puts the new guard in the old one's place without dropping a request.
"""

from __future__ import annotations

import json
from typing import Any

from django.conf import settings
from django.db import transaction

from classifier.artifacts import publish as publish_folder
from classifier.runfolder import write_json
from curation.models import Guard, Job, Project
from curation.operations import evaluation
from curation.operations.jobs import Attempt, finish

SHADOW = "~shadow"  # no slug ends like this


def publish() -> bool:
    """Write which guards are served, where that changed; return whether it did."""
    wanted = {"models": _folders()}
    file = settings.GUARDS_FILE
    try:
        if json.loads(file.read_text(encoding="utf-8")) == wanted:
            return False
    except (OSError, ValueError):
        pass  # missing or broken: write it
    file.parent.mkdir(parents=True, exist_ok=True)
    write_json(file, wanted)
    return True


def _folders() -> dict[str, str]:
    """Folders by the name they are served under: a project's slug, and its shadow's."""
    found = {}
    for guard in Guard.objects.served().select_related("project").order_by("pk"):
        name = guard.project.slug if guard.state == Guard.State.ACTIVE else guard.project.slug + SHADOW
        found[name] = str(settings.ARTIFACTS_DIR / guard.serving_path)
    return found


def changed(project: Project) -> None:
    """Have the served guards exported and published, once the transaction that changed them commits."""
    if _unexported(project):
        Job.objects.enqueue(Job.Kind.EXPORT, project)
    transaction.on_commit(publish)


def _unexported(project: Project) -> list[Guard]:
    return list(project.guards.served().filter(export_path="").select_related("round__evaluation_set").order_by("pk"))


def export(attempt: Attempt) -> None:
    """Export the project's served guards that were not yet, each measured on the set that it was evaluated on."""
    project = attempt.job.project
    exported = {guard: _export(attempt, guard) for guard in _unexported(project)}
    with transaction.atomic():
        attempt.job.fence()
        for guard, changes in exported.items():
            Guard.objects.filter(pk=guard.pk).update(**changes)
        finish(attempt)
        changed(project)  # another may have been promoted meanwhile


def _export(attempt: Attempt, guard: Guard) -> dict[str, Any]:
    request = {"settings": {"model": str(settings.ARTIFACTS_DIR / guard.path)}}
    folder = attempt.run(["classifier", "export"], request, {"input.parquet": _rows(guard)}, f"guard-{guard.number}")
    attempt.check()
    report = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
    digest, path = publish_folder(folder / "model", settings.ARTIFACTS_DIR / "guards")
    home = str(path.relative_to(settings.ARTIFACTS_DIR))
    return {"export_digest": digest, "export_path": home, "export_report": report}


def _rows(guard: Guard) -> list[dict[str, Any]]:
    """Training rows to calibrate on, and the frozen rows to measure on."""
    training = guard.project.examples.trainable().order_by("pk")
    frozen = evaluation.read(guard.round.evaluation_set) if guard.round.evaluation_set else []
    columns = ("text", "label", "categories")
    found = [({name: row[name] for name in columns}, "train") for row in (example.to_row() for example in training)]
    found += [({name: row[name] for name in columns}, "evaluation") for row in frozen]
    return [{**row, "split": split} for row, split in found]
