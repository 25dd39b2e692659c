from __future__ import annotations

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.contrib.auth.models import User
from django.core.management.base import BaseCommand, CommandError
from django.db import transaction

from curation.operations import Refused, policies, projects


class Command(BaseCommand):
    help = "Make a project on a policy file, owned by a person who has an account."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--name", required=True)
        parser.add_argument("--policy", type=Path, required=True, help="JSON, as curation/demo/policy.json")
        parser.add_argument("--lead", required=True, help="name of an account; see invite")

    def handle(self, *, name: str, policy: Path, lead: str, **_: Any) -> None:
        person = User.objects.filter(username=lead).first()
        if person is None:
            raise CommandError(f"There is no account {lead!r}. manage.py invite {lead} prints a link that makes one.")
        try:
            with transaction.atomic():
                project = projects.make(name, policies.load(policy), person)
        except Refused as no:
            raise CommandError(str(no)) from None
        self.stdout.write(f"Made {project.name}, known as {project.slug}")
