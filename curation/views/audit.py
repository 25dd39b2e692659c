"""The audit trail of a project: who did what when, and whether the chain holds."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from django import forms
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.views.decorators.http import require_GET

from curation.models import Project
from curation.operations import audit
from curation.views import access
from pipeline.exporters.csv import Csv

PAGE = 50
DAY = {"class": "form-control", "type": "date"}
MEDIA = {"csv": "text/csv; charset=utf-8", "jsonl": "application/x-ndjson"}


class TrailForm(forms.Form):
    """Which entries. All of it is in the address, so that a search can be sent to somebody."""

    who = forms.CharField(max_length=150, required=False)
    what = forms.CharField(max_length=60, required=False)
    about = forms.CharField(label="Which object", max_length=80, required=False)
    since = forms.DateField(label="From", required=False, widget=forms.DateInput(attrs=DAY))
    until = forms.DateField(label="To", required=False, widget=forms.DateInput(attrs=DAY))
    before = forms.IntegerField(required=False, min_value=1, max_value=2**62, widget=forms.HiddenInput)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name, example in (("who", "a person"), ("what", "as release made"), ("about", "as guard:7 or a name")):
            self.fields[name].widget.attrs = {"class": "form-control", "placeholder": example, "autocomplete": "off"}

    def question(self) -> audit.Question:
        self.full_clean()
        good: Mapping[str, Any] = getattr(self, "cleaned_data", {})
        return audit.Question(**{name: good.get(name) or getattr(audit.ANY, name) for name in
                                 ("who", "what", "about", "since", "until")})  # fmt: skip


def _address(request: HttpRequest, **changes: Any) -> str:
    query = request.GET.copy()
    query.pop("before", None)
    for name, value in changes.items():
        query[name] = str(value)
    return query.urlencode()


@require_GET
@access.lead
def index(request: access.UserRequest, project: Project) -> HttpResponse:
    """A page of entries that fit, newest first."""
    form = TrailForm(request.GET)
    asked = form.question()
    before = form.cleaned_data.get("before")
    found = list(audit.search(project, asked, before)[: PAGE + 1])
    context = {
        "project": project, "form": form, "entries": found[:PAGE], "asked": asked != audit.ANY, "before": before,
        "query": _address(request),
        "older": _address(request, before=found[PAGE - 1].link) if len(found) > PAGE else "",
    }  # fmt: skip
    return render(request, "member/audit.html", context, status=422 if form.errors else 200)


@require_GET
@access.lead
def chain(request: access.UserRequest, project: Project) -> HttpResponse:
    """Whether every link fits the one before: all entries of the site are read."""
    context = {"project": project, "chain": audit.verify()}
    whole = "HX-Request" not in request.headers
    return render(request, "member/chain.html" if whole else "member/_chain.html", context)


@require_GET
@access.lead
def export(request: access.UserRequest, project: Project, form: str) -> HttpResponseBase:
    """What was searched for, as a file that is written while it is sent."""
    rows = audit.rows(audit.search(project, TrailForm(request.GET).question()))
    parts = Csv().parts(rows) if form == "csv" else (json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    headers = {"Content-Disposition": f'attachment; filename="{project.slug}-audit.{form}"'}
    return StreamingHttpResponse(parts, content_type=MEDIA[form], headers=headers)
