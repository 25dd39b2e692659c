"""What the moderation API takes and gives, for its OpenAPI document. Requests are read by `classifier.moderation`."""

from __future__ import annotations

from typing import Any

from ninja import Schema

from classifier.moderation import MOST_CHARACTERS, MOST_TEXTS


class Result(Schema):
    flagged: bool
    categories: dict[str, bool]
    category_scores: dict[str, float]
    category_applied_input_types: dict[str, list[str]]


class Moderation(Schema):
    id: str
    model: str
    results: list[Result]


class AnsweringGuard(Schema):
    number: int
    digest: str
    backend: str


class Decision(Schema):
    flagged: bool
    decision: str
    unsafe: float
    categories: list[str]
    category_scores: dict[str, float]


class Decisions(Schema):
    guard: AnsweringGuard
    policy: str
    threshold: float
    results: list[Decision]


class Model(Schema):
    id: str
    object: str
    created: int
    owned_by: str


class Models(Schema):
    object: str
    data: list[Model]


class Error(Schema):
    message: str
    type: str
    param: str | None
    code: str | None


class Refusal(Schema):
    error: Error


ANSWERS: dict[int, Any] = dict.fromkeys((400, 401, 404, 413, 429, 503), Refusal)
_TEXT = {"type": "string", "maxLength": MOST_CHARACTERS, "pattern": r"\S"}
_PART = {
    "type": "object", "required": ["type", "text"],
    "properties": {"type": {"type": "string", "enum": ["text"]}, "text": _TEXT},
}  # fmt: skip
REQUEST: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {"application/json": {"schema": {
            "type": "object", "required": ["input"],
            "properties": {
                "input": {"oneOf": [
                    _TEXT, {"type": "array", "items": _TEXT, "minItems": 1, "maxItems": MOST_TEXTS},
                    {"type": "array", "items": _PART, "minItems": 1, "maxItems": MOST_TEXTS},
                ]},
                "model": {"type": "string", "description": "guard-N, or left out for the active guard"},
            },
        }}},
    }
}  # fmt: skip
