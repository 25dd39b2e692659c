from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from curation.api.items import veil_severity
from curation.forms.quality import GoldForm, TakeForm
from curation.models import GoldQuestion, Project
from curation.operations import Refused, gold
from curation.operations import exams as examination
from curation.operations.quality import Share
from curation.views import access
from curation.views.charts import Span


@require_GET
@access.lead
def index(request: access.UserRequest, project: Project) -> HttpResponse:
    """All known questions with how people answered them."""
    return render(request, "quality/gold.html", _context(project, TakeForm()))


def _context(project: Project, form: TakeForm) -> dict[str, Any]:
    rows = gold.with_answers(project)
    for row in rows:
        share = Share(row["right"], row["answers"])
        row["span"], row["share"] = Span(share.value, share.low, share.high), share
    return {
        "project": project, "rows": rows, "form": form, "names": project.category_names(),
        "rules": project.review_rules, "active": sum(row["question"].active for row in rows),
    }  # fmt: skip


@require_POST
@access.lead
def take(request: access.UserRequest, project: Project) -> HttpResponse:
    """Make known questions of examples that several people agreed on."""
    form = TakeForm(request.POST)
    if not form.is_valid():
        return render(request, "quality/gold.html", _context(project, form), status=422)
    made = gold.take_agreed(project, request.user, form.cleaned_data["wanted"])
    if made:
        messages.success(request, f"{made} known questions made.")
    else:
        access.tell(request, Refused("No example was judged alike by two people.", "Raise the overlap, or write one."))
    return redirect("quality-gold", project.slug)


@require_http_methods(["GET", "POST"])
@access.lead
def write(request: access.UserRequest, project: Project) -> HttpResponse:
    """Write a known question, or make one of an example."""
    form = GoldForm(request.POST or None, initial={"example": request.GET.get("example", "")}, project=project)
    if request.method == "POST" and form.is_valid():
        try:
            form.save(request.user)
        except Refused as no:
            form.add_error(no.field if no.field in form.fields else None, f"{no.message} {no.remedy}".strip())
        else:
            messages.success(request, "The question is known from now on.")
            return redirect("quality-gold", project.slug)
    context = {"project": project, "form": form, "names": project.category_names()}
    return render(request, "quality/gold_write.html", context, status=422 if form.errors else 200)


@require_POST
@access.lead
def switch(request: access.UserRequest, project: Project, pk: int) -> HttpResponse:
    """Stop asking a question, or ask it again."""
    question = get_object_or_404(GoldQuestion, project=project, pk=pk)
    GoldQuestion.objects.filter(pk=question.pk).update(active=not question.active)
    return redirect("quality-gold", project.slug)


@require_GET
@access.reviewer
def exams(request: access.UserRequest, project: Project) -> HttpResponse:
    """Every category with this person's exam in it."""
    rules = project.review_rules
    found = examination.overview(project, request.user, rules)
    return render(request, "quality/exams.html", {"project": project, "exams": found, "rules": rules})


@require_http_methods(["GET", "POST"])
@access.reviewer
def exam(request: access.UserRequest, project: Project, category: str) -> HttpResponse:
    """Take the exam of a category; graded at once, each answer with its explanation."""
    rules = project.review_rules
    context: dict[str, Any] = {
        "project": project,
        "rules": rules,
        "names": project.category_names(),
        "category": category,
    }
    try:
        if request.method == "POST":
            answers = _answers(request)
            attempt, graded = examination.grade(project, request.user, rules, request.POST.get("paper", ""), answers)
            return render(request, "quality/exam_result.html", {**context, "attempt": attempt, "graded": graded})
        questions, paper = examination.paper(project, request.user, category, rules)
    except Refused as no:
        access.tell(request, no)
        return redirect("quality-exams", project.slug)
    # All texts or none: covering only the severe ones would give the answers away.
    severity = project.policy_version.categories.get(key=category).severity
    veiled = severity >= veil_severity(project, request.user)
    shown = {"questions": questions, "paper": paper, "veiled": veiled, "severity": severity}
    return render(request, "quality/exam.html", {**context, **shown})


def _answers(request: access.UserRequest) -> dict[int, tuple[str, list[str]]]:
    """Label and categories by question, from fields as `label-7` and `categories-7`."""
    found = {}
    for name, value in request.POST.items():
        kind, _, number = name.partition("-")
        if kind == "label" and number.isdecimal() and len(number) < 19 and isinstance(value, str):
            label = "" if value == "reject" else value
            found[int(number)] = (label, request.POST.getlist(f"categories-{number}") if label == "unsafe" else [])
    return found
