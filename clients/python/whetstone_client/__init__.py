"""A small typed client for Whetstone's API."""

from __future__ import annotations

import hashlib
import json
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, TypedDict, cast

import httpx

__all__ = [
    "Answer", "Example", "Item", "Project", "Refused", "Release", "ReleaseRow", "Unreachable", "Verdict", "Whetstone",
]  # fmt: skip

Decision = Literal["accept", "reject", "relabel", "skip", "escalate"]
TRIES = 6
LONGEST_WAIT = 30.0  # seconds between two tries
BUSY = (429, 502, 503, 504)


class Project(TypedDict):
    slug: str
    name: str
    role: str


class Proposed(TypedDict):
    label: str
    categories: list[str]


class Item(TypedDict, total=False):
    """Something to judge. `lease` and `version` go back with the verdict."""

    lease: int
    expires_in: int
    example: int
    version: int
    text: str
    language: str
    origin: str
    proposed: Proposed
    severity: int
    veiled: bool


class Verdict(TypedDict, total=False):
    verdict: int
    example: int
    state: str
    feedback: Any


class Example(TypedDict):
    id: int
    text: str
    state: str
    label: str
    categories: list[str]
    proposed_label: str
    proposed_categories: list[str]
    language: str
    origin: str
    split: str
    family: str
    parent: int | None
    version: int
    stage: str
    created_at: str


class ReleaseRow(TypedDict):
    id: int
    text: str
    label: str
    categories: list[str]
    family: str
    language: str
    origin: str
    parent: int | None
    split: str
    label_source: str


class ReleaseFile(TypedDict):
    name: str
    sha256: str
    bytes: int


class Release(TypedDict):
    number: int
    digest: str
    rows: int
    released_at: str
    files: list[ReleaseFile]


class Answer(TypedDict):
    """What the guard says of one text: OpenAI's shape."""

    flagged: bool
    categories: dict[str, bool]
    category_scores: dict[str, float]


class Refused(Exception):
    """The site understood and said no; trying the same again ends the same way."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status, self.code, self.message = status, code, message


class Unreachable(Exception):
    """Nobody answered, however often it was tried."""


class Whetstone:
    """One site, as one person (`token`) or one program (`key`, for the guard). Close it, or use it in a `with`."""

    def __init__(
        self, url: str, token: str = "", *, key: str = "", timeout: float = 30.0,
        transport: httpx.BaseTransport | None = None,
    ) -> None:  # fmt: skip
        self._token, self._key = token, key
        self._http = httpx.Client(base_url=url.rstrip("/"), timeout=timeout, transport=transport)

    def __enter__(self) -> Whetstone:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Give the connections back."""
        self._http.close()

    # Reading

    def projects(self) -> list[Project]:
        """One's projects, and one's role in each."""
        return cast("list[Project]", self._get("/api/v1/projects"))

    def examples(self, project: str, *, after: int = 0, **wanted: str) -> Iterator[Example]:
        """Examples by id; `state`, `label`, `category`, `origin`, `split` and `language` choose."""
        return cast("Iterator[Example]", self._stream(f"/api/v1/projects/{project}/examples", after, wanted))

    def verdicts(self, project: str, *, after: int = 0) -> Iterator[dict[str, Any]]:
        """The log of verdicts, for leads."""
        return self._stream(f"/api/v1/projects/{project}/verdicts", after, {})

    def releases(self, project: str) -> list[Release]:
        """Releases, the newest first."""
        return cast("list[Release]", self._get(f"/api/v1/projects/{project}/releases"))

    def release_rows(self, project: str, number: int, *, after: int = 0, split: str = "") -> Iterator[ReleaseRow]:
        """The rows of a release as they were frozen, for leads."""
        path = f"/api/v1/projects/{project}/releases/{number}/rows"
        return cast("Iterator[ReleaseRow]", self._stream(path, after, {"split": split}))

    def download(self, project: str, number: int, name: str, target: Path) -> Path:
        """Write a file of a release to `target` and check it; a download that broke off goes on where it stopped.

        Raises:
            Refused: the release has no such file, or what arrived is not what was released.
        """
        release = next((one for one in self.releases(project) if one["number"] == number), None)
        wanted = next((one for one in release["files"] if one["name"] == name), None) if release else None
        if wanted is None:
            raise Refused(404, "not-found", f"Release {number} of {project} has no file {name}.")
        part = target.with_name(f"{target.name}.part")
        for _ in self._tries():
            have = part.stat().st_size if part.exists() else 0
            if have >= wanted["bytes"]:
                break
            headers = {"Range": f"bytes={have}-", "If-Range": f'"{wanted["sha256"]}"'} if have else {}
            try:
                self._append(f"/api/v1/projects/{project}/releases/{number}/files/{name}", headers, part)
            except httpx.TransportError:
                continue
        found = hashlib.sha256(part.read_bytes()).hexdigest() if part.exists() else ""
        if found != wanted["sha256"]:
            part.unlink(missing_ok=True)
            raise Refused(0, "damaged", f"{name} arrived damaged: its checksum is {found[:12]}….")
        part.replace(target)
        return target

    # Reviewing

    def claim(self, project: str, n: int = 6) -> list[Item]:
        """Fill one's hand up to `n` items; what one holds already comes first."""
        return cast("list[Item]", self._post(f"/api/v1/projects/{project}/review/claim", {"n": n})["items"])

    def judge(
        self, project: str, item: Item, decision: Decision, *, label: str | None = None, categories: Sequence[str] = (),
        reason: str = "", key: uuid.UUID | None = None,
    ) -> Verdict:  # fmt: skip
        """Decide an item. It counts once, however often it has to be sent."""
        body = {
            "lease": item["lease"], "example": item["example"], "version": item["version"], "decision": decision,
            "label": label, "categories": list(categories), "reason": reason,
        }  # fmt: skip
        headers = {"Idempotency-Key": str(key or uuid.uuid4())}
        return cast("Verdict", self._post(f"/api/v1/projects/{project}/review/verdicts", body, headers))

    def undo(self, project: str, verdict: int | None = None) -> Item:
        """Take one's newest verdict back, or one of the last ten."""
        return cast("Item", self._post(f"/api/v1/projects/{project}/review/undo", {"verdict": verdict}, again=False))

    # Moderating

    def moderate(self, texts: Sequence[str], model: str | None = None) -> list[Answer]:
        """What the project's active guard says of each text; needs `key`."""
        body = {"input": list(texts), **({"model": model} if model else {})}
        return cast("list[Answer]", self._post("/v1/moderations", body, secret=self._key)["results"])

    # The wire

    def _headers(self, secret: str | None = None) -> dict[str, str]:
        return {"Authorization": f"Bearer {self._token if secret is None else secret}"}

    def _get(self, path: str) -> Any:
        return self._send("GET", path).json()

    def _post(
        self, path: str, body: Mapping[str, Any], headers: Mapping[str, str] = {}, *, secret: str | None = None,
        again: bool = True,
    ) -> dict[str, Any]:  # fmt: skip
        answer = self._send("POST", path, json=body, headers={**self._headers(secret), **headers}, again=again)
        return cast("dict[str, Any]", answer.json())

    def _send(self, method: str, path: str, *, again: bool = True, **more: Any) -> httpx.Response:
        more.setdefault("headers", self._headers())
        for wait in self._tries():
            try:
                answer = self._http.request(method, path, **more)
            except httpx.TransportError as error:
                if not again:
                    raise Unreachable(f"{self._http.base_url} does not answer: {type(error).__name__}.") from error
                time.sleep(wait)
                continue
            if answer.status_code not in BUSY or not again:
                return _checked(answer)
            time.sleep(_told(answer, wait))
        raise Unreachable(f"{self._http.base_url} did not answer {method} {path} in {TRIES} tries.")

    def _stream(self, path: str, after: int, wanted: Mapping[str, str]) -> Iterator[dict[str, Any]]:
        """Rows as they come; where a connection breaks, from the last whole row on."""
        headers = {**self._headers(), "Accept": "application/x-ndjson"}
        wait = self._tries()
        while True:
            try:
                with self._http.stream("GET", path, params={**wanted, "after": after}, headers=headers) as answer:
                    if answer.status_code in BUSY:
                        raise httpx.ConnectError("busy")
                    if not answer.is_success:
                        answer.read()
                    _checked(answer)
                    for line in answer.iter_lines():
                        row = json.loads(line)
                        yield row
                        after, wait = row["id"], self._tries()
                return
            except httpx.TransportError as error:
                pause = next(wait, None)
                if pause is None:
                    raise Unreachable(f"{self._http.base_url} broke off {path} after {after}.") from error
                time.sleep(pause)

    def _append(self, path: str, headers: Mapping[str, str], part: Path) -> None:
        with self._http.stream("GET", path, headers={**self._headers(), **headers}) as answer:
            if not answer.is_success:
                answer.read()
            _checked(answer)
            with part.open("ab" if answer.status_code == httpx.codes.PARTIAL_CONTENT else "wb") as file:
                for block in answer.iter_bytes():
                    file.write(block)

    def _tries(self) -> Iterator[float]:
        """Seconds to wait after each try."""
        return (min(LONGEST_WAIT, 0.5 * 2**number) for number in range(TRIES))


def _checked(answer: httpx.Response) -> httpx.Response:
    if answer.is_success:
        return answer
    try:
        body = answer.json()
    except ValueError:
        body = {}
    error = body.get("error") if isinstance(body.get("error"), dict) else body  # the guard speaks OpenAI's way
    message = error.get("message") or f"The site answered {answer.status_code}."
    raise Refused(answer.status_code, str(error.get("code") or ""), message)


def _told(answer: httpx.Response, wait: float) -> float:
    """As long as the site says to wait, within reason."""
    try:
        return min(LONGEST_WAIT, max(0.0, float(answer.headers.get("Retry-After", wait))))
    except ValueError:
        return wait
