"""The Celery application: a doorbell over Redis."""

from __future__ import annotations

import os
from typing import Any

from celery import Celery
from celery.signals import heartbeat_sent, setup_logging

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "curation.settings")

app = Celery("curation")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks(["curation"])


@setup_logging.connect
def keep_django_logging(**_: Any) -> None:
    """Connected so that Celery leaves logging to the settings."""


@heartbeat_sent.connect
def worker_is_alive(**_: Any) -> None:
    """Let pages say truly whether anybody works."""
    from curation.operations import jobs

    jobs.worker_beat()
