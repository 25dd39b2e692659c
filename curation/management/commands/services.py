from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from curation import services


class Command(BaseCommand):
    help = "Start, stop or look at the embedded PostgreSQL and Redis."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("act", choices=("start", "stop", "status"))

    def handle(self, *, act: str, **_: Any) -> None:
        try:
            if act == "start":
                services.start(settings.VAR_DIR)
            elif act == "stop":
                services.stop(settings.VAR_DIR)
        except services.ServiceError as error:
            raise CommandError(str(error)) from None
        for name, pid in services.status(settings.VAR_DIR).items():
            self.stdout.write(f"{name}: {f'runs as process {pid}' if pid else 'is down'}")
