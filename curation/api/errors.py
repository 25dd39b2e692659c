"""Every refusal has one shape: a code for programs, a sentence for people, and the field it is about."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.core.exceptions import ObjectDoesNotExist, RequestDataTooBig
from django.http import Http404, HttpRequest, HttpResponse
from django.utils.translation import gettext
from ninja import NinjaAPI
from ninja.errors import AuthenticationError, HttpError, ValidationError

from curation.operations import Refused

STATUS = {
    "lease-lost": 409, "conflict": 409, "key-reused": 422, "invalid": 422, "stale": 412, "forbidden": 403,
}  # fmt: skip
CODES = {400: "bad-request", 401: "signed-out", 403: "forbidden", 413: "too-large"}
PLACES = ("body", "query", "path", "header")


def install(api: NinjaAPI) -> None:
    """Have this API answer every failure in the one shape."""

    def answer(request: HttpRequest, status: int, body: Mapping[str, Any]) -> HttpResponse:
        return api.create_response(request, body, status=status)

    @api.exception_handler(Refused)
    def refused(request: HttpRequest, no: Refused) -> HttpResponse:
        said = " ".join(gettext(part) for part in (no.message, no.remedy) if part)
        body = {"code": no.code, "message": said, **no.facts}
        return answer(request, STATUS.get(no.code, 409), body | ({"field": no.field} if no.field else {}))

    @api.exception_handler(ValidationError)
    def invalid(request: HttpRequest, error: ValidationError) -> HttpResponse:
        return answer(request, 422, in_words(error))

    @api.exception_handler(Http404)
    @api.exception_handler(ObjectDoesNotExist)
    def missing(request: HttpRequest, error: Exception) -> HttpResponse:
        return answer(request, 404, {"code": "not-found", "message": "There is nothing here, or it is not yours."})

    @api.exception_handler(AuthenticationError)
    def stranger(request: HttpRequest, error: Exception) -> HttpResponse:
        return answer(request, 401, {"code": "signed-out", "message": "Sign in, or send a personal token."})

    @api.exception_handler(RequestDataTooBig)
    def too_large(request: HttpRequest, error: Exception) -> HttpResponse:
        return answer(request, 413, {"code": "too-large", "message": "That is more than one request may carry."})

    @api.exception_handler(HttpError)
    def http(request: HttpRequest, error: HttpError) -> HttpResponse:
        code = CODES.get(error.status_code, "refused")
        message = "The request is no JSON object." if error.status_code == 400 else str(error)
        return answer(request, error.status_code, {"code": code, "message": message})


def in_words(error: ValidationError) -> dict[str, Any]:
    """The first thing that is wrong, with its field; never the value, which may be text of an example."""
    first = error.errors[0]
    names = [str(part) for part in first["loc"] if part not in PLACES]
    field = (
        names[-1] if names and not names[-1].isdigit() else next((n for n in reversed(names) if not n.isdigit()), "")
    )
    return {"code": "invalid", "message": f"{first['msg']}.".replace("..", "."), "field": field}
