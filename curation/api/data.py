"""Reading what a project holds: pages with a cursor, or everything as a stream of lines.

A list is read from a place (`after`) in the order of ids, so that a reader who comes back with the last cursor sees
nothing twice and misses nothing that was there. With `Accept: application/x-ndjson` the rest of the list comes as lines
of JSON; one that breaks off lacks the end of the response, and the `id` of its last whole line is where to go on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Annotated, Any, Literal

import orjson
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404
from ninja import Query, Router

from curation.api.auth import BearerToken, Session
from curation.api.reviews import person
from curation.api.schemas import ExamplePage, ProjectOut, ReleaseOut, RowPage, Slug, VerdictPage, Wrong
from curation.models import PersonalToken, Project
from curation.models.project import LEADS, Role
from curation.operations import explore, listing
from curation.views.releases import serve_file

router = Router(auth=[BearerToken(PersonalToken.Scope.READ), Session()])
LINES = "application/x-ndjson"
CHUNK = 1000  # rows at a time of a stream
After = Annotated[int, Query(0, ge=0, lt=2**63, description="the cursor that the page before gave")]
Limit = Annotated[int, Query(100, ge=1, le=CHUNK)]
Word = Annotated[str, Query("", max_length=60)]
Read = Callable[[int, int], list[dict[str, Any]]]  # after, limit → rows, each with its `id`


def _project(request: HttpRequest, slug: str, roles: tuple[Role, ...] = tuple(Role)) -> Project:
    return get_object_or_404(Project.objects.for_roles(person(request), roles), slug=slug)


def _answer(request: HttpRequest, read: Read, after: int, limit: int) -> HttpResponseBase:
    """A page, or all pages as lines."""
    if LINES in request.headers.get("Accept", ""):
        return StreamingHttpResponse(_lines(read, after), content_type=LINES)
    rows = read(after, limit)
    body = {"items": rows, "next": rows[-1]["id"] if len(rows) == limit else None}
    return HttpResponse(orjson.dumps(body), content_type="application/json")


def _lines(read: Read, after: int) -> Iterator[bytes]:
    while rows := read(after, CHUNK):
        yield b"".join(orjson.dumps(row) + b"\n" for row in rows)
        after = rows[-1]["id"]
        if len(rows) < CHUNK:
            return


@router.get("", response=list[ProjectOut], summary="One's projects")
def projects(request: HttpRequest) -> Iterable[dict[str, Any]]:
    """Those that one is in, with one's role."""
    return listing.projects(person(request))


@router.get("/{slug}/examples", response={200: ExamplePage, 422: Wrong}, summary="Examples")
def examples(
    request: HttpRequest,
    slug: Slug,
    after: After = 0,
    limit: Limit = 100,
    state: Word = "",
    label: Word = "",
    category: Word = "",
    origin: Word = "",
    split: Word = "",
    language: Word = "",
) -> HttpResponseBase:
    """By id, filtered as in the explorer."""
    project = _project(request, slug)
    wanted = {
        "state": state, "label": label, "category": category, "origin": origin, "split": split, "language": language,
    }  # fmt: skip
    hidden = explore.hidden_from(reader := person(request), project, project.role_of(reader))
    return _answer(request, lambda start, count: explore.after(project, wanted, start, count, hidden), after, limit)


@router.get("/{slug}/verdicts", response={200: VerdictPage, 422: Wrong}, summary="Verdicts, for leads")
def verdicts(request: HttpRequest, slug: Slug, after: After = 0, limit: Limit = 100) -> HttpResponseBase:
    """The log as it was written: what superseded what, and who decided."""
    project = _project(request, slug, LEADS)
    return _answer(request, lambda start, count: listing.verdicts(project, start, count), after, limit)


@router.get("/{slug}/releases", response=list[ReleaseOut], summary="Releases")
def releases(request: HttpRequest, slug: Slug) -> Iterable[dict[str, Any]]:
    """The newest first, with their files."""
    return listing.releases(_project(request, slug))


@router.get("/{slug}/releases/{int:number}/rows", response={200: RowPage, 422: Wrong}, summary="A release's rows")
def rows(
    request: HttpRequest,
    slug: Slug,
    number: int,
    after: After = 0,
    limit: Limit = 100,
    split: Annotated[Literal["", "train", "validation", "test"], Query("")] = "",
) -> HttpResponseBase:
    """As they were frozen; for leads."""
    release = get_object_or_404(_project(request, slug, LEADS).releases.ready(), number=number)
    return _answer(request, lambda start, count: listing.rows(release, split, start, count), after, limit)


@router.get("/{slug}/releases/{int:number}/files/{path:name}", response={200: None}, summary="A release's file")
def file(request: HttpRequest, slug: Slug, number: int, name: str) -> HttpResponseBase:
    """Its bytes, or the range that is asked for; the ETag is the SHA-256 of the whole. For leads."""
    release = get_object_or_404(_project(request, slug, LEADS).releases.ready(), number=number)
    return serve_file(request, release, name)
