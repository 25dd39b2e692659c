from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_GET, require_POST

from curation.models import Project
from curation.models.project import LEADS
from curation.operations import Refused, agreement, gold, quality
from curation.views import access
from curation.views.charts import Curve, spans


@require_GET
@access.lead
def index(request: access.UserRequest, project: Project) -> HttpResponse:
    """Everybody who judges here, by name: this is no leaderboard."""
    kappas = _kappas(project)
    rows = [
        {
            "member": member, "work": quality.of(project, member.user),
            "kappa": kappas.get(("", member.user_id)),
        }
        for member in gold.reviewers(project)
    ]  # fmt: skip
    context = {
        "project": project, "rows": rows, "exposure": quality.group_exposure(project), "group": quality.GROUP,
        "rules": project.review_rules,
    }  # fmt: skip
    return render(request, "quality/people.html", context)


@require_GET
@access.reviewer
def detail(request: access.UserRequest, project: Project, pk: int) -> HttpResponse:
    """One person's work: for themselves and for leads. What they read of the severe is theirs alone."""
    mine = pk == request.user.pk
    if not mine and project.role_of(request.user) not in LEADS:
        raise Http404
    member = get_object_or_404(project.memberships.select_related("user"), user=pk)
    work, kappas = quality.of(project, member.user), _kappas(project)
    names = {"": "Safe, unsafe or rejected", **project.category_names()}
    days = quality.days(project, member.user)
    context = {
        "project": project, "member": member, "work": work, "mine": mine, "rules": project.review_rules,
        "agreement": spans([{"name": name, **kappas[key, pk]} for key, name in names.items() if (key, pk) in kappas]),
        "cases": quality.settled_otherwise(project, member.user), "names": project.category_names(),
        "days": days, "curve": _curve(days), "measured": agreement.measured(project),
        "exposure": quality.exposure(project, member.user) if mine else [],
    }  # fmt: skip
    return render(request, "quality/person.html", context)


@require_POST
@access.lead
def resume(request: access.UserRequest, project: Project, pk: int) -> HttpResponse:
    """Let a paused person go on."""
    member = get_object_or_404(project.memberships.select_related("user"), user=pk)
    try:
        gold.resume(project, member.user, request.user)
        messages.success(request, f"{member.user.get_username()} may go on.")
    except Refused as no:
        access.tell(request, no)
    return redirect("quality-person", project.slug, pk)


def _kappas(project: Project) -> dict[tuple[str, int], dict[str, Any]]:
    """The newest kappa of every person with the others, by aspect and person."""
    done = agreement.measured(project)
    aspects = done.metrics.get("result", {}).get("aspects", []) if done else []
    return {(aspect["aspect"], one["person"]): one for aspect in aspects for one in aspect["people"]}


def _curve(days: list[dict[str, Any]]) -> Curve | None:
    points = [(float(place + 1), float(day["seconds"])) for place, day in enumerate(days) if day["seconds"] is not None]
    return Curve("Median seconds a decision, by working day", "active time", points, "day") if len(points) > 1 else None
