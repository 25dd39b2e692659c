"""One line each: fetch the job, call the operation."""

from __future__ import annotations

from celery import shared_task

from curation.bell import TASK
from curation.operations import jobs


@shared_task(name=TASK)
def run_job(job_id: int) -> None:
    """Do the job with this id, unless somebody else does."""
    jobs.work(job_id)
