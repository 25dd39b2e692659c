from __future__ import annotations

import json
import sys
from argparse import ArgumentParser
from collections.abc import Mapping
from typing import Any

from django.contrib.auth.models import User
from django.core.management.base import BaseCommand, CommandError
from tqdm import tqdm

from classifier.peers import KEY
from curation.models import Project
from curation.operations import Refused, peers


class Command(BaseCommand):
    """A command and no page, because a path or an address from a web form would read what this machine can read.

    It works in this shell, beside the workers, and takes no turn of theirs: choose a quiet hour.
    """

    help = (
        "Measure another guard on a project's frozen evaluation set, on the same rows and by the same program as its "
        f"own guards; it stands beside them under Guards. A key comes from {KEY}, never from the address."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("project", help="its slug")
        parser.add_argument(
            "spec", help="FOLDER, generative:TEMPLATE:FOLDER, chat:TEMPLATE:URL#MODEL or moderation:URL#MODEL"
        )
        parser.add_argument("--name", default="", help="what to call it; the model's or the folder's without it")
        parser.add_argument("--set", default="", dest="on", help="name of the frozen set; the newest without it")
        parser.add_argument("--by", default="", help="account of the person who measures, for the audit trail")

    def handle(self, *, project: str, spec: str, name: str, on: str, by: str, **_: Any) -> None:
        home, person = self._project(project), self._person(by)
        with tqdm(desc=name or "peer", file=sys.stderr, mininterval=0.5) as bar:
            try:
                kept = peers.measure(home, spec, lambda line: _show(bar, line), name=name, on=on, by=person)
            except Refused as no:
                raise CommandError(str(no)) from None
            except KeyboardInterrupt:
                raise CommandError("Stopped, and nothing was stored. Call again to begin anew.") from None
        told = {key: kept.metrics.get(key) for key in ("n", "average_precision", "f1", "recall", "fpr", "seconds")}
        self.stdout.write(json.dumps({"name": kept.name, "set": kept.evaluation_set.name, **told}))

    def _project(self, slug: str) -> Project:
        found = Project.objects.filter(slug=slug).first()
        if found is None:
            slugs = ", ".join(Project.objects.order_by("slug").values_list("slug", flat=True))
            raise CommandError(f"There is no project {slug!r}. There is: {slugs or 'none yet'}.")
        return found

    def _person(self, name: str) -> User | None:
        person = User.objects.filter(username=name).first()
        if name and person is None:
            raise CommandError(f"There is nobody named {name!r}. Give the name of an account, or leave --by out.")
        return person


def _show(bar: tqdm[Any], line: Mapping[str, Any]) -> None:
    if "total" in line:
        bar.total, bar.n = line["total"], line["done"]
        bar.refresh()
