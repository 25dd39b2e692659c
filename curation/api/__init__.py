"""The HTTP API: the same acts as at the desk, with the same guarantees; and reading what a project holds."""

from __future__ import annotations

from ninja import NinjaAPI

from curation.api.auth import BearerToken, Session
from curation.api.data import router as reading
from curation.api.errors import install
from curation.api.examples import router as examples
from curation.api.reviews import router as reviews
from curation.models import PersonalToken

api = NinjaAPI(
    title="Whetstone",
    version="1",
    description=__doc__,
    auth=[BearerToken(PersonalToken.Scope.REVIEW), Session()],
    urls_namespace="api",
    docs_url=None,  # its page loads scripts from elsewhere; openapi.json is enough for any client
)
api.add_router("/projects/{slug}/review", reviews, tags=["review"])
api.add_router("/projects/{slug}/review", examples, tags=["examples"])
api.add_router("/projects", reading, tags=["data"])
install(api)
