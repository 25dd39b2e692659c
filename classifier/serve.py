"""`python -m classifier serve`: guards behind HTTP, for the site or alone.

    POST /score             {"model"?, "texts"} -> our own answer: decision, scores under our keys, digest
    POST /v1/moderations    OpenAI's moderation endpoint, so that its clients work with only another base_url
    POST /embed             {"texts"} -> sentence vectors of the packaged encoder, for searching by meaning
    GET  /healthz           which guards answer, by which digest; 503 until the first one does
    GET  /metrics           for Prometheus; counts and times, never a word of a text
    POST /reload            look at the file of --follow at once

One process and one event loop; each guard has a queue and a thread of its own (`classifier/batcher.py`). Bind it to
loopback or a Unix socket: it knows no keys. The site in front of it does, or any proxy.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import signal
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from classifier import moderation
from classifier.hosting import Follower, Hosted, Shelf
from classifier.meters import Meters
from classifier.moderation import BadRequest
from classifier.runfolder import ProgramError

logger = logging.getLogger(__name__)

PORT = 8600
GRACE = 30  # seconds that requests in flight have to end after SIGTERM
KEPT = 75  # seconds that an idle connection is kept: longer than clients keep theirs, so that none is cut while in use
MOST_EMBEDDED = 16  # texts at a time, each
LONGEST_EMBEDDED = 2000  # characters at most: what people type to search by
MOST_WAITING = 512  # connections; more are turned away by the system's own queue

Endpoint = Callable[[Request], Awaitable[Response]]


@dataclass(frozen=True)
class ServeSettings:
    """What is served, and where."""

    models: dict[str, Path] = field(default_factory=dict)
    follow: Path | None = None  # a file {"models": {NAME: FOLDER}} that is looked at again and again
    backend: str = "auto"
    threads: int = 0  # of the forward pass; 0 takes every core
    host: str = "127.0.0.1"
    port: int = PORT
    socket: Path | None = None  # a Unix socket instead of host and port
    policy: Path | None = None  # whose crosswalk names OpenAI's categories


class Server:
    """The endpoints over one shelf of guards."""

    def __init__(self, shelf: Shelf, follower: Follower | None, crosswalk: dict[str, Any] | None) -> None:
        self._shelf, self._follower, self._crosswalk = shelf, follower, crosswalk
        self._meters = Meters(shelf)
        self._reader = ThreadPoolExecutor(1, "embed")  # its own thread: guards are not kept waiting

    def app(self) -> Starlette:
        """The ASGI application."""
        routes = [
            Route("/score", self._guarded(self.score), methods=["POST"]),
            Route("/v1/moderations", self._guarded(self.moderations), methods=["POST"]),
            Route("/embed", self._guarded(self.embed), methods=["POST"]),
            Route("/healthz", self._guarded(self.healthz), methods=["GET"]),
            Route("/metrics", self._guarded(self.metrics), methods=["GET"]),
            Route("/reload", self._guarded(self.reload), methods=["POST"]),
        ]
        return Starlette(routes=routes, lifespan=self._lifespan, exception_handlers={404: _missing, 405: _missing})

    @asynccontextmanager
    async def _lifespan(self, _: Starlette) -> AsyncIterator[None]:
        if self._follower:
            self._follower.start()
        yield
        if self._follower:
            self._follower.stop()
        self._shelf.close()
        self._reader.shutdown()

    async def score(self, request: Request) -> Response:
        """Our own answer for an array of texts."""
        wanted = moderation.parse(await _body(request))
        given = wanted.get("texts")
        if not isinstance(given, list):
            raise BadRequest("texts should be an array of strings.", param="texts")
        hosted, results = await self._results(wanted, moderation.texts_of({"input": given}))
        return JSONResponse({**hosted.about, "results": results})

    async def moderations(self, request: Request) -> Response:
        """OpenAI's answer for a string or an array."""
        wanted = moderation.parse(await _body(request))
        hosted, results = await self._results(wanted, moderation.texts_of(wanted))
        return JSONResponse(moderation.response(hosted.name, results, self._crosswalk))

    async def embed(self, request: Request) -> Response:
        """Unit vectors of a few short texts; the encoder is loaded by the first request, which takes seconds."""
        given = moderation.parse(await _body(request)).get("texts")
        if not isinstance(given, list) or not all(isinstance(text, str) for text in given):
            raise BadRequest("texts should be an array of strings.", param="texts")
        if len(given) > MOST_EMBEDDED:
            raise BadRequest(f"At most {MOST_EMBEDDED} texts at a time, found {len(given)}.", param="texts")
        vectors = await asyncio.get_running_loop().run_in_executor(self._reader, _vectors, given)
        return JSONResponse({"vectors": vectors})

    async def _results(self, wanted: dict[str, Any], texts: list[str]) -> tuple[Hosted, list[dict[str, Any]]]:
        hosted, future = self._shelf.submit(moderation.model_of(wanted), texts)
        self._meters.texts.labels(hosted.name).inc(len(texts))
        return hosted, await asyncio.wrap_future(future)

    async def healthz(self, request: Request) -> Response:
        """Which guards answer, and what did not load."""
        models = {hosted.name: hosted.about for hosted in self._shelf}
        body = {"status": "ok" if models else "empty", "models": models, "failures": self._shelf.failures}
        return JSONResponse(body, status_code=200 if models else 503)

    async def metrics(self, request: Request) -> Response:
        return Response(self._meters.text(), media_type="text/plain; version=0.0.4")

    async def reload(self, request: Request) -> Response:
        """Look at the file at once; the answer does not wait for the loading."""
        if self._follower:
            self._follower.look_now()
        return JSONResponse({"following": self._follower is not None}, status_code=202)

    def _guarded(self, endpoint: Endpoint) -> Endpoint:
        """Turn whatever happens into an answer: a traceback of the framework's would quote what it was given."""

        async def inner(request: Request) -> Response:
            start = time.perf_counter()
            try:
                response = await endpoint(request)
            except BadRequest as no:
                response = JSONResponse(no.body, status_code=no.status, headers=no.headers)
            except ClientDisconnect:
                response = Response(status_code=400)
            except Exception as error:
                where = error.__traceback__.tb_frame.f_code.co_name if error.__traceback__ else ""
                logger.error("%s in %s", type(error).__name__, where)
                failed = BadRequest("The server could not answer.", code="internal_error", status=500)
                response = JSONResponse(failed.body, status_code=500)
            self._meters.note(request.url.path, response.status_code, time.perf_counter() - start)
            return response

        return inner


@cache
def _embedder() -> Any:
    from classifier.embed import Embedder

    return Embedder()


def _vectors(texts: list[str]) -> list[list[float]]:
    cut = [text[:LONGEST_EMBEDDED].encode("utf-8", "replace").decode() for text in texts]
    return [[float(value) for value in vector] for vector in _embedder().embed(cut)] if cut else []


async def _body(request: Request) -> bytes:
    """The body, read no further than is taken."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > moderation.MOST_BYTES:
            break
    return bytes(body)


def _missing(request: Request, error: Exception) -> Response:
    status = getattr(error, "status_code", 404)
    text = "There is no such address here." if status == 404 else f"{request.method} is not answered here."
    return JSONResponse(BadRequest(text, status=status).body, status_code=status)


def crosswalk_of(policy: Path | None) -> dict[str, Any] | None:
    """OpenAI's names for the categories of a policy file, by our key; None without a file.

    Raises:
        ProgramError: the file is not a policy.
    """
    import json

    if policy is None:
        return None
    try:
        categories = json.loads(policy.read_text(encoding="utf-8"))["categories"]
        return {entry["key"]: entry.get("crosswalk", {}).get("openai") for entry in categories}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        raise ProgramError(f"{policy} is not a policy file.", "See curation/demo/policy.json for one.") from None


def shelf_of(settings: ServeSettings) -> Shelf:
    """The shelf with the guards that were named.

    Raises:
        ProgramError: one of them does not load.
    """
    from classifier.score import load_scorer

    shelf = Shelf(lambda folder: load_scorer(folder, settings.backend, settings.threads))
    shelf.show(settings.models)
    if shelf.failures:
        raise ProgramError(" ".join(shelf.failures.values()))
    return shelf


def serve(settings: ServeSettings) -> int:
    """Serve until SIGTERM or SIGINT; what was asked before is answered first. Return the exit status.

    Raises:
        ProgramError: nothing to serve, or a guard that was named does not load.
    """
    import uvicorn

    if not settings.models and settings.follow is None:
        raise ProgramError("There is nothing to serve.", "Give --model NAME=FOLDER or --follow FILE.")
    for number in (signal.SIGTERM, signal.SIGINT):  # uvicorn raises them again once it has ended in good order
        signal.signal(number, lambda *_: sys.exit(0))
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING, format="%(levelname)s %(name)s %(message)s")
    if settings.socket:
        settings.socket.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    shelf = shelf_of(settings)
    follower = Follower(shelf, settings.follow) if settings.follow else None
    app = Server(shelf, follower, crosswalk_of(settings.policy)).app()
    config = uvicorn.Config(
        app, host=settings.host, port=settings.port, uds=str(settings.socket) if settings.socket else None,
        loop="uvloop", http="httptools", access_log=False, log_level="warning", server_header=False,
        timeout_graceful_shutdown=GRACE, timeout_keep_alive=KEPT, backlog=MOST_WAITING, lifespan="on", ws="none",
    )  # fmt: skip
    uvicorn.Server(config).run()
    return 0


def main(arguments: list[str]) -> int:
    """The command line of `python -m classifier serve`."""
    command = argparse.ArgumentParser(prog="python -m classifier serve", description=__doc__.split("\n")[0])
    command.add_argument(
        "--model", action="append", default=[], metavar="[NAME=]FOLDER", help="a guard; may be repeated"
    )
    command.add_argument("--follow", type=Path, metavar="FILE", help='{"models": {NAME: FOLDER}}, looked at for ever')
    command.add_argument("--backend", default="auto", help="auto, torch, or one of the exported forms")
    command.add_argument("--threads", type=int, default=0, help="of a forward pass; every core without it")
    command.add_argument("--host", default="127.0.0.1", help="loopback without it: this server knows no keys")
    command.add_argument("--port", type=int, default=PORT)
    command.add_argument("--socket", type=Path, help="a Unix socket instead of host and port")
    command.add_argument("--policy", type=Path, help="a policy file, whose crosswalk gives OpenAI's category names")
    options = vars(command.parse_args(arguments))
    options["models"] = dict(named(text) for text in options.pop("model"))
    return serve(ServeSettings(**options))


def named(text: str) -> tuple[str, Path]:
    """A name and a folder; a folder alone is named after itself."""
    name, parted, folder = text.partition("=")
    return (name, Path(folder)) if parted else (Path(text).resolve().name, Path(text))
