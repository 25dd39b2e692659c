"""Inviting people: nobody gets in otherwise. A link is good for one person, once, for a while."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from django.db import IntegrityError, transaction
from django.db.models.functions import Now
from django.utils import timezone
from django.utils.translation import gettext as _

from curation.models import AuditEntry, Invitation, Membership, Project
from curation.models.project import Role
from curation.operations import Refused, members

if TYPE_CHECKING:
    from django.contrib.auth.models import User

DAYS = 7  # that a link is good for, where nobody says otherwise
MOST_DAYS = 90


def make(
    name: str, *, project: Project | None = None, role: str = "", by: User | None = None, days: float = DAYS
) -> tuple[str, Invitation]:
    """Invite somebody into a project, or, without one, onto the site as somebody who may make projects.

    Returns the secret of the link, which nobody can read again, and the invitation.

    Raises:
        Refused: the role is not this lead's to give.
    """
    if project and by and role not in members.grantable(project, by):
        raise Refused("Only an owner makes owners.", "Choose another role.", field="role")
    until = timezone.now() + timedelta(days=days)
    with transaction.atomic():
        secret, made = Invitation.objects.issue(name, until, project=project, role=role, by=by)
        _note(made, by, "invitation-made", expires=until.date().isoformat())
    return secret, made


def revoke(invitation: Invitation, by: User) -> None:
    """End a link that nobody used; doing it twice is doing it once."""
    with transaction.atomic():
        if Invitation.objects.open().filter(pk=invitation.pk).update(revoked_at=Now()):
            _note(invitation, by, "invitation-revoked")


def problem(invitation: Invitation | None) -> str:
    """Why a link lets nobody in, as a sentence for whoever holds it; nothing where it does."""
    if invitation is None:
        return _("This link is not known here. Copy it whole, or ask for a new one.")
    if invitation.accepted_at:
        return _("This link was used already; it is good for one person, once. Ask for a new one, or sign in.")
    if invitation.revoked_at:
        return _("This invitation was taken back. Ask whoever sent it to you.")
    if invitation.expires_at <= timezone.now():
        return _("This link has expired. Ask for a new one.")
    return ""


def join(invitation: Invitation, user: User) -> None:
    """Use a link up for a person who has an account.

    Raises:
        Refused: the link is no longer good, or the person is in the project already; then it stays good.
    """
    with transaction.atomic():
        used = Invitation.objects.open().filter(pk=invitation.pk).update(accepted_at=Now(), accepted_by=user)
        if not used:
            invitation.refresh_from_db()
            raise Refused(problem(invitation))
        if invitation.project is None:
            user.is_staff = True
            user.save(update_fields=["is_staff"])
        else:
            _enter(invitation.project, user, invitation.role)
        _note(invitation, user, "invitation-accepted")


def register(invitation: Invitation, user: User) -> None:
    """Store a new account and let it in; neither where the link is no longer good.

    Raises:
        Refused: the link is no longer good, or somebody took the name in this moment.
    """
    try:
        with transaction.atomic():
            user.save()
            join(invitation, user)
    except IntegrityError:
        raise Refused(_("Somebody has this name already."), _("Choose another one."), field="username") from None


def _enter(project: Project, user: User, role: str) -> None:
    if Membership.objects.filter(project=project, user=user).exists():
        raise Refused(
            _("%(name)s is in %(project)s already.") % {"name": user.get_username(), "project": project},
            _("The link stays good for somebody else."),
        )
    Membership.objects.create(project=project, user=user, role=role)


def _note(invitation: Invitation, by: User | None, action: str, **detail: str) -> None:
    about = {"name": invitation.name, "role": Role(invitation.role).value if invitation.role else "", **detail}
    AuditEntry.objects.create(
        project=invitation.project, actor=by, action=action, subject=f"invitation:{invitation.pk}", detail=about
    )
