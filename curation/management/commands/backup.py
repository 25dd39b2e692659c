from __future__ import annotations

import json
import time
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from curation.operations import Refused, backup


class Command(BaseCommand):
    help = "Write the database and all artifacts into one file, and verify it."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", type=Path)

    def handle(self, *, file: Path, **_: Any) -> None:
        began = time.monotonic()
        try:
            listed = backup.write(file)
        except (Refused, OSError) as no:
            raise CommandError(str(no)) from None
        said = {name: listed[name] for name in ("audit", "files", "bytes")}
        self.stdout.write(json.dumps(said | {"seconds": round(time.monotonic() - began, 1)}))
