"""Log lines that can be told apart: each knows its request. None holds an address's values or a word of a text."""

from __future__ import annotations

import logging
import re
import time
import uuid
from collections.abc import Callable
from contextvars import ContextVar

from django.http import HttpRequest, HttpResponse

logger = logging.getLogger("curation.request")

current: ContextVar[str] = ContextVar("request_id", default="")
GIVEN = re.compile(r"[A-Za-z0-9._-]{8,64}")  # an id that a proxy made; anything else could be text that somebody typed


class WithRequest(logging.Filter):
    """Gives each record the id of the request that it was made in, or an empty one."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.request_id = current.get()
        return True


class RequestLog:
    """Names each request, tells the client that name, and leaves a line of it: the route, never the address."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        given = request.headers.get("X-Request-ID", "")
        name = given if GIVEN.fullmatch(given) else uuid.uuid4().hex
        token, began = current.set(name), time.perf_counter()
        try:
            response = self._get_response(request)
            if logger.isEnabledFor(logging.INFO):
                self._tell(request, response, time.perf_counter() - began)
        finally:
            current.reset(token)
        response["X-Request-ID"] = name
        return response

    def _tell(self, request: HttpRequest, response: HttpResponse, seconds: float) -> None:
        match = request.resolver_match
        about = {
            "method": request.method, "route": match.route if match else "", "status": response.status_code,
            "ms": round(seconds * 1000, 1),
        }  # fmt: skip
        logger.info("request", extra=about)
