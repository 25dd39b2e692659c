from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from curation.forms.guards import PromotionForm, ReasonForm
from curation.models import Evaluation, EvaluationSet, Guard, Job, PeerEvaluation, Project
from curation.operations import Refused, guard_cards, guards, measuring, peers, scored, summary
from curation.views import access, plots
from curation.views.charts import Curve

SLICED = (("languages", "language"), ("lengths", "length"))


@require_GET
@access.member
def index(request: access.UserRequest, project: Project) -> HttpResponse:
    """All guards on one frozen set, the best first; and every guard on every set."""
    sets = list(project.evaluation_sets.order_by("-pk"))
    one = _set(request, sets)
    found = list(project.guards.select_related("round", "parent").order_by("-number"))
    ranking = _ranking(found, one)
    context = {
        "project": project, "guards": found, "sets": sets, "one": one, "ranking": ranking,
        "matrix": _matrix(found, sets[::-1]), "gaps": len(measuring.gaps(project)),
        "job": project.jobs.filter(kind=Job.Kind.MEASURE).order_by("-pk").first(),
        "active": guards.active_of(project), "before": guards.before_active(project), "reason": ReasonForm(),
        "with_peers": any("peer" in row for row in ranking), "elsewhere": peers.elsewhere(project, one),
        "published": peers.published_on(one),
    }  # fmt: skip
    return render(request, "guard/index.html", context)


def _set(request: access.UserRequest, sets: list[EvaluationSet], own: EvaluationSet | None = None) -> Any:
    """The frozen set that the address names, else the page's own, else the newest."""
    wanted = request.GET.get("set", "")
    return next((one for one in sets if str(one.pk) == wanted), own or (sets[0] if sets else None))


def _ranking(found: list[Guard], one: EvaluationSet | None) -> list[dict[str, Any]]:
    """Guards and peers on a set by average precision; guards that were not measured on it come last."""
    measured = dict(Evaluation.objects.filter(evaluation_set=one).values_list("guard", "metrics"))
    rows: list[dict[str, Any]] = [{"guard": guard, "metrics": measured.get(guard.pk) or {}} for guard in found]
    rows += [{"peer": peer, "metrics": peer.metrics} for peer in PeerEvaluation.objects.filter(evaluation_set=one)]
    for row in rows:
        row["span"] = (row["metrics"].get("intervals") or {}).get("average_precision")
    return sorted(rows, key=lambda row: -(row["metrics"].get("average_precision") or -1))


def _matrix(found: list[Guard], sets: list[EvaluationSet]) -> list[dict[str, Any]]:
    """Average precision of each guard on each set, with its place between the lowest and the highest of the set."""
    asked = Evaluation.objects.filter(evaluation_set__in=sets).values_list("guard", "evaluation_set", "metrics")
    values = {(guard, one): metrics.get("average_precision") for guard, one, metrics in asked}
    return [
        {"guard": guard, "cells": [_cell(values.get((guard.pk, one.pk)), one, values) for one in sets]}
        for guard in found
    ]


def _cell(value: float | None, one: EvaluationSet, values: dict[tuple[int, int], float | None]) -> dict[str, Any]:
    known = [other for (_, pk), other in values.items() if pk == one.pk and other is not None]
    if value is None:
        return {"value": None, "heat": 0, "set": one}
    low, high = min(known), max(known)
    return {"value": value, "heat": round(1 + 4 * (value - low) / (high - low)) if high > low else 5, "set": one}


@require_GET
@access.member
def detail(request: access.UserRequest, project: Project, number: int) -> HttpResponse:
    """One guard: figures, curves, slices, what a threshold would do, whether it may go live, where it comes from."""
    guard = get_object_or_404(project.guards.select_related("round__evaluation_set", "parent"), number=number)
    sets = list(project.evaluation_sets.order_by("-pk"))
    one = _set(request, sets, guard.round.evaluation_set)
    measured, active = scored.of(guard, one), guards.active_of(project)
    held = guards.checks(guard)
    points = [
        (float(row["epoch"]), float(row["validation_average_precision"])) for row in guard.metrics.get("history", [])
    ]
    curve = Curve("Average precision on validation, by epoch", "train", points, "epoch") if len(points) > 1 else None
    context = {
        "project": project, "guard": guard, "metrics": guard.metrics_on(one) or {}, "names": project.category_names(),
        "before": guard.parent.metrics_on(one) if guard.parent else None, "against": guard.parent,
        "moves": guard.moves(), "curve": curve, "sets": sets, "one": one,
        "checks": held, "checks_broken": any(check.passed is False for check in held),
        "reason": ReasonForm(), "measured": measured, "active": active,
        "others": project.guards.exclude(pk=guard.pk).order_by("-number"),
        **_sides(measured, project), **_threshold(request, measured),
    }  # fmt: skip
    return render(request, "guard/detail.html", context)


@require_GET
@access.member
def peer(request: access.UserRequest, project: Project, pk: int) -> HttpResponse:
    """Somebody else's guard: its figures on one frozen set, beside those of the active guard."""
    found = PeerEvaluation.objects.filter(evaluation_set__project=project).select_related(
        "evaluation_set", "measured_by"
    )
    one, active = get_object_or_404(found, pk=pk), guards.active_of(project)
    seconds, rows = one.metrics.get("seconds"), one.metrics.get("n")
    context = {
        "project": project, "peer": one, "metrics": one.metrics, "one": one.evaluation_set,
        "before": active.metrics_on(one.evaluation_set) if active else None, "against": active,
        "elsewhere": found.filter(spec=one.spec).exclude(pk=one.pk),
        "pace": seconds / rows if seconds and rows else None,
    }  # fmt: skip
    return render(request, "guard/peer.html", context)


def _sides(measured: scored.Scored | None, project: Project) -> dict[str, Any]:
    """Curves and slices, where rows were scored."""
    if measured is None:
        return {}
    slices = [{"by": words, "rows": getattr(measured, name)()} for name, words in SLICED]
    categories = measured.categories(list(project.category_names()))
    return {"plots": plots.of_guards([measured]), "slices": slices, "categories": categories}


def _threshold(request: access.UserRequest, measured: scored.Scored | None) -> dict[str, Any]:
    if measured is None:
        return {}
    try:
        at = min(1.0, max(0.0, float(request.GET.get("at", ""))))
    except ValueError:
        at = measured.threshold
    return {"at": at, "moved": scored.at_threshold(measured, at)}


@require_GET
@access.member
def threshold(request: access.UserRequest, project: Project, number: int) -> HttpResponse:
    """The fragment behind the slider: what a threshold would block or let pass."""
    guard = get_object_or_404(project.guards.select_related("round__evaluation_set"), number=number)
    measured = scored.of(guard, _set(request, list(project.evaluation_sets.all()), guard.round.evaluation_set))
    if measured is None:
        raise Http404
    context = {"project": project, "guard": guard, "measured": measured, **_threshold(request, measured)}
    return render(request, "guard/_threshold.html", context)


@require_GET
@access.member
def compare(request: access.UserRequest, project: Project, number: int, other: int) -> HttpResponse:
    """Two guards on one set: figures, curves, and the examples on which they differ."""
    found = project.guards.select_related("round__evaluation_set")
    pair = [get_object_or_404(found, number=one) for one in (number, other)]
    sets = list(project.evaluation_sets.order_by("-pk"))
    one = _set(request, sets, pair[0].round.evaluation_set)
    first, second = (scored.of(guard, one) for guard in pair)
    context: dict[str, Any] = {"project": project, "pair": pair, "one": one, "sets": sets, "first": first}
    if first and second:
        spans = scored.spans(first, second)
        rows = [
            (name, first.metrics.get(name), second.metrics.get(name), spans.get(name))
            for name in summary.FIGURES
            if name != "n"
        ]
        drawn = plots.of_guards([first, second])
        context |= {"figures": rows, "plots": drawn, "groups": scored.differences(first, second), "second": second}
    return render(request, "guard/compare.html", context)


@require_POST
@access.lead
def promote(request: access.UserRequest, project: Project, number: int) -> HttpResponse:
    """Make a guard the active one; against a rule, with the lead's reason."""
    guard = get_object_or_404(project.guards, number=number)
    form = ReasonForm(request.POST)
    try:
        reason = form.cleaned_data["reason"] if form.is_valid() else ""
        guards.promote(guard, request.user, reason=reason)
        messages.success(request, f"{guard} is active.")
    except Refused as no:
        access.tell(request, no)
    return redirect("guard", project.slug, number)


@require_POST
@access.lead
def roll_back(request: access.UserRequest, project: Project) -> HttpResponse:
    """Go back to the guard that was active before."""
    form = ReasonForm(request.POST)
    try:
        guard = guards.roll_back(project, request.user, form.cleaned_data["reason"] if form.is_valid() else "")
        messages.success(request, f"{guard} is active again.")
    except Refused as no:
        access.tell(request, no)
    return redirect("guards", project.slug)


@require_POST
@access.lead
def measure(request: access.UserRequest, project: Project) -> HttpResponse:
    """Have every guard measured on every frozen set where it was not."""
    measuring.fill_gaps(project, request.user)
    messages.success(request, "Queued. The figures appear here as they come.")
    return redirect("guards", project.slug)


@require_http_methods(["GET", "POST"])
@access.lead
def gate(request: access.UserRequest, project: Project) -> HttpResponse:
    """The rules for going live."""
    form = PromotionForm(request.POST or None, instance=guards.rules_of(project))
    if request.method == "POST" and form.is_valid():
        form.keep(request.user)
        messages.success(request, "Saved.")
        return redirect("guard-gate", project.slug)
    rules = guards.rules_of(project)
    return render(
        request, "guard/gate.html", {"project": project, "form": form, "rules": rules},
        status=422 if form.errors else 200,
    )  # fmt: skip


@require_GET
@access.member
def card(request: access.UserRequest, project: Project, number: int) -> HttpResponse:
    """The guard's card, for download."""
    guard = get_object_or_404(project.guards.select_related("round", "parent"), number=number)
    name = f"{project.slug}-guard-{guard.number}.md"
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return HttpResponse(guard_cards.card(guard), content_type="text/markdown; charset=utf-8", headers=headers)
