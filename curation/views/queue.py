from __future__ import annotations

import re
from typing import Any

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from curation.forms.batches import BatchForm
from curation.models import Lease, Project
from curation.operations import Refused, batches, queue
from curation.views import access

SHOWN = 200  # live leases on the page
ID = re.compile(r"[0-9]{1,18}")


@require_GET
@access.lead
def index(request: access.UserRequest, project: Project) -> HttpResponse:
    """Who holds what until when, and which batches are open."""
    live = Lease.objects.filter(project=project).live().select_related("reviewer", "batch")
    leases = list(live.order_by("reviewer__username", "expires_at")[: SHOWN + 1])
    context = {
        "project": project, "leases": leases[:SHOWN], "more": len(leases) > SHOWN, "asked_again": _asked_again(request),
        "people": _people(leases[:SHOWN]), "batches": batches.progress(project),
    }  # fmt: skip
    template = "queue/_leases.html" if "HX-Request" in request.headers else "queue/index.html"
    response = render(request, template, context)
    response["Vary"] = "HX-Request"
    return response


def _asked_again(request: access.UserRequest) -> bool:
    return "HX-Request" in request.headers


def _people(leases: list[Lease]) -> list[dict[str, Any]]:
    """How much each person holds, and when the first of it comes back."""
    people: dict[int, dict[str, Any]] = {}
    for lease in leases:
        row = people.setdefault(lease.reviewer_id, {"user": lease.reviewer, "leases": []})
        row["leases"].append(lease)
    return list(people.values())


@require_POST
@access.lead
def release(request: access.UserRequest, project: Project) -> HttpResponse:
    """Take one lease, or all of one person, back into the queue."""
    chosen = {name: request.POST.get(name, "") for name in ("lease", "reviewer")}
    named = {name: int(value) for name, value in chosen.items() if ID.fullmatch(value)}
    if len(named) != 1:
        access.tell(request, Refused("Nothing was chosen.", "Press the button beside a lease or a person."))
        return redirect("queue", project.slug)
    count = queue.release(project, request.user, **named)
    messages.success(
        request, f"{count} taken back; what was written there is kept as a draft." if count else "It was over already."
    )
    return redirect("queue", project.slug)


@require_http_methods(["GET", "POST"])
@access.lead
def cut(request: access.UserRequest, project: Project) -> HttpResponse:
    """Cut a batch from what waits, and say who gets how much of it."""
    form = BatchForm(request.POST or None, project=project, initial=request.GET.dict())
    if request.method == "POST" and form.is_valid():
        values = form.cleaned_data
        try:
            batch = batches.cut(
                project, request.user, values["name"], form.filter(), form.shares(), count=values["count"],
                overlap=values["overlap"], order=values["order"],
            )  # fmt: skip
            return redirect("queue-batch", project.slug, batch.pk)
        except Refused as no:
            form.add_error(no.field if no.field in form.fields else None, f"{no.message} {no.remedy}".strip())
    context = {"project": project, "form": form, "rules": project.review_rules}
    return render(request, "queue/cut.html", context, status=422 if form.errors else 200)


@require_GET
@access.lead
def batch(request: access.UserRequest, project: Project, pk: int) -> HttpResponse:
    """One batch: who has how much of it left."""
    found = get_object_or_404(project.batches.select_related("created_by"), pk=pk)
    rows = batches.per_person(found)
    names = {"round": "Round", "origin": "Origin", "label": "Label", "category": "Category", "language": "Language"}
    context = {
        "project": project, "batch": found, "rows": rows, "size": sum(row["size"] for row in rows),
        "left": sum(row["left"] for row in rows), "people": BatchForm(project=project).people,
        "filter": [(names.get(key, key), value) for key, value in found.filter.items()],
    }  # fmt: skip
    return render(request, "queue/batch.html", context)


@require_POST
@access.lead
def close(request: access.UserRequest, project: Project, pk: int) -> HttpResponse:
    """End a batch; what it has not decided goes back to the pool."""
    count = batches.close(get_object_or_404(project.batches, pk=pk), request.user)
    messages.success(request, f"Closed. {count} went back to the pool.")
    return redirect("queue", project.slug)


@require_POST
@access.lead
def reassign(request: access.UserRequest, project: Project, pk: int) -> HttpResponse:
    """Give what one person has not judged to another, or to the pool."""
    found = get_object_or_404(project.batches, pk=pk, closed_at=None)
    people = {str(person.pk): person for person in BatchForm(project=project).people}
    giver = get_object_or_404(found.assignments.select_related("user"), user=_id(request, "from")).user
    count = batches.reassign(found, request.user, giver, people.get(request.POST.get("to", "")))
    messages.success(request, f"{count} items moved.")
    return redirect("queue-batch", project.slug, pk)


def _id(request: access.UserRequest, name: str) -> int:
    value = request.POST.get(name, "")
    return int(value) if ID.fullmatch(value) else 0
