from __future__ import annotations

from typing import Any

from django.contrib.auth.models import User
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError
from django.db import connection

from curation import supervisor


class Command(BaseCommand):
    help = "Run everything on this machine: services, web, workers and reconciler. Ctrl-C stops it all."

    def handle(self, **_: Any) -> None:
        call_command("migrate", verbosity=0)
        try:
            supervisor.run(self._ready)
        except supervisor.Busy as error:
            raise CommandError(str(error)) from None

    def _ready(self, _: supervisor.Supervisor) -> None:
        self.stdout.write(f"Whetstone is up: {supervisor.address()}")
        if not User.objects.exists():
            self.stdout.write("There is no account yet: manage.py invite NAME prints a link for the first one.")
        connection.close()  # this thread's own
