"""The doorbell: a message with a job's id, nothing more. Losing one costs seconds, getting one twice costs nothing."""

from __future__ import annotations

import logging

logger = logging.getLogger(__name__)
TASK = "curation.run_job"


def ring(job_id: int, queue: str) -> None:
    """Tell the workers of a queue that a job waits; a broker that is down is no error, the reconciler rings again."""
    from kombu.exceptions import OperationalError

    from curation.celery import app

    try:
        # Sent by name, so that nobody who wants work has to load the tasks.
        app.send_task(TASK, args=[job_id], queue=queue, retry=False)
    except (OperationalError, OSError) as error:
        logger.warning(
            "The bell for job %s was not heard: %s. The reconciler will ring again.", job_id, type(error).__name__
        )
