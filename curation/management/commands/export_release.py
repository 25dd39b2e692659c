from __future__ import annotations

import json
from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from curation.models import Project
from curation.operations import Refused, jobs, releases


class Command(BaseCommand):
    help = "Freeze what is accepted in a project as a release: JSONL, Parquet and a dataset card."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--project", required=True, help="the project's slug")

    def handle(self, *, project: str, **_: Any) -> None:
        home = Project.objects.filter(slug=project).first()
        if home is None:
            raise CommandError(f"There is no project {project!r}.")
        try:
            release = releases.start(home, None)
        except Refused as no:
            raise CommandError(str(no)) from None
        job = release.jobs.get()
        jobs.work(job.pk)
        job.refresh_from_db()
        release.refresh_from_db()
        if not release.is_ready:
            raise CommandError(f"{job.error or 'A worker has taken it; see the releases page.'} {job.remedy}".strip())
        folder = settings.ARTIFACTS_DIR / release.path
        self.stdout.write(json.dumps({"folder": str(folder), "digest": release.digest, "files": release.files}))
