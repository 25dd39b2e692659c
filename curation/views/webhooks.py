"""Addresses that are told what happens, and what they were told."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.db.models import Count, Max, Q
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from curation.forms.webhooks import WebhookForm
from curation.models import Delivery, Project, Webhook
from curation.operations import Refused, webhooks
from curation.views import access

SHOWN = 50  # tellings of an address


@require_http_methods(["GET", "HEAD", "POST"])
@access.lead
def index(request: access.UserRequest, project: Project) -> HttpResponse:
    """All addresses, and a form for the next."""
    form = WebhookForm(request.POST or None)
    if form.is_valid():
        try:
            hook = webhooks.make(project, request.user, form.cleaned_data["url"], form.cleaned_data["families"])
            return redirect("webhook", project.slug, hook.pk)
        except Refused as no:
            form.add_error("url", f"{no.message} {no.remedy}".strip())
    waiting = Count("deliveries", filter=Q(deliveries__due_at__isnull=False))
    given_up = Count("deliveries", filter=Q(deliveries__due_at=None, deliveries__arrived_at=None))
    hooks = project.webhooks.annotate(waiting=waiting, given_up=given_up, arrived=Max("deliveries__arrived_at"))
    context: dict[str, Any] = {"project": project, "hooks": hooks, "form": form}
    return render(request, "webhook/index.html", context, status=422 if form.errors else 200)


def _hook(project: Project, pk: int) -> Webhook:
    return get_object_or_404(project.webhooks, pk=pk)


@require_GET
@access.lead
def detail(request: access.UserRequest, project: Project, pk: int) -> HttpResponse:
    """One address: its key, and what it was told lately."""
    hook = _hook(project, pk)
    context = {"project": project, "hook": hook, "deliveries": hook.deliveries.all()[:SHOWN], "shown": SHOWN}
    template = "webhook/_deliveries.html" if "HX-Request" in request.headers else "webhook/detail.html"
    response = render(request, template, context)
    response["Vary"] = "HX-Request"
    return response


@require_POST
@access.lead
def act(request: access.UserRequest, project: Project, pk: int) -> HttpResponse:
    """Try it, switch it off or on, or delete it."""
    hook = _hook(project, pk)
    match request.POST.get("act"):
        case "try":
            webhooks.try_out(hook)
            messages.success(request, "A message that says nothing is on its way; its row below tells what came of it.")
        case "off" | "on" as wanted:
            webhooks.switch(hook, request.user, on=wanted == "on")
        case "delete" if request.POST.get("name", "").strip() == hook.url:
            webhooks.delete(hook, request.user)
            messages.success(request, "Deleted, with the list of what it was told.")
            return redirect("webhooks", project.slug)
        case _:
            messages.error(request, "Nothing was done. To delete an address, type it exactly as it stands there.")
    return redirect("webhook", project.slug, pk)


@require_POST
@access.lead
def again(request: access.UserRequest, project: Project, pk: int, delivery: int) -> HttpResponse:
    """Send a message once more."""
    found = get_object_or_404(Delivery, pk=delivery, webhook=_hook(project, pk))
    if found.webhook.switched_off_at is None:
        webhooks.send_again(found)
    else:
        messages.error(request, "This address is switched off. Switch it on, then send again.")
    return redirect("webhook", project.slug, pk)
