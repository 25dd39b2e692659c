from __future__ import annotations

from typing import Any

from django.conf import settings
from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.http import require_GET, require_POST

from curation.forms.traffic import KeyForm, TrafficForm
from curation.models import Guard, Project
from curation.operations import Refused, keys, moderation, traffic
from curation.views import access, once


def _page(request: access.UserRequest, project: Project, status: int = 200, **extra: Any) -> HttpResponse:
    chosen = traffic.settings_of(project)
    context = {
        "project": project, "keys": project.api_keys.select_related("created_by", "revoked_by"), "traffic": chosen,
        "active": project.guards.filter(state=Guard.State.ACTIVE).first(), "is_up": moderation.is_up(),
        "kept": project.examples.filter(origin="traffic").count(), "address": request.build_absolute_uri("/v1"),
        "key_form": KeyForm(), "traffic_form": TrafficForm(project=project, traffic=chosen),
        "largest": settings.DATA_UPLOAD_MAX_MEMORY_SIZE // 2**20, **extra,
    }  # fmt: skip
    return render(request, "guard/traffic.html", context, status=status)


@require_GET
@access.lead
def index(request: access.UserRequest, project: Project) -> HttpResponse:
    """Who may ask the active guard, and what is kept of it; a key that was just made is shown, this once."""
    made = once.take(request)
    key = project.api_keys.filter(pk=made[0]).first() if made else None
    extra: dict[str, Any] = {"made": key, "secret": made[1]} if made and key else {}
    return once.forget(request, _page(request, project, **extra))


@require_POST
@access.lead
def make_key(request: access.UserRequest, project: Project) -> HttpResponse:
    """Make a key; the page shows it once."""
    form = KeyForm(request.POST)
    if not form.is_valid():
        return _page(request, project, 422, key_form=form)
    try:
        key, secret = keys.make(project, request.user, form.cleaned_data["name"], form.cleaned_data["quota"])
    except Refused as no:
        form.add_error("name", f"{no.message} {no.remedy}")
        return _page(request, project, 422, key_form=form)
    return once.show(reverse("guard-traffic", args=[project.slug]), key.pk, secret)


@require_POST
@access.lead
def revoke_key(request: access.UserRequest, project: Project, pk: int) -> HttpResponse:
    """End a key at once."""
    key = get_object_or_404(project.api_keys, pk=pk)
    keys.revoke(key, request.user)
    messages.success(request, f"{key.name} is revoked: what used it gets 401 from now on.")
    return redirect("guard-traffic", project.slug)


@require_POST
@access.lead
def choose(request: access.UserRequest, project: Project) -> HttpResponse:
    """Set what is kept of live traffic."""
    form = TrafficForm(request.POST, project=project, traffic=traffic.settings_of(project))
    if not form.is_valid():
        return _page(request, project, 422, traffic_form=form)
    values = form.cleaned_data
    try:
        traffic.choose(
            project, request.user, shadow=values["shadow"], sample=values["percent"] / 100,
            daily_limit=values["daily_limit"],
        )  # fmt: skip
        messages.success(request, "Saved.")
    except Refused as no:
        access.tell(request, no)
    return redirect("guard-traffic", project.slug)
