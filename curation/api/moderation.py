"""The moderation API: OpenAI's shape, so that its clients work with only another address, and a richer one of ours."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial
from typing import Any

from django.core.exceptions import RequestDataTooBig
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.http.request import UnreadablePostError
from ninja import NinjaAPI
from ninja.security import HttpBearer

from classifier import moderation as shape
from classifier.moderation import BadRequest
from curation.api import moderation_schemas as schemas
from curation.models import ApiKey, Guard, Project
from curation.operations import moderation, traffic

logger = logging.getLogger(__name__)

NO_KEY = "No working API key was given. Send one as `Authorization: Bearer wsk-...`; a lead makes keys under Guards."


class Key(HttpBearer):
    """A project's key as a bearer token; `request.auth` is its row."""

    def authenticate(self, request: HttpRequest, token: str) -> ApiKey | None:
        return ApiKey.objects.of(token)

    def __call__(self, request: HttpRequest) -> Any:
        # Of this API's own shape, and for every reason the same: missing, mistyped, unknown, revoked.
        if found := super().__call__(request):
            return found
        raise BadRequest(NO_KEY, code="invalid_api_key", status=401)


api = NinjaAPI(
    title="Whetstone moderation", version="1", urls_namespace="moderation", auth=Key(), description=__doc__,
    docs_url=None,  # its page loads scripts from elsewhere; openapi.json is enough for any client
)  # fmt: skip


class WatchedResponse(JsonResponse):
    """A response whose texts are looked at once it was sent: shadow and sample take nothing of the caller's time."""

    def __init__(self, data: Any, watch: Callable[[], object]) -> None:
        super().__init__(data)
        self._watch = watch

    def close(self) -> None:
        try:
            self._watch()
        finally:
            super().close()


@api.post("/moderations", response=schemas.ANSWERS | {200: schemas.Moderation}, openapi_extra=schemas.REQUEST)
def moderations(request: HttpRequest) -> HttpResponse:
    """Moderate texts, in OpenAI's shape; categories by the policy's crosswalk."""
    key, guard, texts, answer = _moderated(request)
    crosswalk = {
        category.key: category.crosswalk.get("openai") for category in key.project.policy_version.categories.all()
    }
    body = shape.response(f"guard-{guard.number}", answer["results"], crosswalk)
    return _watched(body, key.project, guard, texts, answer)


@api.post("/decisions", response=schemas.ANSWERS | {200: schemas.Decisions}, openapi_extra=schemas.REQUEST)
def decisions(request: HttpRequest) -> HttpResponse:
    """Decide about texts three ways, with scores under the policy's own keys and the digest of the guard."""
    key, guard, texts, answer = _moderated(request)
    body = {
        "guard": {"number": guard.number, "digest": answer["digest"], "backend": answer["backend"]},
        "policy": str(key.project.policy_version), "threshold": answer["threshold"], "results": answer["results"],
    }  # fmt: skip
    return _watched(body, key.project, guard, texts, answer)


@api.get("/models", response=schemas.ANSWERS | {200: schemas.Models})
def models(request: HttpRequest) -> HttpResponse:
    """The guards that answer for this key."""
    served = _key(request).project.guards.served().order_by("number")
    same = {"object": "model", "owned_by": "whetstone"}
    rows = [{"id": f"guard-{guard.number}", "created": int(guard.created_at.timestamp()), **same} for guard in served]
    return JsonResponse({"object": "list", "data": rows})


def _key(request: HttpRequest) -> ApiKey:
    key: ApiKey = request.auth  # type: ignore[attr-defined]
    return key


def _moderated(request: HttpRequest) -> tuple[ApiKey, Guard, list[str], dict[str, Any]]:
    key = _key(request)
    key.seen()
    wanted = shape.parse(_body(request))
    texts = shape.texts_of(wanted)
    guard, answer = moderation.moderate(key, shape.model_of(wanted), texts)
    return key, guard, texts, answer


def _body(request: HttpRequest) -> bytes:
    try:
        return request.body
    except RequestDataTooBig:
        raise BadRequest("The body is too large. Send fewer or shorter texts at a time.", status=413) from None
    except UnreadablePostError:
        raise BadRequest("The body broke off.") from None


def _watched(
    body: dict[str, Any], project: Project, guard: Guard, texts: list[str], answer: dict[str, Any]
) -> WatchedResponse:
    return WatchedResponse(body, partial(traffic.watch, project, guard, texts, answer["results"]))


@api.exception_handler(BadRequest)
def _refused(request: HttpRequest, no: BadRequest) -> HttpResponse:
    return JsonResponse(no.body, status=no.status, headers=no.headers)


@api.exception_handler(Exception)
def _failed(request: HttpRequest, error: Exception) -> HttpResponse:
    # The message of an unknown exception may quote a text: only its kind reaches the log.
    logger.error("%s while moderating", type(error).__name__)
    no = BadRequest("The site could not answer. Its log says more.", code="internal_error", status=500)
    return JsonResponse(no.body, status=500)
