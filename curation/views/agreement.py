from __future__ import annotations

from typing import Any

from django.contrib.auth.models import User
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_POST

from curation.models import Job, Project
from curation.models.project import LEADS
from curation.operations import Refused, agreement, jobs
from curation.views import access
from curation.views.charts import spans

LABEL = ""  # how the program names the aspect that is the label itself


@require_GET
@access.member
def index(request: access.UserRequest, project: Project) -> HttpResponse:
    """How far people agree: on the label, by category, over time; for leads by person and by pair."""
    job = agreement.under_way(project)
    if "HX-Request" in request.headers and job is not None and job.is_live:
        return render(request, "quality/_job.html", {"project": project, "job": job})
    context = {"project": project, "job": job, **_figures(request, project)}
    response = render(request, "quality/agreement.html", context)
    if "HX-Request" in request.headers:
        response["HX-Refresh"] = "true"  # the figures are there: show the page anew
    response["Vary"] = "HX-Request"
    return response


@require_POST
@access.lead
def compute(request: access.UserRequest, project: Project) -> HttpResponse:
    """Compute the figures again, or go on with the attempt that failed."""
    job = agreement.under_way(project)
    try:
        if job is not None and job.has_failed:
            jobs.retry(job, by=request.user)
        else:
            agreement.measure_again(project, request.user)
    except Refused as no:
        access.tell(request, no)
    return redirect("quality", project.slug)


def _figures(request: access.UserRequest, project: Project) -> dict[str, Any]:
    done = agreement.measured(project)
    result = done.metrics.get("result") if done else None
    if done is None or not result:
        return {"measured": None, "overlap": project.review_rules.overlap}
    names = {LABEL: "Safe, unsafe or rejected", **project.category_names()}
    aspects = {one["aspect"]: one for one in result["aspects"] if one["aspect"] in names}
    chosen = request.GET.get("aspect", LABEL)
    aspect = aspects.get(chosen) or aspects[LABEL]
    return {
        "measured": done, "result": result, "names": names, "aspect": aspect, "label": aspects[LABEL]["alpha"],
        "categories": spans([{"aspect": key, "name": names[key], **one["alpha"]} for key, one in aspects.items()]),
        "weeks": spans(aspect["weeks"]), "aspects": [(key, names[key]) for key in aspects],
        **_people(request.user, project, done, aspect),
    }  # fmt: skip


def _people(user: User, project: Project, done: Job, aspect: dict[str, Any]) -> dict[str, Any]:
    """Persons and pairs: all for leads; nobody else learns more here than about themselves."""
    everybody = project.role_of(user) in LEADS
    persons = [one for one in aspect["people"] if everybody or one["person"] == user.pk]
    known = User.objects.in_bulk([one["person"] for one in aspect["people"]])
    people = spans([{**one, "name": _name(known, one["person"])} for one in persons])
    pairs = [
        {**pair, "names": [_name(known, pair["first"]), _name(known, pair["second"])]}
        for pair in aspect["pairs"] if everybody
    ]  # fmt: skip
    # By name, never by figure: this is no leaderboard.
    return {"people": sorted(people, key=_by_name), "pairs": sorted(spans(pairs), key=lambda pair: pair["names"])}


def _by_name(row: dict[str, Any]) -> str:
    return str(row["name"]).lower()


def _name(known: dict[int, User], pk: int) -> str:
    return known[pk].get_username() if pk in known else f"person {pk}"
