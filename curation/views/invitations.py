"""What somebody sees who follows an invitation."""

from __future__ import annotations

from django.contrib.auth import login
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods

from curation import oidc
from curation.forms.people import AccountForm
from curation.models import Invitation
from curation.operations import Refused, invitations
from curation.people import BACKEND


@sensitive_post_parameters()
@require_http_methods(["GET", "POST"])
@never_cache
def join(request: HttpRequest, secret: str) -> HttpResponse:
    """Make an account and go in, or go in as who one is."""
    found = Invitation.objects.find(secret)
    problem = invitations.problem(found)
    if found is None or problem:
        return render(request, "account/join.html", {"problem": problem}, status=404 if found is None else 410)
    if request.user.is_authenticated:
        return _as_oneself(request, found)
    oidc.expect(request, found)
    form = AccountForm(request.POST or None, initial={"username": ".".join(found.name.split())})
    if request.method == "POST" and form.is_valid():
        try:
            invitations.register(found, user := form.save(commit=False))
        except Refused as no:
            form.add_error("username" if no.field == "username" else None, str(no))
        else:
            login(request, user, backend=BACKEND)
            return _inside(found)
    return render(request, "account/join.html", {"invitation": found, "form": form}, status=422 if form.errors else 200)


def _as_oneself(request: HttpRequest, found: Invitation) -> HttpResponse:
    context: dict[str, object] = {"invitation": found}
    if request.method == "POST":
        assert request.user.is_authenticated
        try:
            invitations.join(found, request.user)
            return _inside(found)
        except Refused as no:
            context["refused"] = no
    return render(request, "account/join.html", context, status=422 if "refused" in context else 200)


def _inside(found: Invitation) -> HttpResponse:
    return redirect("overview", found.project.slug) if found.project else redirect("project-make")
