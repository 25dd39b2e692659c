from __future__ import annotations

from typing import Any

from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError

from curation import supervisor


class Command(BaseCommand):
    help = "Run everything on this machine: services, web, workers and reconciler. Ctrl-C stops it all."

    def handle(self, **_: Any) -> None:
        call_command("migrate", verbosity=0)
        try:
            supervisor.run(lambda _: self.stdout.write(f"Whetstone is up: {supervisor.address()}"))
        except supervisor.Busy as error:
            raise CommandError(str(error)) from None
