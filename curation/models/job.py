"""Jobs: PostgreSQL is the truth, a message only rings the bell.

A job is claimed by an UPDATE that counts its attempts up; every later write names that attempt, so that a worker that
was thought dead and comes back changes nothing.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.contrib.auth.models import User
from django.db import models, transaction
from django.db.models import Exists, F, Q
from django.db.models.functions import Coalesce, Now

from curation.models.audit import Move
from curation.models.project import Project
from curation.models.round import Round
from curation.models.states import Stateful, StatefulQuerySet

if TYPE_CHECKING:
    from curation.models.imported import Import
    from curation.models.plan import Plan
    from curation.models.release import Release

MAX_ATTEMPTS = 3
PATIENCE = timedelta(minutes=15)  # that patient work gives way for; after that it takes its turn
RETRY = "Look at the log in the run folder, then press Retry: finished work is kept."


class Fenced(Exception):
    """This attempt is not the job's current one any more: somebody else goes on, or the job was cancelled."""


class JobQuerySet(StatefulQuerySet["Job"]):
    def live(self) -> JobQuerySet:
        """Queued or running."""
        return self.filter(state__in=Job.LIVE)

    def silent(self) -> JobQuerySet:
        """Running by name, but without a heartbeat for too long, by the database's clock."""
        limit = timedelta(seconds=settings.JOB_DEAD_AFTER_SECONDS)
        return self.filter(state=Job.State.RUNNING, heartbeat_at__lt=Now() - limit)

    def unheard(self) -> JobQuerySet:
        """Queued, and nobody came although the bell was rung a while ago."""
        limit = timedelta(seconds=settings.JOB_RERING_SECONDS)
        return self.filter(state=Job.State.QUEUED, rung_at__lt=Now() - limit)

    def enqueue(
        self,
        kind: str,
        project: Project,
        *,
        round: Round | None = None,
        release: Release | None = None,
        source: Import | None = None,
        plan: Plan | None = None,
        by: User | None = None,
    ) -> Job:
        """Insert a job in the transaction that wants the work, and ring the bell when that commits.

        A live job of the same kind and subject is returned instead of a second one. What is patient is left for the
        reconciler to ring: work that a person waits for, begun in the same moment, comes first.
        """
        subject = round.subject if round else f"release:{release.pk}" if release else f"project:{project.pk}"
        subject = source.subject if source else subject
        subject = plan.subject if plan else subject
        job, created = self.get_or_create(
            dedupe_key=f"{kind}:{subject}",
            state__in=Job.LIVE,
            defaults={
                "kind": kind, "project": project, "round": round, "release": release, "source": source,
                "plan": plan, "created_by": by, "state": Job.State.QUEUED,
            },
        )  # fmt: skip
        if created and kind not in Job.PATIENT:
            transaction.on_commit(job.ring)
        return job

    def _gives_way(self) -> Q:
        """Patient, not here for long, and something else waits for the same workers; the reconciler rings again."""
        others = Job.objects.filter(state=Job.State.QUEUED, kind__in=Job.COMPUTE).exclude(kind__in=Job.PATIENT)
        return Q(Exists(others), kind__in=Job.PATIENT, created_at__gt=Now() - PATIENCE)

    def claim(self, pk: int, worker: str) -> Job | None:
        """Take a queued job, counting the attempt, or return None: delivered twice, cancelled, taken, or patient."""
        with transaction.atomic():
            taken = self.filter(pk=pk, state=Job.State.QUEUED).exclude(self._gives_way()).update(
                state=Job.State.RUNNING, attempt=F("attempt") + 1, tries=F("tries") + 1, worker=worker,
                heartbeat_at=Now(), ended_at=None, started_at=Coalesce("started_at", Now()), error="", remedy="",
            )  # fmt: skip
            if not taken:
                return None
            job = self.get(pk=pk)
            job.record(Job.State.QUEUED, Job.State.RUNNING, f"attempt {job.attempt}")
        return job


class Job(Stateful):
    """One piece of work that outlasts a request."""

    class Kind(models.TextChoices):
        GENERATE = "generate"
        FILTER = "filter"
        AUTO_REVIEW = "auto-review"
        TRAIN = "train"
        EVALUATE = "evaluate"
        ATTACK = "attack"
        RELEASE = "release"
        PRIORITIZE = "prioritize"  # puts what waits for people into the order that spends them best
        RESCORE = "rescore"  # measures edited texts again
        AGREEMENT = "agreement"  # measures how far people agree
        EXPORT = "export"
        LOOK = "look"  # at the first rows of a file
        CHECK = "check"  # an import that stores nothing
        IMPORT = "import"
        PREVIEW = "preview"  # a few texts by a recipe that no round has yet
        MEASURE = "measure"  # every guard on every frozen set
        DELIVER = "deliver"  # tells other programs what happened

    class State(models.TextChoices):
        QUEUED = "queued"
        RUNNING = "running"
        DONE = "done"
        FAILED = "failed"
        CANCELLED = "cancelled"
        DEAD = "dead"
        PAUSED = "paused"  # a person stopped it, and it goes on from what it finished

    LIVE = (State.QUEUED, State.RUNNING)
    COMPUTE = (
        Kind.GENERATE,
        Kind.FILTER,
        Kind.TRAIN,
        Kind.EVALUATE,
        Kind.ATTACK,
        Kind.PRIORITIZE,
        Kind.RESCORE,
        Kind.EXPORT,
        Kind.PREVIEW,
        Kind.MEASURE,
    )  # one at a time per device
    PATIENT = (Kind.EXPORT,)  # nobody looks on; the stages of a round, which people do wait for, come first
    MOVES = {
        State.QUEUED: (State.RUNNING, State.CANCELLED, State.PAUSED),
        State.RUNNING: (State.DONE, State.FAILED, State.CANCELLED, State.DEAD, State.QUEUED, State.PAUSED),
        State.PAUSED: (State.QUEUED, State.CANCELLED),
        State.FAILED: (State.QUEUED,),  # a person retries
        State.DEAD: (State.QUEUED,),
    }

    kind = models.CharField(max_length=12, choices=Kind.choices)
    project = models.ForeignKey(Project, on_delete=models.PROTECT, related_name="jobs")
    round = models.ForeignKey(Round, null=True, on_delete=models.PROTECT, related_name="jobs")
    release = models.ForeignKey("curation.Release", null=True, on_delete=models.PROTECT, related_name="jobs")
    source = models.ForeignKey("curation.Import", null=True, on_delete=models.PROTECT, related_name="jobs")
    plan = models.ForeignKey("curation.Plan", null=True, on_delete=models.PROTECT, related_name="jobs")
    state = models.CharField(max_length=10, choices=State.choices, default=State.QUEUED)
    attempt = models.PositiveSmallIntegerField(default=0, help_text="only ever grows: results are fenced by it")
    tries = models.PositiveSmallIntegerField(default=0, help_text="attempts since a person last asked")
    worker = models.CharField(max_length=120, blank=True)
    heartbeat_at = models.DateTimeField(null=True)
    rung_at = models.DateTimeField(db_default=Now(), help_text="when the bell was last rung")
    cancel_requested = models.BooleanField(default=False)
    dedupe_key = models.CharField(max_length=80)
    done = models.PositiveIntegerField(default=0)
    total = models.PositiveIntegerField(default=0)
    message = models.CharField(max_length=200, blank=True)
    metrics = models.JSONField(default=dict)
    history = models.JSONField(default=list, help_text="metrics over time, for curves; thinned to 200 points")
    error = models.CharField(max_length=500, blank=True)
    remedy = models.CharField(max_length=500, blank=True)
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)
    started_at = models.DateTimeField(null=True)
    ended_at = models.DateTimeField(null=True)

    objects = JobQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["dedupe_key"], condition=Q(state__in=["queued", "running"]), name="one_live_job_per_subject"
            )
        ]
        indexes = [models.Index(fields=["state", "heartbeat_at"]), models.Index(fields=["round", "id"])]
        ordering = ["id"]

    def __str__(self) -> str:
        return f"{self.kind} job {self.pk}"

    @property
    def is_live(self) -> bool:
        """Queued or running: the page goes on asking."""
        return self.state in self.LIVE

    @property
    def has_failed(self) -> bool:
        """It ended without its result, and a person may retry it."""
        return self.state in (self.State.FAILED, self.State.DEAD)

    @property
    def stopped_as(self) -> str:
        """What it becomes where a person asked it to stop: paused with its round, else cancelled."""
        paused = Round.objects.filter(jobs=self, paused_at__isnull=False).exists()
        return self.State.PAUSED if paused else self.State.CANCELLED

    @property
    def queue(self) -> str:
        """The Celery queue that this kind of work waits in."""
        return "compute" if self.kind in self.COMPUTE else "default"

    def ring(self) -> None:
        """Tell the workers that this job waits. A lost message costs seconds: the reconciler rings again."""
        from curation.bell import ring

        Job.objects.filter(pk=self.pk).update(rung_at=Now())
        ring(self.pk, self.queue)

    def record(self, old: str, new: str, note: str = "", by: User | None = None) -> None:
        """Leave the audit row of a move that was made by a set-based update."""
        Move.objects.create(subject=self.subject, old=old, new=new, note=note[:500], by=by)

    def current_attempt(self) -> JobQuerySet:
        """This row, while this attempt is the one that runs."""
        return Job.objects.filter(pk=self.pk, state=Job.State.RUNNING, attempt=self.attempt)

    def fence(self) -> None:
        """Lock the job's row inside the transaction that stores its results.

        Raises:
            Fenced: another attempt took over, the job has ended, or it is to be cancelled.
        """
        if not self.current_attempt().filter(cancel_requested=False).select_for_update().exists():
            raise Fenced(f"{self}: attempt {self.attempt} is over")

    def beat(self, **changes: Any) -> bool:
        """Show that the attempt lives, with what changed; return whether somebody asked to cancel.

        Raises:
            Fenced: another attempt took over, or the job has ended.
        """
        if not self.current_attempt().update(heartbeat_at=Now(), **changes):
            raise Fenced(f"{self}: attempt {self.attempt} is over")
        return Job.objects.filter(pk=self.pk, cancel_requested=True).exists()

    def again(self, reason: str) -> None:
        """Give the attempt up and wait for the next one, or die with the reason after the last.

        Raises:
            Fenced: another attempt took over, or the job has ended.
        """
        if self.tries >= MAX_ATTEMPTS:
            self.finish(Job.State.DEAD, error=f"{reason} It was tried {self.tries} times.", remedy=RETRY)
            return
        with transaction.atomic():
            if not self.current_attempt().update(state=Job.State.QUEUED, message="Waiting to be tried again"):
                raise Fenced(f"{self}: attempt {self.attempt} is over")
            self.record(Job.State.RUNNING, Job.State.QUEUED, reason)
            transaction.on_commit(self.ring)

    def finish(self, state: str, *, error: str = "", remedy: str = "") -> None:
        """End this attempt.

        Raises:
            Fenced: another attempt took over, or the job has ended.
        """
        with transaction.atomic():
            ended = self.current_attempt().update(
                state=state, ended_at=Now(), error=error[:500], remedy=remedy[:500], heartbeat_at=Now()
            )
            if not ended:
                raise Fenced(f"{self}: attempt {self.attempt} is over")
            self.record(Job.State.RUNNING, state, error)
        self.refresh_from_db()
