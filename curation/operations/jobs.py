"""Running jobs: claim, beat, finish; and looking after those that nobody finishes."""

from __future__ import annotations

import logging
import os
import socket
import threading
import time
from collections.abc import Callable, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.cache import cache
from django.db import connection, transaction
from django.db.models import F

from classifier.runfolder import RunFolder
from curation import runner
from curation.models import Job
from curation.models.job import Fenced
from curation.operations import Refused

logger = logging.getLogger(__name__)

HISTORY_POINTS = 200  # a curve on a page needs no more
WORKER_KEY = "worker-alive"
Listener = Callable[[Job], None]


class Stopped(Exception):
    """A person cancelled the job."""


class Attempt:
    """One attempt at a job: beats in the background, passes progress on, and knows when to stop."""

    def __init__(self, job: Job, listener: Listener | None = None) -> None:
        self.job = job
        self._listener = listener
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._beat, name=f"heartbeat-{job.pk}", daemon=True)
        self._written = 0.0
        self.cancelled = False
        self.fenced = False

    def __enter__(self) -> Attempt:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _beat(self) -> None:
        try:
            while not self._over.wait(settings.JOB_HEARTBEAT_SECONDS):
                self._beat_once()
        finally:
            connection.close()  # this thread's own

    def _beat_once(self) -> None:
        try:
            job = self.job
            seen = {"done": job.done, "total": job.total, "message": job.message}
            self.cancelled = job.beat(**seen) or self.cancelled
        except Fenced:
            self.fenced = True
        except Exception as error:  # the database is away: the heartbeat goes stale, which is the truth
            logger.warning("No heartbeat for %s: %s", self.job, type(error).__name__)

    @property
    def folder(self) -> Path:
        """The run folder of the job, shared by its attempts."""
        return settings.ARTIFACTS_DIR / "runs" / str(self.job.pk)

    def keep_going(self) -> bool:
        """Whether this attempt still has the job, and the job is still wanted."""
        return not (self.cancelled or self.fenced)

    def check(self) -> None:
        """Stop the work where it is no longer wanted.

        Raises:
            Stopped: a person cancelled.
            Fenced: another attempt took over.
        """
        if self.cancelled:
            raise Stopped
        if self.fenced:
            raise Fenced(f"{self.job}: attempt {self.job.attempt} is over")

    def report(self, done: int, total: int, message: str = "", metrics: Mapping[str, Any] | None = None, /) -> None:
        """Write progress to the job's row, at most once a second and at the end."""
        job, now = self.job, time.monotonic()
        job.done, job.total, job.message = done, total, message[:200] or job.message
        if metrics:
            job.metrics = {**job.metrics, **metrics}
            job.history = thinned([*job.history, {"at": done, **metrics}])
        if self._listener:
            self._listener(job)
        if connection.in_atomic_block:
            return  # it would lock the row until the commit; the heartbeat, with a connection of its own, shows it
        if now - self._written < 1 and done < total:
            return
        self._written = now
        self.cancelled = (
            job.beat(done=done, total=total, message=job.message, metrics=job.metrics, history=job.history)
            or self.cancelled
        )

    def run(
        self,
        program: list[str],
        request: Mapping[str, Any],
        files: Mapping[str, list[dict[str, Any]]],
        part: str = "",
        look: Callable[[RunFolder], None] | None = None,
    ) -> RunFolder:
        """Run a program on the job's folder, or a part of it; what an earlier attempt finished is not done again.

        `look` is called after each line of progress, to see what the program wrote so far.
        """
        folder = RunFolder(self.folder / part)
        runner.prepare(folder.path, request, files)

        def hear(line: Mapping[str, Any]) -> None:
            self._hear(line)
            if look is not None:
                look(folder)

        try:
            runner.run(program, folder.path, on_line=hear, keep_going=self.keep_going)
        except runner.Interrupted:
            self.check()
            raise
        return folder

    def _hear(self, line: Mapping[str, Any]) -> None:
        if "total" in line:
            self.report(int(line["done"]), int(line["total"]), str(line.get("message", "")), line.get("metrics"))


def thinned(points: list[Any]) -> list[Any]:
    """Drop every second point once there are too many: the curve keeps its shape."""
    return points if len(points) <= HISTORY_POINTS else points[::2]


def this_worker() -> str:
    """How this process signs the jobs it takes."""
    return f"{socket.gethostname()}:{os.getpid()}"


def work(job_id: int, listener: Listener | None = None) -> Job | None:
    """Claim a job and do it; return None where there was nothing to claim."""
    from curation.operations import stages, webhooks

    job = Job.objects.claim(job_id, this_worker())
    if job is None:
        return None
    try:
        with Attempt(job, listener) as attempt:
            _attempt(attempt, stages.WORK[Job.Kind(job.kind)])
    except Fenced:
        logger.warning("%s: attempt %s was overtaken and changed nothing", job, job.attempt)
    else:
        webhooks.tell_failure(job)
    job.refresh_from_db()
    return job


def _attempt(attempt: Attempt, stage: Callable[[Attempt], None]) -> None:
    """Do the work of one attempt and record how it ended. `stage` stores its results and ends the job itself."""
    job = attempt.job
    try:
        stage(attempt)
    except Stopped:
        job.finish(job.stopped_as)
    except Refused as no:
        job.finish(Job.State.FAILED, error=no.message, remedy=no.remedy)
    except runner.ProgramFailed as failure:
        job.finish(Job.State.FAILED, error=failure.error, remedy=failure.remedy)
    except runner.ProgramKilled as death:
        job.again(str(death))
    except Fenced:
        if Job.objects.filter(pk=job.pk, cancel_requested=True).exists():
            job.finish(job.stopped_as)
        else:
            raise
    except OSError as error:
        job.finish(Job.State.FAILED, error=f"The storage answered: {error.strerror or error}.", remedy=DISK)
    except Exception as error:
        # The message of an unknown exception may quote an example, so only its kind is kept.
        logger.exception("%s failed", job, exc_info=(type(error), type(error)("…"), error.__traceback__))
        job.again(f"{type(error).__name__} while working on it.")


DISK = "Check free disk space and permissions of the artifact folder, then press Retry."


def finish(attempt: Attempt) -> None:
    """End the job as done, inside the transaction that stores its results."""
    attempt.job.finish(Job.State.DONE)


def cancel(job: Job, *, by: Any = None) -> None:
    """Cancel a job: at once where it waits, at its next heartbeat where it runs."""
    with transaction.atomic():
        Job.objects.filter(pk=job.pk).live().update(cancel_requested=True)
        _stop(job, Job.State.CANCELLED, by, Job.State.QUEUED, Job.State.PAUSED)


def _stop(job: Job, new: str, by: Any, *waiting: str) -> None:
    """End a job at once where nobody works on it."""
    for old in waiting:
        if Job.objects.filter(pk=job.pk, state=old).update(state=new):
            job.record(old, new, by=by)
            return


def pause(job: Job, *, by: Any = None) -> None:
    """Stop a job of a paused round: at once where it waits, at its next heartbeat where it runs."""
    with transaction.atomic():
        Job.objects.filter(pk=job.pk).live().update(cancel_requested=True)
        _stop(job, Job.State.PAUSED, by, Job.State.QUEUED)


def resume(job: Job, away: timedelta, *, by: Any = None) -> None:
    """Queue a paused job again, or take the request to stop back; `away` is no time of its work."""
    with transaction.atomic():
        Job.objects.filter(pk=job.pk).update(cancel_requested=False)
        changed = Job.objects.filter(pk=job.pk, state=Job.State.PAUSED).update(
            state=Job.State.QUEUED, tries=0, ended_at=None, started_at=F("started_at") + away,
            message="Waiting for a worker",
        )  # fmt: skip
        if changed:
            job.record(Job.State.PAUSED, Job.State.QUEUED, "resumed", by=by)
            transaction.on_commit(job.ring)


def retry(job: Job, *, by: Any = None) -> None:
    """Put a failed or dead job back into its queue; what it finished is kept.

    Raises:
        Refused: it did not fail, or somebody was faster.
    """
    with transaction.atomic():
        old = job.state
        changed = Job.objects.filter(pk=job.pk, state=old, state__in=[Job.State.FAILED, Job.State.DEAD]).update(
            state=Job.State.QUEUED, tries=0, error="", remedy="", cancel_requested=False, message="Waiting for a worker"
        )
        if not changed:
            raise Refused(f"Only a failed job can be retried; this one is {job.state}.", "Load the page again.")
        job.record(old, Job.State.QUEUED, "retry", by=by)
        transaction.on_commit(job.ring)


def reconcile() -> dict[str, int]:
    """Re-queue jobs whose worker died, and ring again for those that nobody heard of. Return how many of each."""
    silent = list(Job.objects.silent())
    for job in silent:
        _bury_or_requeue(job)
    unheard = list(Job.objects.unheard())
    for job in unheard:
        job.ring()
    return {"silent": len(silent), "unheard": len(unheard)}


def _bury_or_requeue(job: Job) -> None:
    from curation.operations import webhooks

    try:
        if job.cancel_requested:
            job.finish(job.stopped_as)
        else:
            job.again(f"The worker {job.worker} went silent.")
            webhooks.tell_failure(job)
    except Fenced:
        logger.info("%s came back by itself", job)


def worker_beat() -> None:
    """Note that a worker is alive; called by its heartbeat."""
    cache.set(WORKER_KEY, time.time(), timeout=settings.JOB_DEAD_AFTER_SECONDS)


def workers_alive() -> bool:
    """Whether any worker showed itself lately; without one, pages say so instead of spinning for ever."""
    try:
        return cache.get(WORKER_KEY) is not None
    except Exception:  # Redis is away, and with it the bell
        return False
