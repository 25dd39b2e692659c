"""For those who keep the site up: does it live, can it work, how is it doing."""

from __future__ import annotations

from django.conf import settings
from django.db import connection
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.utils.crypto import constant_time_compare
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET

from curation.operations import health, meters

UNAVAILABLE = 503


@require_GET
@never_cache
def healthz(request: HttpRequest) -> HttpResponse:
    """Whether the site answers and reaches its database."""
    connection.ensure_connection()
    return HttpResponse("ok", content_type="text/plain")


@require_GET
@never_cache
def readyz(request: HttpRequest) -> HttpResponse:
    """Whether requests may come: database, migrations, Redis; 503 names what is missing."""
    found = health.readiness()
    return JsonResponse(found, status=200 if set(found.values()) == {"ok"} else UNAVAILABLE)


@require_GET
@never_cache
def metrics(request: HttpRequest) -> HttpResponse:
    """Meters for Prometheus, to whoever brings the token; without a token in the settings there is no such page."""
    if not settings.METRICS_TOKEN:
        raise Http404
    given = request.headers.get("Authorization", "").removeprefix("Bearer ")
    if not constant_time_compare(given, settings.METRICS_TOKEN):
        return HttpResponse(status=401, headers={"WWW-Authenticate": "Bearer"})
    return HttpResponse(meters.text(), content_type="text/plain; version=0.0.4; charset=utf-8")
