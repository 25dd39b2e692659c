from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.urls import reverse

from curation import supervisor
from curation.models import Project
from curation.models.project import Role
from curation.operations import invitations


class Command(BaseCommand):
    help = (
        "Print a link that lets one person in, once: onto the site as somebody who may make projects, or with "
        "--project into one. The first lead comes this way."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("name", help="for whom; proposed as the name of the account")
        parser.add_argument("--project", default="", help="its short name, as in its address")
        parser.add_argument(
            "--role", choices=Role.values, default=Role.LEAD.value, help="in the project; lead if not said"
        )
        parser.add_argument("--days", type=float, default=invitations.DAYS, help="that the link is good for")
        parser.add_argument(
            "--url", default="", help="where people reach the site; where this machine serves it if not said"
        )

    def handle(self, *, name: str, project: str, role: str, days: float, url: str, **_: Any) -> None:
        found = Project.objects.filter(slug=project).first()
        if project and found is None:
            raise CommandError(f"There is no project {project!r}. There is: {', '.join(_slugs()) or 'none yet'}.")
        if not 0 < days <= invitations.MOST_DAYS:
            raise CommandError(f"--days should be more than 0 and at most {invitations.MOST_DAYS}, found {days:g}.")
        secret, _made = invitations.make(name[:80], project=found, role=role if found else "", days=days)
        self.stdout.write(f"{(url or supervisor.address()).rstrip('/')}{reverse('join', args=[secret])}")


def _slugs() -> list[str]:
    return list(Project.objects.order_by("slug").values_list("slug", flat=True))
