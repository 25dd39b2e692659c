from __future__ import annotations

import csv
import json
import tarfile
import tempfile
import time
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from curation.models import Import, Project
from curation.operations import Refused, imports, intake, jobs, mappings
from pipeline.mapping import Mapping

HUB = "hf://datasets/"


class Command(BaseCommand):
    help = (
        "Import a file, an archive or a folder into a project; every row that cannot be taken is named with its line. "
        "What its columns mean is guessed; --mapping FILE says it, and --dry shows the guess and stores nothing."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "file",
            help=f"ends in {', '.join(intake.FORMATS)}, is a folder of such files, or {HUB}ORG/NAME on the hub",
        )
        parser.add_argument("--project", required=True, help="the project's slug")
        parser.add_argument("--purpose", choices=imports.PURPOSES, default="training")
        parser.add_argument("--mapping", type=Path, help="JSON as --dry prints it")
        parser.add_argument("--dry", action="store_true", help="say what would come of it, and store nothing")

    def handle(self, *, file: str, project: str, purpose: str, mapping: Path | None, dry: bool, **_: Any) -> None:
        home = Project.objects.filter(slug=project).first()
        if home is None:
            raise CommandError(f"There is no project {project!r}.")
        try:
            row = self._look(home, file, purpose)
            meant = self._mapping(row, mapping)
            if dry:
                self.stdout.write(json.dumps(meant.to_json(), indent=1, ensure_ascii=False))
            intake.go_on(row, None, meant, dry=dry)
        except OSError as error:
            raise CommandError(f"{error.filename or file} cannot be read: {error.strerror}.") from None
        except Refused as no:
            raise CommandError(str(no)) from None
        self._work(row)
        self._tell(row)

    def _look(self, home: Project, place: str, purpose: str) -> Import:
        if place.startswith(HUB):
            with tempfile.TemporaryDirectory() as scratch:
                row = self._look_at(home, _downloaded(place.removeprefix(HUB), Path(scratch)), purpose)
        else:
            row = self._look_at(home, Path(place), purpose)
        self._work(row)
        return row

    def _look_at(self, home: Project, file: Path, purpose: str) -> Import:
        if file.is_dir():
            with tempfile.TemporaryFile() as packed:
                _pack(file, packed)
                return intake.look(home, None, packed, f"{file.resolve().name}.tar", purpose)
        with file.open("rb") as handle:
            return intake.look(home, None, handle, file.name, purpose)

    def _mapping(self, row: Import, given: Path | None) -> Mapping:
        look = mappings.look_of(row)
        assert look is not None
        meant = mappings.proposed(row, look)[0] if given is None else Mapping.of(json.loads(given.read_text("utf-8")))
        if problems := mappings.problems(meant, look):
            raise CommandError(f"{' '.join(problems)} Columns: {', '.join(look.names)[:500] or 'none'}. Use --mapping.")
        return meant

    def _work(self, row: Import) -> None:
        """Do what was asked of the import here, or wait for a worker that was faster."""
        job = row.job
        assert job is not None
        while job.is_live:
            jobs.work(job.pk)
            job.refresh_from_db()
            if job.is_live:
                time.sleep(0.2)
        row.refresh_from_db()
        if job.state != job.State.DONE:
            raise CommandError(f"{job.error or f'The job is {job.state}.'} {job.remedy}".strip())

    def _tell(self, row: Import) -> None:
        report = intake.report_file(row)
        if report is not None:
            with report.open(newline="") as lines:
                for line, message in list(csv.reader(lines))[1:]:
                    self.stderr.write(f"{row.name}:{line}: {message}")
        names = {"added": "added", "duplicates": "duplicates", "refused": "refused", "left_out": "left out"}
        told = ", ".join(f"{row.report.get(key, 0)} {name}" for key, name in names.items())
        self.stdout.write(f"{row.report['rows']} rows: {told}")


def _downloaded(name: str, scratch: Path) -> Path:
    """The data files of a dataset on the hub; a token comes from the environment, as the hub's library wants it."""
    import httpx
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    files = [f"*{ending}" for ending in intake.FORMATS]
    try:
        folder = snapshot_download(name, repo_type="dataset", local_dir=scratch / Path(name).name, allow_patterns=files)
    except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, httpx.HTTPError) as error:
        raise CommandError(
            f"The dataset {name!r} cannot be had from the hub: {type(error).__name__}. "
            "Check its name, the network and HF_TOKEN, or download it elsewhere and give the folder."
        ) from None
    return Path(folder)


def _pack(folder: Path, target: Any) -> None:
    """The files of a folder as an archive, under their own places; links as what they point at."""
    with tarfile.open(fileobj=target, mode="w", dereference=True) as archive:
        for file in sorted(file for file in folder.rglob("*") if file.is_file()):
            archive.add(file, str(file.relative_to(folder)), recursive=False)
    target.seek(0)
