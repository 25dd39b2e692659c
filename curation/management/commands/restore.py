from __future__ import annotations

import json
import time
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from curation.operations import Refused, backup


class Command(BaseCommand):
    help = "Verify a backup and put it in place of what is here. Stop workers and web first."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", type=Path)
        parser.add_argument("--replace", action="store_true", help="although there are projects here: they are lost")

    def handle(self, *, file: Path, replace: bool, **_: Any) -> None:
        began = time.monotonic()
        try:
            listed = backup.restore(file, replace=replace)
        except (Refused, OSError) as no:
            raise CommandError(str(no)) from None
        said = {"audit": listed["audit"], "rows": sum(listed["counts"].values()), "files": len(listed["sums"])}
        self.stdout.write(json.dumps(said | {"seconds": round(time.monotonic() - began, 1)}))
