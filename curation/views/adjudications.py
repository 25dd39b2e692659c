from __future__ import annotations

from collections import Counter
from typing import Any

from django.contrib import messages
from django.contrib.auth.models import User
from django.core import signing
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.http import require_GET, require_http_methods

from curation.api.items import veil_severity
from curation.forms.quality import SettleForm
from curation.models import Adjudication, Project, Verdict
from curation.operations import Refused, adjudication
from curation.views import access

MANY = 200  # cases that one page lists
OPENED = "case-opened"
LONGEST = 3600.0  # seconds; longer than this somebody was elsewhere


@require_GET
@access.adjudicator
def index(request: access.UserRequest, project: Project) -> HttpResponse:
    """Open cases that this person may settle, those with the least agreement first."""
    cases = [_row(case) for case in adjudication.waiting(project, request.user)[:MANY]]
    cases.sort(key=lambda row: -row["apart"])
    closed = project.adjudications.exclude(verdict=None)
    opened = project.adjudications.filter(closed_at=None).count()
    causes = Counter(closed.values_list("cause", flat=True))
    context = {
        "project": project, "cases": cases, "others": opened - len(cases) if opened <= MANY else 0,
        "names": project.category_names(), "closed": closed.count(),
        "causes": [(label, causes[value]) for value, label in Adjudication.Cause.choices],
    }  # fmt: skip
    return render(request, "quality/disputes.html", context)


def _row(case: Adjudication) -> dict[str, Any]:
    sides = adjudication.sides(case)
    passed = Verdict.Decision.ESCALATE
    said = Counter("passed on" if side.decision == passed else side.label or "rejected" for side in sides)
    return {"case": case, "apart": adjudication.apartness(sides), "said": said.most_common(), "sides": sides}


@require_http_methods(["GET", "POST"])
@access.adjudicator
def detail(request: access.UserRequest, project: Project, pk: int) -> HttpResponse:
    """One case: the verdicts side by side without names, and the verdict that settles it."""
    found = adjudication.waiting(project, request.user)
    if request.method == "POST" and not found.filter(pk=pk).exists() and project.adjudications.filter(pk=pk).exists():
        access.tell(request, Refused(adjudication.SETTLED, "The next case is already there."))
        return redirect("quality-disputes", project.slug)
    case = get_object_or_404(found, pk=pk)
    sides = adjudication.sides(case)
    form = SettleForm(
        request.POST or None, categories=project.category_names(), disagreed=adjudication.disagreed(sides)
    )
    if request.method == "POST" and form.is_valid() and _settled(request, case, form):
        messages.success(request, f"Example {case.example_id} is settled.")
        following = found.exclude(pk=pk).first()
        return redirect("quality-dispute", project.slug, following.pk) if following else _back(project)
    context = _context(project, request.user, case, sides, form)
    return render(request, "quality/dispute.html", context, status=422 if form.errors else 200)


def _back(project: Project) -> HttpResponse:
    return redirect("quality-disputes", project.slug)


def _settled(request: access.UserRequest, case: Adjudication, form: SettleForm) -> bool:
    values = form.cleaned_data
    try:
        adjudication.settle(
            case, request.user, values["label"], values["categories"], cause=values.get("cause", ""),
            confidence=values["confidence"], note=values["note"], seconds=_seconds(request.POST.get("opened", "")),
        )  # fmt: skip
    except Refused as no:
        form.add_error(no.field if no.field in form.fields else None, f"{no.message} {no.remedy}".strip())
        return False
    return True


def _seconds(opened: str) -> float | None:
    """How long the case was on the screen, from the signed time at which it was opened."""
    try:
        return min(timezone.now().timestamp() - float(signing.loads(opened, salt=OPENED)), LONGEST)
    except (signing.BadSignature, ValueError, TypeError):
        return None


def _context(
    project: Project, by: User, case: Adjudication, sides: list[adjudication.Side], form: SettleForm
) -> dict[str, Any]:
    at_issue = {key for side in sides for key in side.categories} | set(case.example.proposed_categories)
    policy = [one for one in project.policy_version.categories.all() if one.key in at_issue]
    worst = max((one.severity for one in policy), default=0)
    return {
        "project": project, "case": case, "example": case.example, "sides": sides, "form": form, "policy": policy,
        "names": project.category_names(), "veiled": worst >= veil_severity(project, by), "worst": worst,
        "opened": signing.dumps(timezone.now().timestamp(), salt=OPENED),
    }  # fmt: skip
