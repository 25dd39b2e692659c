from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from curation.models import Release
from curation.operations import Refused, pushing


class Command(BaseCommand):
    help = (
        "Copy a release to a folder, an object store or a hub: /mnt/data/v3, s3://bucket/v3, hf://datasets/org/name. "
        "Keys come from the environment, as the store's library wants them. Pushing again goes on where it broke off."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("url", help="where to; a folder of its own")
        parser.add_argument("--project", required=True, help="the project's slug")
        parser.add_argument("--number", type=int, help="the newest release without it")

    def handle(self, *, url: str, project: str, number: int | None, **_: Any) -> None:
        found = Release.objects.ready().filter(project__slug=project).order_by("-number")
        release = (found.filter(number=number) if number is not None else found).first()
        if release is None:
            raise CommandError(f"{project!r} has no release{f' {number}' if number is not None else ''} that is done.")
        try:
            for done, total, name in pushing.push(release, url):
                self.stdout.write(f"{done} of {total}: {name}")
        except Refused as no:
            raise CommandError(str(no)) from None
        self.stdout.write(f"Release {release.number} ({release.digest[:12]}) is at {url}.")
