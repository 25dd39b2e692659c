from __future__ import annotations

import json
import sys
import time
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from tqdm import tqdm

from curation.models import Job, Project, Round
from curation.operations import Refused, demo, jobs, recipes, releases, rounds, summary

POLL = 0.5  # seconds between looks at a job that another process does


class Bar:
    """A progress bar per job, on standard error; standard output is for the JSON object."""

    def __init__(self) -> None:
        self._job: int | None = None
        self._bar: tqdm[Any] | None = None

    def show(self, job: Job) -> None:
        if job.pk != self._job:
            self.close()
            self._job = job.pk
            self._bar = tqdm(total=job.total or None, desc=job.kind, file=sys.stderr, mininterval=0.5)
        assert self._bar is not None
        self._bar.total = job.total or None
        self._bar.set_postfix_str(job.message, refresh=False)
        self._bar.n = job.done
        self._bar.refresh()

    def close(self) -> None:
        if self._bar is not None:
            self._bar.close()
        self._bar = self._job = None


class Command(BaseCommand):
    help = (
        "Go once round the loop in this shell and print one JSON object. Takes up the round that is open, or starts "
        "the next one; stopped at any point, it goes on from there when called again."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--project", required=True, help="slug; the demo project is made where it is missing")
        parser.add_argument(
            "--review", choices=Round.Review.values, default=Round.Review.PEOPLE,
            help="auto accepts what filters and judge agree on and marks those verdicts as machine-made; people stops "
            "when the candidates wait in review",
        )  # fmt: skip
        parser.add_argument("--recipe", type=Path, help="a YAML or JSON file; the default recipe without it")
        parser.add_argument(
            "--rounds", type=int, default=1, dest="turns",
            help="go round so often at most, with --review auto; ends earlier once a round no longer pays",
        )  # fmt: skip
        parser.add_argument("--no-release", action="store_true", help="do not export the dataset at the end")

    def handle(self, *, project: str, review: str, recipe: Path | None, no_release: bool, turns: int, **_: Any) -> None:
        if turns < 1 or (turns > 1 and review != Round.Review.AUTO):
            raise CommandError(f"--rounds is 1 or more, and more than 1 only with --review auto; found {turns}.")
        self.bar = Bar()
        try:
            home = self._project(project)
            round = self._go(self._round(home, review, recipe))
            while (turns := turns - 1) and not summary.stop(round):
                round = self._go(self._round(home, review, recipe))
            released = None if no_release or round.state != Round.State.CLOSED else self._release(round)
        except Refused as no:
            raise CommandError(str(no)) from None
        finally:
            self.bar.close()
        self.stdout.write(json.dumps({**summary.of_round(round), "release": released}))

    def _project(self, slug: str) -> Project:
        if slug == demo.SLUG:
            passwords: dict[str, str] = {}
            project = demo.make(passwords)
            for name, password in passwords.items():
                self.stderr.write(f"New person {name}, password {password} (shown this once)")
            return project
        found = Project.objects.filter(slug=slug).first()
        if found is None:
            raise CommandError(f"There is no project {slug!r}. There are: {', '.join(self._slugs()) or 'none'}.")
        return found

    def _slugs(self) -> list[str]:
        return list(Project.objects.values_list("slug", flat=True))

    def _round(self, project: Project, review: str, recipe: Path | None) -> Round:
        if project.slug == demo.SLUG and not project.guards.exists():
            self._go(demo.next_step(project))  # round 0: the guard that the round is measured against
        round = project.rounds.open().first()
        if round is None:
            body = self._read(recipe) if recipe else self._recipe(project)
            round = rounds.start(project, None, body, review=review)
        elif review == Round.Review.AUTO:
            rounds.review_by_machine(round)
        return round

    def _read(self, file: Path) -> dict[str, Any]:
        try:
            return recipes.from_yaml(file.read_bytes())
        except OSError as error:
            raise CommandError(f"{file} cannot be read: {error.strerror}. Give a YAML or JSON file.") from None

    def _recipe(self, project: Project) -> dict[str, Any] | None:
        return demo.recipe() if project.slug == demo.SLUG else None

    def _go(self, round: Round) -> Round:
        """Do the round's jobs, or watch the workers do them, until it ends or waits for people; return it."""
        if round.paused_at:
            rounds.resume(round, None)
        if (job := round.current_job) and job.has_failed:
            rounds.retry(round, None)  # calling again is the shell's retry button
        while (job := self._next_job(round)) is not None:
            self._do_or_watch(job)
        return round

    def _next_job(self, round: Round) -> Job | None:
        round.refresh_from_db()
        job = round.current_job
        if job is not None and job.has_failed:
            self._give_up(job)
        return job if round.is_open and job is not None and job.is_live else None

    def _give_up(self, job: Job) -> None:
        raise CommandError(f"The {job.kind} job failed. {job.error} {job.remedy} Call again to go on from here.")

    def _do_or_watch(self, job: Job) -> None:
        if jobs.work(job.pk, self.bar.show) is None:
            jobs.reconcile()
            job.refresh_from_db()
            self.bar.show(job)
            time.sleep(POLL)

    def _release(self, round: Round) -> dict[str, Any]:
        release = releases.start(round.project, None, round)
        job = release.jobs.get()
        while job.is_live:
            self._do_or_watch(job)
            job.refresh_from_db()
        if job.state != Job.State.DONE:
            self._give_up(job)
        release.refresh_from_db()
        return {
            "number": release.number,
            "digest": release.digest,
            "rows": release.counts["rows"],
            "files": release.files,
        }
