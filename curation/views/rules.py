from __future__ import annotations

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods

from curation.forms.rules import RulesForm
from curation.models import Project
from curation.operations import exams
from curation.views import access


@require_http_methods(["GET", "POST"])
@access.lead
def edit(request: access.UserRequest, project: Project) -> HttpResponse:
    """How this project reviews."""
    rules = project.review_rules
    form = RulesForm(request.POST or None, instance=rules)
    if request.method == "POST" and form.is_valid():
        form.keep(request.user)
        messages.success(request, "The rules hold from now on.")
        return redirect("quality-rules", project.slug)
    context = {
        "project": project, "form": form, "rules": rules,
        "questions": project.gold_questions.filter(active=True).count(),
        "examinable": sum(1 for size in exams.sizes(project, rules).values() if size),
        "categories": len(project.category_names()),
    }  # fmt: skip
    return render(request, "quality/rules.html", context, status=422 if form.errors else 200)
