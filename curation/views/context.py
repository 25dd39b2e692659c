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


def chrome(request: HttpRequest) -> dict[str, Any]:
    """Navigation, role and warnings of the project that the address names, where it is the user's."""
    match = request.resolver_match
    slug = match.kwargs.get("slug") if match else None
    project = Project.objects.visible_to(request.user).filter(slug=slug).first() if slug else None
    if project is None or match is None or not isinstance(request.user, User):
        return {}
    role = project.role_of(request.user)
    name = match.url_name or ""
    waiting = Example.objects.filter(project=project).waiting_for(request.user)[:MANY]
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
