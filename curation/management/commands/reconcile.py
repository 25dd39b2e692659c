from __future__ import annotations

import time
from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand
from django.db import Error, close_old_connections

from curation.operations import jobs, serving, webhooks


class Command(BaseCommand):
    help = (
        "Look after jobs for ever: queue those again whose worker died, ring again for those that nobody heard of; "
        "name the guards that are to be served; and have told what other programs are to be told."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--once", action="store_true", help="look once and end")

    def handle(self, *, once: bool, **_: Any) -> None:
        while True:
            self._look()
            if once:
                return
            time.sleep(settings.RECONCILE_SECONDS)

    def _look(self) -> None:
        close_old_connections()
        try:
            found = jobs.reconcile()
            serving.publish()
            webhooks.ring_for_due()
        except Error as error:
            # The database is away; whoever restarts it finds us still looking.
            self.stderr.write(f"The database did not answer: {type(error).__name__}. Looking again soon.")
            return
        if any(found.values()):
            self.stdout.write(f"{found['silent']} silent jobs, {found['unheard']} unheard jobs")
