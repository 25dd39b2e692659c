"""Asking the serving program on behalf of a key. The site itself never loads a model."""

from __future__ import annotations

import json
import logging
import re
import time
from functools import lru_cache
from typing import Any
from urllib.parse import urlsplit

import httpx
from django.conf import settings
from django.core.cache import cache
from django.db.models import Q

from classifier.moderation import BadRequest, TooBusy, Unavailable, unknown_model
from curation.models import ApiKey, Guard, Project
from curation.operations.serving import SHADOW

logger = logging.getLogger(__name__)

PATIENCE = httpx.Timeout(30.0, connect=2.0)  # seconds: the serving program refuses what it cannot do in less
MINUTE = 60
NAMED = re.compile(r"guard-([0-9]{1,8})")
NO_SERVER = (
    "The guard is not being served just now. Whetstone starts its server with `make up`; by hand: "
    "`python -m classifier serve --follow var/guards.json`, and WHETSTONE_GUARD_URL where it listens."
)
NO_GUARD = "This project has no active guard yet. Promote one on its Guards page, then try again."
LOADING = "The guard of this project is being loaded. Try again in a few seconds."


def ask(name: str, texts: list[str]) -> dict[str, Any]:
    """The serving program's answer for texts: model, digest, and a result for each.

    Raises:
        BadRequest: it refused, is too far behind, or does not answer.
    """
    reply = _post({"model": name, "texts": texts})
    if reply.status_code == httpx.codes.OK:
        found: dict[str, Any] = reply.json()
        return found
    if reply.status_code == httpx.codes.TOO_MANY_REQUESTS:
        raise TooBusy("The guard is too far behind. Wait for the time in Retry-After.", _seconds(reply))
    if reply.status_code == httpx.codes.NOT_FOUND:
        raise Unavailable(LOADING)
    raise Unavailable(NO_SERVER)


def _post(body: dict[str, Any]) -> httpx.Response:
    """Post to the serving program; once more where a kept connection had been closed: scoring twice is no harm.

    Raises:
        Unavailable: it does not answer.
    """
    content = json.dumps(body)  # ASCII: httpx's own way cannot write the lone surrogates that callers send
    for last in (False, True):
        try:
            return client(settings.GUARD_URL).post("/score", content=content)
        except httpx.TimeoutException:
            break
        except httpx.TransportError as error:
            if last:
                logger.warning("the guard's server did not answer: %s", type(error).__name__)
    raise Unavailable(NO_SERVER)


def _seconds(reply: httpx.Response) -> float:
    try:
        return float(reply.headers.get("Retry-After", "1"))
    except ValueError:
        return 1.0


@lru_cache(maxsize=4)
def client(url: str) -> httpx.Client:
    """This process's connections to the serving program: `unix:///path` or an address."""
    parts = urlsplit(url)
    if parts.scheme == "unix":
        return httpx.Client(transport=httpx.HTTPTransport(uds=parts.path), base_url="http://guard", timeout=PATIENCE)
    return httpx.Client(base_url=url, timeout=PATIENCE, trust_env=False)


def is_up() -> bool:
    """Whether the serving program answers, for pages."""
    try:
        return client(settings.GUARD_URL).get("/healthz", timeout=1.0).status_code < httpx.codes.INTERNAL_SERVER_ERROR
    except httpx.HTTPError:
        return False


# Which guard, and how often


def moderate(key: ApiKey, model: str | None, texts: list[str]) -> tuple[Guard, dict[str, Any]]:
    """Score texts with a guard of the key's project, within its quota; return the guard and the server's answer.

    `model`: None for the active one, or `guard-N` for one that is served. Another project's is as unknown as any.

    Raises:
        BadRequest: over the quota, no such guard, or nobody answers.
    """
    guard = _guard(key.project, model)
    spend(key, len(texts))
    name = key.project.slug if guard.state == Guard.State.ACTIVE else key.project.slug + SHADOW
    answer = ask(name, texts)
    return _answered(key.project, guard, answer["digest"]), answer


def _guard(project: Project, model: str | None) -> Guard:
    served = project.guards.served()
    if model is None or model == project.slug:
        guard = served.filter(state=Guard.State.ACTIVE).first()
        if guard is None:
            raise Unavailable(NO_GUARD)
        return guard
    number = NAMED.fullmatch(model)
    found = served.filter(number=int(number[1])).first() if number else None
    if found is None:
        raise unknown_model()
    return found


def _answered(project: Project, expected: Guard, digest: str) -> Guard:
    """The guard that really answered: around a promotion it may be the one before or the one after."""
    if digest in (expected.digest, expected.export_digest):
        return expected
    return project.guards.filter(Q(digest=digest) | Q(export_digest=digest)).first() or expected


def spend(key: ApiKey, texts: int) -> None:
    """Count texts against the key's quota of this minute. A counter that is away stops nobody.

    Raises:
        TooBusy: the minute's quota is used up.
        BadRequest: the request alone is larger than the quota, so waiting would not help.
    """
    if texts > key.quota:
        raise BadRequest(
            f"This key may send {key.quota:,} texts a minute, and this request holds {texts:,}.", param="input"
        )
    minute, since = divmod(time.time(), MINUTE)
    name = f"quota:{key.pk}:{int(minute)}"
    try:
        cache.add(name, 0, 2 * MINUTE)
        used = cache.incr(name, texts)
        if used > key.quota:
            cache.decr(name, texts)  # what was refused does not count
    except Exception as error:  # Redis is away: its client raises kinds of its own
        logger.warning("quotas are not counted: %s", type(error).__name__)
        return
    if used > key.quota:
        raise TooBusy(f"This key's quota of {key.quota:,} texts a minute is used up.", MINUTE - since)
