"""A person at the review API, for tests."""

from __future__ import annotations

import uuid
from typing import Any

from django.contrib.auth.models import User
from django.test import Client

from curation.models import Project

JSON = "application/json"


class Desk:
    """One person at the API of one project."""

    def __init__(self, project: Project, user: User, token: str = "") -> None:
        self.user = user
        self.client, self.base = Client(), f"/api/v1/projects/{project.slug}/review/"
        self.headers = {"Authorization": f"Bearer {token}"} if token else {}
        if not token:
            self.client.force_login(user)

    def post(self, path: str, body: Any = None, **headers: str) -> Any:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.client.post(self.base + path, body or {}, JSON, headers=self.headers | named)

    def put(self, path: str, body: Any, **headers: str) -> Any:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.client.put(self.base + path, body, JSON, headers=self.headers | named)

    def get(self, path: str) -> Any:
        return self.client.get(self.base + path, headers=self.headers)

    def delete(self, path: str) -> Any:
        return self.client.delete(self.base + path, headers=self.headers)

    def claim(self, n: int = 6, **more: Any) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.post("claim", {"n": n, **more}).json()["items"]
        return found

    def judge(self, item: dict[str, Any], decision: str = "accept", key: str = "", **more: Any) -> Any:
        body = {"lease": item["lease"], "example": item["example"], "version": item["version"], "decision": decision}
        return self.post("verdicts", body | more, Idempotency_Key=key or str(uuid.uuid4()))
