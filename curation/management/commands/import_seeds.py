from __future__ import annotations

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from curation.models import Project
from curation.operations import Refused, imports


class Command(BaseCommand):
    help = "Import a JSONL or CSV file of seeds into a project; every row that cannot be taken is named with its line."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", type=Path, help="ends in .jsonl or .csv; columns text, label, categories, pair")
        parser.add_argument("--project", required=True, help="the project's slug")
        parser.add_argument("--purpose", choices=imports.PURPOSES, default="training")

    def handle(self, *, file: Path, project: str, purpose: str, **_: Any) -> None:
        home = Project.objects.filter(slug=project).first()
        if home is None:
            raise CommandError(f"There is no project {project!r}.")
        try:
            with file.open("rb") as handle:
                report = imports.seeds(home, None, handle, file.name, purpose)
        except OSError as error:
            raise CommandError(f"{file} cannot be read: {error.strerror}.") from None
        except Refused as no:
            raise CommandError(str(no)) from None
        for row in report.errors:
            self.stderr.write(f"{file.name}:{row.line}: {row.message}")
        self.stdout.write(
            f"{report.rows} rows: {report.added} added, {report.duplicates} duplicates, {report.refused} refused"
        )
