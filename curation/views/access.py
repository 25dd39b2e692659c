"""Fetch what the user may see or steer; anything else is 404, the same answer as for what does not exist."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, Concatenate, ParamSpec

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.contrib.auth.models import User
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404
from django.views.decorators.cache import never_cache

from curation.models import Project
from curation.models.project import ProjectQuerySet
from curation.operations import Refused

P = ParamSpec("P")


class UserRequest(HttpRequest):
    """A request of somebody who signed in."""

    user: User


View = Callable[Concatenate[UserRequest, Project, P], HttpResponseBase]


def _in_project(
    projects: Callable[[ProjectQuerySet, User], ProjectQuerySet],
) -> Callable[[View[P]], Callable[..., HttpResponseBase]]:
    def decorate(view: View[P]) -> Callable[..., HttpResponseBase]:
        @wraps(view)
        def inner(request: Any, slug: str, *args: P.args, **kwargs: P.kwargs) -> HttpResponseBase:
            found = projects(Project.objects.select_related("policy_version"), request.user)
            return view(request, get_object_or_404(found, slug=slug), *args, **kwargs)

        guarded: Callable[..., HttpResponseBase] = never_cache(login_required(inner))
        return guarded

    return decorate


member = _in_project(lambda projects, user: projects.visible_to(user))
reviewer = _in_project(lambda projects, user: projects.reviewed_by(user))
adjudicator = _in_project(lambda projects, user: projects.adjudicated_by(user))
lead = _in_project(lambda projects, user: projects.led_by(user))


def tell(request: HttpRequest, no: Refused) -> None:
    """Show a refusal on the next page."""
    messages.error(request, f"{no.message} {no.remedy}".strip())
