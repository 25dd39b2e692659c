"""OpenAI's moderation request and response, and what our own answer adds. Loads without torch.

Shapes: https://platform.openai.com/docs/api-reference/moderations. Only text is taken. Errors have OpenAI's shape as
well, so that its clients raise what their users know; none of them quotes a text.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping, Sequence
from typing import Any

MOST_TEXTS = 1_000  # of one request
MOST_CHARACTERS = 100_000  # of one text
MOST_BYTES = 4 * 2**20  # of one request's body
OPENAI_CATEGORIES = (
    "harassment", "harassment/threatening", "hate", "hate/threatening", "illicit", "illicit/violent", "self-harm",
    "self-harm/intent", "self-harm/instructions", "sexual", "sexual/minors", "violence", "violence/graphic",
)  # fmt: skip
OPENAI_NAMES = ("omni-moderation", "text-moderation")  # what clients that were written for OpenAI ask for


class BadRequest(Exception):
    """A request that cannot be answered as it is; becomes an error of OpenAI's shape."""

    def __init__(self, message: str, *, param: str | None = None, code: str | None = None, status: int = 400) -> None:
        super().__init__(message)
        self.message, self.param, self.code, self.status = message, param, code, status
        self.headers: dict[str, str] = {}

    @property
    def body(self) -> dict[str, Any]:
        """The error as OpenAI writes it."""
        return {"error": {"message": self.message, "type": TYPES.get(self.status, "invalid_request_error"),
                          "param": self.param, "code": self.code}}  # fmt: skip


TYPES = {401: "authentication_error", 429: "rate_limit_error", 500: "server_error", 503: "server_error"}


class TooBusy(BadRequest):
    """More was asked than can be answered in time: try again after `seconds`."""

    def __init__(self, message: str, seconds: float) -> None:
        super().__init__(message, code="rate_limit_exceeded", status=429)
        self.headers = {"Retry-After": str(max(1, round(seconds)))}


class Unavailable(BadRequest):
    """There is nothing that could answer just now."""

    def __init__(self, message: str) -> None:
        super().__init__(message, code="guard_unavailable", status=503)
        self.headers = {"Retry-After": "5"}


def parse(body: bytes) -> dict[str, Any]:
    """Read the JSON object of a request.

    Raises:
        BadRequest: it is too large, not JSON, or not an object.
    """
    if len(body) > MOST_BYTES:
        raise BadRequest(f"The body has {len(body):,} bytes; at most {MOST_BYTES:,} are taken.", status=413)
    try:
        request = json.loads(body)
    except (ValueError, RecursionError):
        raise BadRequest('The body is not JSON. Send an object such as {"input": "..."}.') from None
    if not isinstance(request, dict):
        raise BadRequest(f'The body should be an object such as {{"input": "..."}}, found {_kind(request)}.')
    return request


def texts_of(request: Mapping[str, Any]) -> list[str]:
    """The texts of `input`: a string, an array of strings, or an array of text parts, which is one text.

    Raises:
        BadRequest: anything else; the message names the place and the kind that was found, never a text.
    """
    if "input" not in request:
        raise BadRequest("input is missing. Send a string or an array of strings.", param="input")
    given = request["input"]
    if isinstance(given, str):
        return [_checked(given, "input")]
    if not isinstance(given, list):
        raise BadRequest(f"input should be a string or an array of strings, found {_kind(given)}.", param="input")
    if not given:
        raise BadRequest("input is an empty array. Send at least one text.", param="input")
    if len(given) > MOST_TEXTS:
        raise BadRequest(
            f"input has {len(given):,} items; at most {MOST_TEXTS:,} are taken. Send several requests.", param="input"
        )
    if all(isinstance(part, dict) for part in given):
        return [_checked("\n\n".join(_part(part, at) for at, part in enumerate(given)), "input")]
    return [_checked(text, f"input[{at}]") for at, text in enumerate(given)]


def _part(part: Mapping[str, Any], at: int) -> str:
    if part.get("type") != "text" or not isinstance(part.get("text"), str):
        raise BadRequest(
            f'input[{at}] should be {{"type": "text", "text": "..."}}; images are not read by this guard.',
            param="input",
        )
    return str(part["text"])


def _checked(text: Any, where: str) -> str:
    if not isinstance(text, str):
        raise BadRequest(f"{where} should be a string, found {_kind(text)}.", param="input")
    if not text.strip():
        raise BadRequest(f"{where} is empty. Leave texts without content out.", param="input")
    if len(text) > MOST_CHARACTERS:
        raise BadRequest(
            f"{where} has {len(text):,} characters; at most {MOST_CHARACTERS:,} are taken. Send it in pieces.",
            param="input", code="string_above_max_length",
        )  # fmt: skip
    return text


def model_of(request: Mapping[str, Any]) -> str | None:
    """The model that a request names; None for the default one, which OpenAI's own names stand for as well.

    Raises:
        BadRequest: it is not a name.
    """
    name = request.get("model")
    if name is not None and not isinstance(name, str):
        raise BadRequest(f"model should be a string, found {_kind(name)}.", param="model")
    return None if not name or name.startswith(OPENAI_NAMES) else name


def unknown_model() -> BadRequest:
    """The answer for a model that is not there, or not there for this key: the same for both."""
    return BadRequest(
        "There is no such model here. Leave model out to use the active guard.",
        param="model", code="model_not_found", status=404,
    )  # fmt: skip


def _kind(value: Any) -> str:
    names = {dict: "an object", list: "an array", str: "a string", bool: "a boolean", type(None): "null"}
    return names.get(type(value), "a number")


def response(model: str, results: Sequence[Mapping[str, Any]], crosswalk: Mapping[str, Any] | None) -> dict[str, Any]:
    """OpenAI's response for results of the serving program.

    `crosswalk` says which of OpenAI's categories each of ours is; without one, categories go by our keys.
    """
    shaped = [_result(result, crosswalk) for result in results]
    return {"id": f"modr-{secrets.token_hex(12)}", "model": model, "results": shaped}


def _result(result: Mapping[str, Any], crosswalk: Mapping[str, Any] | None) -> dict[str, Any]:
    own: Mapping[str, float] = result["category_scores"]
    named = set(result["categories"])
    if crosswalk is None:
        scores, flags = dict(own), {key: key in named for key in own}
    else:
        scores = dict.fromkeys(OPENAI_CATEGORIES, 0.0)
        flags = dict.fromkeys(OPENAI_CATEGORIES, False)
        for key, score in own.items():
            for name in _names(crosswalk.get(key)):
                scores[name] = max(scores[name], score)
                flags[name] = flags[name] or key in named
    return {
        "flagged": result["flagged"], "categories": flags, "category_scores": scores,
        "category_applied_input_types": {name: ["text"] for name in flags},
    }  # fmt: skip


def _names(elsewhere: Any) -> list[str]:
    """OpenAI's categories that a crosswalk entry names: one, several, or none that OpenAI knows."""
    names = elsewhere if isinstance(elsewhere, list) else [elsewhere]
    return [name for name in names if name in OPENAI_CATEGORIES]
