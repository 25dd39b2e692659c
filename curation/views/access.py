"""Fetch what the user may see or steer; anything else is 404, the same answer as for what does not exist."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, Concatenate, ParamSpec, cast

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.contrib.auth.models import User
from django.http import Http404, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404
from django.views.decorators.cache import never_cache

from curation.models import Project
from curation.models.project import ADJUDICATORS, LEADS, REVIEWERS, Role
from curation.operations import Refused

P = ParamSpec("P")


class UserRequest(HttpRequest):
    """A request of somebody who signed in."""

    user: User


View = Callable[Concatenate[UserRequest, Project, P], HttpResponseBase]


def _in_project(roles: tuple[Role, ...]) -> Callable[[View[P]], Callable[..., HttpResponseBase]]:
    """Let a view run for these roles of the project that the address names. `roles_of` reads them from there again."""

    def decorate(view: View[P]) -> Callable[..., HttpResponseBase]:
        @wraps(view)
        def inner(request: Any, slug: str, *args: P.args, **kwargs: P.kwargs) -> HttpResponseBase:
            found = Project.objects.select_related("policy_version").for_roles(request.user, roles)
            return view(request, get_object_or_404(found, slug=slug), *args, **kwargs)

        guarded: Any = never_cache(login_required(inner))
        guarded.roles = roles
        return cast("Callable[..., HttpResponseBase]", guarded)

    return decorate


member = _in_project(tuple(Role))
reviewer = _in_project(REVIEWERS)
adjudicator = _in_project(ADJUDICATORS)
lead = _in_project(LEADS)


def roles_of(name: str) -> tuple[Role, ...]:
    """Whom the view behind an address of a project is for."""
    from curation.urls import project

    return next(cast("Any", each.callback).roles for each in project if each.name == name)


def founder(view: Callable[Concatenate[UserRequest, P], HttpResponse]) -> Callable[..., HttpResponse]:
    """Let a view run for who may make projects: people whom the site itself invited."""

    @wraps(view)
    def inner(request: Any, *args: P.args, **kwargs: P.kwargs) -> HttpResponse:
        if not request.user.is_staff:
            raise Http404
        return view(request, *args, **kwargs)

    return never_cache(login_required(inner))


def tell(request: HttpRequest, no: Refused) -> None:
    """Show a refusal on the next page."""
    messages.error(request, f"{no.message} {no.remedy}".strip())
