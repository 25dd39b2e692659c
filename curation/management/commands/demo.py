from __future__ import annotations

import time
from typing import Any

from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError
from django.db import connection

from curation import supervisor
from curation.models import Job, Project, Round
from curation.operations import Refused, demo

POLL = 1.0  # seconds


class Command(BaseCommand):
    help = "Run everything with a demo project: a guard trained on the seeds, and a first round waiting in review."

    def handle(self, **_: Any) -> None:
        call_command("migrate", verbosity=0)
        self.passwords: dict[str, str] = {}
        self.project = demo.make(self.passwords)
        self._show_people()
        try:
            supervisor.run(self._prepare)
        except supervisor.Busy as error:
            raise CommandError(str(error)) from None

    def _show_people(self) -> None:
        for name, password in self.passwords.items():
            role = self.project.memberships.get(user__username=name).role
            self.stdout.write(f"New person {name} ({role}), password {password}   shown this once")

    def _prepare(self, running: supervisor.Supervisor) -> None:
        """Train round 0, then bring round 1 into review; a failed job is left for the Retry button."""
        start = time.monotonic()
        try:
            while not running.is_stopping:
                round = self._next(self.project)
                self._follow(round, running)
                if round.number >= 1 or round.state != Round.State.CLOSED:
                    break
        except Refused as no:
            running.say("demo", str(no))
        finally:
            connection.close()  # this thread's own
        if not running.is_stopping:
            self._ready(running, time.monotonic() - start)

    def _next(self, project: Project) -> Round:
        # A demo that was closed by hand is not started over.
        later = project.rounds.filter(number__gte=1).exclude(state=Round.State.DRAFT).last()
        return later or demo.next_step(project)

    def _follow(self, round: Round, running: supervisor.Supervisor) -> None:
        said = ""
        while not running.is_stopping:
            round.refresh_from_db()
            job = round.current_job
            if job is None or not round.is_open or not job.is_live:
                break
            if (line := self._line(round, job)) != said:
                said = line
                running.say("demo", line)
            time.sleep(POLL)
        if (job := round.current_job) and job.has_failed:
            running.say("demo", f"The {job.kind} job failed. {job.error} {job.remedy}")

    def _line(self, round: Round, job: Job) -> str:
        share = f" {job.done}/{job.total}" if job.total else ""
        return f"{round}, {job.kind}{share} {job.message}".rstrip()

    def _ready(self, running: supervisor.Supervisor, seconds: float) -> None:
        waiting = self.project.examples.filter(state="queued").count()
        running.say(
            "demo", f"Ready after {seconds:.0f} s: {supervisor.address()}, {waiting} candidates wait in review."
        )
        names = ", ".join(name for name, _ in demo.PEOPLE)
        running.say("demo", f"Sign in as one of {names}. Passwords were shown when they were made;")
        running.say("demo", "a new one is set with: .venv/bin/python manage.py changepassword NAME. Ctrl-C stops.")
        for name, password in self.passwords.items():
            running.say("demo", f"{name}: {password}")
