from __future__ import annotations

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_GET, require_POST

from curation.models import Project
from curation.operations import Refused, guards, summary
from curation.views import access
from curation.views.charts import Curve
from curation.views.projects import latest_figures

NO_FIGURES = dict.fromkeys(summary.FIGURES)


@require_GET
@access.member
def index(request: access.UserRequest, project: Project) -> HttpResponse:
    """All guards with their figures, each beside the one it came from on the same frozen set."""
    found = project.guards.select_related("round__evaluation_set", "parent").order_by("-number")
    rows = [
        {
            "guard": guard,
            "now": latest_figures(guard, guard) or NO_FIGURES,
            "before": latest_figures(guard.parent, guard) or NO_FIGURES,
        }
        for guard in found
    ]
    return render(request, "guard/index.html", {"project": project, "rows": rows})


@require_GET
@access.member
def detail(request: access.UserRequest, project: Project, number: int) -> HttpResponse:
    """One guard: figures, categories, and everything one needs to train it again."""
    guard = get_object_or_404(project.guards.select_related("round__evaluation_set", "parent"), number=number)
    metrics = guard.metrics_on(guard.round.evaluation_set) or {}
    points = [
        (float(row["epoch"]), float(row["validation_average_precision"])) for row in guard.metrics.get("history", [])
    ]
    curve = Curve("Average precision on validation, by epoch", "train", points, "epoch") if len(points) > 1 else None
    context = {
        "project": project, "guard": guard, "metrics": metrics, "names": project.category_names(),
        "before": latest_figures(guard.parent, guard), "moves": guard.moves(), "curve": curve,
    }  # fmt: skip
    return render(request, "guard/detail.html", context)


@require_POST
@access.lead
def promote(request: access.UserRequest, project: Project, number: int) -> HttpResponse:
    """Make a guard the active one."""
    guard = get_object_or_404(project.guards, number=number)
    try:
        guards.promote(guard, request.user)
        messages.success(request, f"{guard} is active.")
    except Refused as no:
        access.tell(request, no)
    return redirect("guard", project.slug, number)
