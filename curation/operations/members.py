"""Who is in a project, as what, and how that changes. What people judged stays whatever becomes of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db import transaction

from curation.models import Lease, Membership, Project
from curation.models.project import LEADS, REVIEWERS, Role
from curation.operations import Refused, batches

if TYPE_CHECKING:
    from django.contrib.auth.models import User


def grantable(project: Project, by: User) -> tuple[Role, ...]:
    """Roles that a lead may give and take: nobody makes owners but owners, where there is one."""
    owned = project.memberships.filter(role=Role.OWNER).exists()
    may_all = project.role_of(by) == Role.OWNER or not owned
    return tuple(role for role in Role if may_all or role != Role.OWNER)


def change_role(membership: Membership, role: str, by: User) -> None:
    """Give a member another role; what they hold and may no longer judge goes back to the queue.

    Raises:
        Refused: the role is not this lead's to give or take, or nobody would have the last say.
    """
    with transaction.atomic():
        now = _locked(membership)
        if now.role == role:
            return
        _check(now, by, new=role)
        Membership.objects.filter(pk=now.pk).update(role=role)
        if role not in REVIEWERS:
            _give_back(now, by)
        _note(now, by, "member-role-changed", before=now.role, after=role)


def remove(membership: Membership, by: User) -> None:
    """Take a person off a project. What they hold goes back to the queue; what they judged stays.

    Raises:
        Refused: the member is not this lead's to remove, or nobody would have the last say.
    """
    with transaction.atomic():
        now = _locked(membership)
        _check(now, by)
        now.delete()
        _give_back(now, by)
        _note(now, by, "member-removed", role=now.role)


def _locked(membership: Membership) -> Membership:
    """The membership as it is now; two leads that demote one another at once wait for each other."""
    Project.objects.select_for_update().get(pk=membership.project_id)
    found = Membership.objects.select_related("project", "user").filter(pk=membership.pk).first()
    if found is None:
        raise Refused("This person is no longer in the project.")
    return found


def _check(member: Membership, by: User, new: str = "") -> None:
    may = grantable(member.project, by)
    if member.role not in may or (new and new not in may):
        raise Refused("Only an owner makes or removes owners.", "Ask one of the owners.")
    others = member.project.memberships.exclude(pk=member.pk)
    owned = member.role == Role.OWNER or others.filter(role=Role.OWNER).exists()
    say = (Role.OWNER,) if owned else LEADS
    if member.role in say and new not in say and not others.filter(role__in=say).exists():
        raise Refused(
            f"{member.user.get_username()} is the last {Role(member.role).label.lower()} of {member.project}.",
            "Give somebody else that role first.",
        )


def _give_back(member: Membership, by: User) -> None:
    # Examples before leases, the order in which everybody locks them.
    for batch in member.project.batches.filter(closed_at=None, items__assignee=member.user).distinct():
        batches.reassign(batch, by, member.user, None)
    Lease.objects.of(member.user, member.project).end(Lease.End.RELEASED)


def _note(member: Membership, by: User, action: str, **detail: str) -> None:
    member.project.audit.create(
        actor=by, action=action, subject=f"user:{member.user_id}",
        detail={"name": member.user.get_username(), **detail},
    )  # fmt: skip
