from __future__ import annotations

import json
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from curation.operations import audit


class Command(BaseCommand):
    help = "Verify the chain of the audit trail, or print every link with the text that its hash is of, as JSON lines."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("act", choices=("verify", "export"))
        parser.add_argument("--head", default="", help="a head that was noted earlier: it must still be in the chain")

    def handle(self, *, act: str, head: str, **_: Any) -> None:
        if act == "export":
            for link, previous, stored, content in audit.contents():
                row = {"link": link, "previous": previous, "hash": stored, "content": content}
                self.stdout.write(json.dumps(row, ensure_ascii=False))
            return
        found = audit.verify(head)
        if found.broken_at is not None:
            raise CommandError(
                f"The chain breaks at entry {found.broken_at}: it, or the one before, is not what was written. "
                "Compare with a backup from before."
            )
        if not found.knows_head:
            raise CommandError(f"The head {head} is in no entry: the chain was cut or made anew since it was noted.")
        self.stdout.write(json.dumps({"entries": found.entries, "head": found.head}))
