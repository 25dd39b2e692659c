"""Who is in a project, and who may do what."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.http import require_GET, require_POST

from curation.forms.people import InvitationForm
from curation.models import Invitation, Membership, Project
from curation.models.project import LEADS, Role
from curation.operations import Refused, invitations, members
from curation.views import access, once

# What people ask about, and an address that decides it: the table shows whom its view lets in.
ACTS = (
    ("See examples, rounds, guards, releases and how far people agree", "examples"),
    ("Judge at the desk, sit exams, see one's own work", "review-judge"),
    ("Settle disputes", "quality-dispute"),
    ("Import, overrule filters, retire examples", "import-start"),
    ("Plan, start, pause and cancel rounds", "plan-launch"),
    ("Cut batches, take leases back, see everybody's work", "queue-release"),
    ("Set review rules, write known questions", "quality-rules"),
    ("Promote guards, roll back, set the gate", "guard-promote"),
    ("Make keys for the live guard, choose what is kept", "guard-key-make"),
    ("Make releases and download them", "release-start"),
    ("Invite people, change roles, remove people", "member-role"),
    ("Read and export the audit trail", "audit"),
)


def _page(request: access.UserRequest, project: Project, status: int = 200, **extra: Any) -> HttpResponse:
    people = project.memberships.select_related("user").order_by("user__username")
    context: dict[str, Any] = {
        "project": project, "people": people, "roles": list(Role),
        "acts": [(words, [role in access.roles_of(name) for role in Role]) for words, name in ACTS],
    }  # fmt: skip
    if project.role_of(request.user) in LEADS:
        context |= {
            "grantable": members.grantable(project, request.user),
            "invitations": Invitation.objects.open().filter(project=project).select_related("created_by"),
            "form": InvitationForm(project=project, by=request.user),
        }
    return render(request, "member/index.html", {**context, **extra}, status=status)


@require_GET
@access.member
def index(request: access.UserRequest, project: Project) -> HttpResponse:
    """Everybody in the project, open invitations, and what each role may do; a link just made is shown, this once."""
    new = once.take(request)
    made = project.invitations.filter(pk=new[0]).first() if new else None
    link = request.build_absolute_uri(reverse("join", args=[new[1]])) if new and made else ""
    extra: dict[str, Any] = {"made": made, "link": link} if made else {}
    return once.forget(request, _page(request, project, **extra))


@require_POST
@access.lead
def invite(request: access.UserRequest, project: Project) -> HttpResponse:
    """Make a link; the page shows it once."""
    form = InvitationForm(request.POST, project=project, by=request.user)
    if not form.is_valid():
        return _page(request, project, 422, form=form)
    values = form.cleaned_data
    try:
        secret, made = invitations.make(
            values["name"], project=project, role=values["role"], by=request.user, days=values["days"]
        )
    except Refused as no:
        form.add_error("role", str(no))
        return _page(request, project, 422, form=form)
    return once.show(reverse("members", args=[project.slug]), made.pk, secret)


@require_POST
@access.lead
def revoke(request: access.UserRequest, project: Project, pk: int) -> HttpResponse:
    """Take an invitation back."""
    invitation = get_object_or_404(project.invitations, pk=pk)
    invitations.revoke(invitation, request.user)
    messages.success(request, f"The link for {invitation.name} lets nobody in any more.")
    return redirect("members", project.slug)


def _member(project: Project, pk: int) -> Membership:
    return get_object_or_404(project.memberships.select_related("user", "project"), user=pk)


@require_POST
@access.lead
def role(request: access.UserRequest, project: Project, pk: int) -> HttpResponse:
    """Give somebody another role."""
    member, wanted = _member(project, pk), request.POST.get("role", "")
    try:
        if wanted not in Role:
            raise Refused("Choose one of the roles.")
        members.change_role(member, wanted, request.user)
        messages.success(request, f"{member.user.get_username()} is {Role(wanted).label.lower()} now.")
    except Refused as no:
        access.tell(request, no)
    return redirect("members", project.slug)


@require_POST
@access.lead
def remove(request: access.UserRequest, project: Project, pk: int) -> HttpResponse:
    """Take somebody off the project, once their name was typed."""
    member = _member(project, pk)
    name = member.user.get_username()
    try:
        if request.POST.get("name", "").strip() != name:
            raise Refused("Nobody was removed: that was not the name.", f"Type {name} to remove them.")
        members.remove(member, request.user)
        messages.success(request, f"{name} is no longer in {project}. What they judged stays.")
    except Refused as no:
        access.tell(request, no)
    return redirect("members", project.slug) if project.role_of(request.user) else redirect("home")
