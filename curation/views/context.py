"""What every page shows around its content."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.models import User
from django.http import HttpRequest

from curation import oidc
from curation.models import Example, Preferences, Project
from curation.models.project import ADJUDICATORS, LEADS, REVIEWERS
from curation.operations import health, jobs

NAVIGATION = (
    ("overview", "Overview", "layout-dashboard"),
    ("examples", "Examples", "list-details"),
    ("rounds", "Rounds", "refresh"),
    ("review", "Review", "eye-check"),
    ("queue", "Queue", "inbox"),
    ("quality", "Quality", "circle-check"),
    ("guards", "Guards", "shield-check"),
    ("releases", "Releases", "package"),
    ("members", "People", "users"),
)
OUTSIDE = ("settings", "password", "sessions", "tokens")  # pages of no project, from which one goes back to one
LAST = "project"  # in the session
MANY = 100  # waiting examples; counting further tells nobody more
SECTIONS = {
    "example": "examples", "import": "examples", "round": "rounds", "plan": "rounds", "recipe": "rounds",
    "recipes": "rounds", "guard": "guards", "release": "releases",
    "member": "members", "audit": "members", "webhook": "members", "webhooks": "members",
}  # fmt: skip


def look(request: HttpRequest) -> dict[str, str]:
    """The theme that was chosen in this browser, nothing where the system decides; and who else signs people in."""
    theme = request.COOKIES.get("theme", "")
    return {
        "theme": theme if theme in Preferences.Theme.values and theme != Preferences.Theme.SYSTEM else "",
        "oidc_name": oidc.name(),
    }


def _project(request: HttpRequest) -> Project | None:
    """The project that the address names; on one's settings, and where nothing is, the one that one comes from."""
    match = request.resolver_match
    mine = Project.objects.visible_to(request.user)
    if slug := match.kwargs.get("slug") if match else None:
        if (named := mine.filter(slug=slug).first()) and request.session.get(LAST) != slug:
            request.session[LAST] = slug
        return named
    wanders = match is None or match.url_name in OUTSIDE
    return mine.filter(slug=request.session.get(LAST, "")).first() if wanders else None


def chrome(request: HttpRequest) -> dict[str, Any]:
    """Navigation, role and warnings of the project that one is in, where it is the user's."""
    user = getattr(request, "user", None)
    project = _project(request) if isinstance(user, User) else None
    if project is None or not isinstance(user, User):
        return {}
    role = project.role_of(user)
    name = (request.resolver_match and request.resolver_match.url_name) or ""
    waiting = Example.objects.filter(project=project).waiting_for(user)[:MANY]
    return {
        "nav_project": project,
        "nav_items": [row for row in NAVIGATION if row[0] != "queue" or role in LEADS],
        "nav_section": SECTIONS.get(name.split("-")[0], name.split("-")[0]),
        "may_lead": role in LEADS,
        "may_review": role in REVIEWERS,
        "may_adjudicate": role in ADJUDICATORS,
        "nav_waiting": waiting.count() if role in REVIEWERS else 0,
        "losses": health.losses() if role in LEADS else [],
        "nobody_works": project.jobs.live().exists() and not jobs.workers_alive(),
    }
