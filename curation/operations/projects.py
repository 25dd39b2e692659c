"""Making projects."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db import IntegrityError, transaction
from django.utils.text import slugify

from curation.models import Membership, PolicyVersion, Project
from curation.models.project import Role
from curation.operations import Refused

if TYPE_CHECKING:
    from django.contrib.auth.models import User

LONGEST = 60  # characters of an address


def make(name: str, policy: PolicyVersion, by: User, *, description: str = "", content_note: str = "") -> Project:
    """Make a project on a policy, owned by whoever makes it.

    Raises:
        Refused: the name is taken, or gives no address.
    """
    slug = slugify(name)[:LONGEST].strip("-")
    if not slug:
        raise Refused("A name needs letters or digits: they make its address.", "Choose another one.", field="name")
    try:
        with transaction.atomic():
            project = Project.objects.create(
                name=name, slug=slug, policy_version=policy, description=description, content_note=content_note
            )
            Membership.objects.create(project=project, user=by, role=Role.OWNER)
            project.audit.create(
                actor=by, action="project-made", subject=f"project:{project.pk}", detail={"policy": str(policy)}
            )
    except IntegrityError:
        raise Refused(
            f"There is a project named {name}, or one with the address {slug}, already.",
            "Choose another name.",
            field="name",
        ) from None
    return project
