"""The desk and the bulk page. Their acts go through the API; without scripts a plain form on the same page does."""

from __future__ import annotations

import re
from typing import Any
from uuid import UUID, uuid4

from django.http import Http404, HttpRequest, HttpResponse
from django.middleware.csrf import get_token
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop
from django.views.decorators.http import require_GET, require_POST

from curation import keymap
from curation.api.items import items_of
from curation.models import Project
from curation.operations import Refused, desk, queue, reviews
from curation.views import access

# Stored in English, whatever language the person reads: they are counted.
REASONS = (
    gettext_noop("Not a message somebody would send"), gettext_noop("Meaning is unclear"),
    gettext_noop("Too close to another example"), gettext_noop("Wrong language"),
    gettext_noop("Should not be in any dataset"),
)  # fmt: skip
ID = re.compile(r"[0-9]{1,18}")
LONGEST_SITTING = 24 * 3600.0  # seconds; a longer time on one example is a clock's mistake
BULK = 25  # cards


@require_GET
@access.reviewer
def index(request: access.UserRequest, project: Project) -> HttpResponse:
    """The desk. Before the first example: what will be read, and where support is."""
    if note := _note(request, project):
        return note
    return _desk(request, project)


def _note(request: access.UserRequest, project: Project) -> HttpResponse | None:
    """The content warning, once a session."""
    noted, rules = f"content-note:{project.pk}", project.review_rules
    if not (project.content_note or rules.support) or request.session.get(noted):
        return None
    if "understood" not in request.GET:
        return render(request, "review/note.html", {"project": project, "rules": rules})
    request.session[noted] = True
    return redirect(request.path)


def _config(request: access.UserRequest, project: Project) -> dict[str, Any]:
    return desk.settings_for(project, request.user) | {
        "api": f"/api/v1/projects/{project.slug}/review/",
        "csrf": get_token(request),
        "overview": reverse("overview", args=[project.slug]),
        "login": reverse("login"),
        "recent": desk.recent(project, request.user),
    }


def _frame(request: access.UserRequest, project: Project) -> dict[str, Any]:
    """What the desk and the bulk page have in common."""
    return {
        "project": project, "config": _config(request, project), "look": desk.preferences_of(request.user),
        "categories": list(project.policy_version.categories.all()), "names": project.category_names(),
        "reasons": [(reason, _(reason)) for reason in REASONS], "bulk_allowed": project.review_rules.bulk_allowed,
        "key_groups": [
            {"name": name, "acts": [act for act in keymap.ACTS if act.group == group]}
            for group, name in keymap.GROUPS.items()
        ],
    }  # fmt: skip


def _desk(
    request: access.UserRequest, project: Project, *, said: str = "", refused: Refused | None = None, wanted: int = 0
) -> HttpResponse:
    """The page, with the plain form for one example inside; `wanted` is the one to show first, where it is held."""
    hand = queue.claim(project, request.user, 1)
    leases = sorted(hand.leases, key=lambda lease: lease.example_id != wanted)
    lease = leases[0] if leases else None
    example = lease.example if lease else None
    shown = items_of(project, request.user, [lease]) if lease else []
    context = _frame(request, project) | {
        "lease": lease, "example": example, "said": said, "refused": refused, "pause": hand.pause, "key": uuid4(),
        "veiled": any(item["veiled"] for item in shown),
        "waits_for_others": project.examples.filter(state="queued").exists(),
    }  # fmt: skip
    return render(request, "review/desk.html", context, status=409 if refused else 200)


@require_POST
@access.reviewer
def judge(request: access.UserRequest, project: Project) -> HttpResponse:
    """Take a verdict from the plain form and show the next example."""
    wanted = request.POST.get("example", "")
    if not ID.fullmatch(wanted) or not (example := project.examples.filter(pk=int(wanted)).only("pk").first()):
        gone = Refused(_("This example is not here any more."), _("Here is the next one."))
        return _desk(request, project, refused=gone)
    try:
        reviews.submit(project, request.user, example.pk, _answer(request))
    except Refused as no:
        return _desk(request, project, refused=no, wanted=example.pk)
    said = {
        "accept": _("Approved"), "reject": _("Rejected"), "relabel": _("Relabelled"), "skip": _("Skipped"),
        "escalate": _("Handed on"),
    }  # fmt: skip
    return _desk(request, project, said=said[request.POST["decision"]])


def _answer(request: HttpRequest) -> reviews.Answer:
    posted = request.POST
    version = posted.get("version", "")
    return reviews.Answer(
        posted.get("decision", ""), posted.get("label"), tuple(posted.getlist("categories")), posted.get("reason", ""),
        seconds=_seconds(posted.get("seconds", "")), version=int(version) if ID.fullmatch(version) else None,
        key=_key(posted.get("key", "")),
    )  # fmt: skip


def _key(value: str) -> UUID | None:
    """The form's own key: sent twice, by a double click or a reload, it counts once."""
    try:
        return UUID(value)
    except ValueError:
        return None


def _seconds(value: str) -> float | None:
    try:
        return min(max(float(value), 0.0), LONGEST_SITTING)
    except ValueError:
        return None


@require_POST
@access.reviewer
def undo(request: access.UserRequest, project: Project) -> HttpResponse:
    """Take the last verdict back and show its example again."""
    try:
        example = reviews.undo(request.user, project)
    except Refused as no:
        return _desk(request, project, refused=no)
    if example is None:
        return _desk(request, project, said=_("Nothing to take back"))
    return _desk(request, project, said=_("Taken back"), wanted=example.pk)


@require_GET
@access.reviewer
def bulk(request: access.UserRequest, project: Project) -> HttpResponse:
    """Many examples as cards, decided together."""
    if not project.review_rules.bulk_allowed:
        raise Http404
    if note := _note(request, project):
        return note
    return render(request, "review/bulk.html", _frame(request, project) | {"cards": BULK})
