"""What goes in and out of the API."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from ninja import Field, Path, Schema
from pydantic import AfterValidator, ConfigDict

Slug = Annotated[str, Path(..., max_length=60)]
ID = Annotated[int, Field(ge=1, lt=2**63)]
Seconds = Annotated[float, Field(ge=0, le=86_400, allow_inf_nan=False)]


def _storable(text: str) -> str:
    if "\x00" in text:
        raise ValueError("it holds a NUL character, which cannot be stored")
    return text


Text = Annotated[str, AfterValidator(_storable)]


class In(Schema):
    """A body: a name that nobody knows is a mistake that should be seen."""

    model_config = ConfigDict(extra="forbid")


class ClaimIn(In):
    n: Annotated[int, Field(ge=1, le=50)] = 6
    batch: ID | None = None
    bulk: bool = Field(False, description="only what may be judged together with others")


class Decided(In):
    decision: Literal["accept", "reject", "relabel", "skip", "escalate"]
    label: Literal["safe", "unsafe", ""] | None = None
    categories: Annotated[list[Annotated[Text, Field(max_length=60)]], Field(max_length=50)] = []
    reason: Annotated[Text, Field(max_length=500)] = ""
    confidence: Annotated[int, Field(ge=1, le=3)] | None = None
    seconds: Seconds | None = None
    active_seconds: Seconds | None = None


class VerdictIn(Decided):
    lease: ID | None = None
    example: ID
    version: Annotated[int, Field(ge=1, lt=2**31)] | None = None


class BulkItem(In):
    model_config = ConfigDict(extra="ignore")
    example: ID


class BulkIn(Decided):
    key: UUID | None = None
    items: Annotated[list[ID | BulkItem], Field(min_length=1, max_length=100)]


class UndoIn(In):
    verdict: ID | None = None


class BulkUndoIn(In):
    bulk: ID | None = None
    verdict: ID | None = None


class TextIn(In):
    text: Text  # its length is checked where texts are, with a sentence that says how long it may be


class FlagIn(In):
    note: Annotated[Text, Field(max_length=500)] = ""


class Proposed(Schema):
    label: str
    categories: list[str]


class Parent(Schema):
    id: int
    text: str
    label: str


class FindingOut(Schema):
    filter: str
    keep: bool
    score: float | None
    reason: str


class Item(Schema):
    """One example in somebody's hand. What it is for is never said: a known question looks like any other."""

    lease: int
    expires_in: int
    held: bool = Field(description="put aside for hours")
    example: int
    version: int
    text: str
    language: str
    origin: str
    stage: str
    recipe: str
    proposed: Proposed
    severity: int = Field(description="of the worst proposed category, 1 to 4; 0 where there is none")
    priority_reason: str
    parent: Parent | None
    findings: list[FindingOut] = Field(description="without those that judge the label where the project reviews blind")
    guard: dict[str, Any] | None = Field(description="null where the project reviews blind")
    veiled: bool
    masks: list[list[int]]
    flagged: bool
    comments: int


class PauseOut(Schema):
    kind: str
    message: str


class Counts(Schema):
    mine_today: int
    waiting: int
    waiting_capped: bool


class ClaimOut(Schema):
    items: list[Item]
    counts: Counts
    pause: PauseOut | None


class VerdictOut(Schema):
    verdict: int
    example: int
    state: str
    feedback: dict[str, Any] | None


class Expires(Schema):
    expires_in: int


class BulkRow(Schema):
    example: int
    verdict: int
    state: str


class BulkOut(Schema):
    bulk: int
    verdict: int
    count: int
    items: list[BulkRow]


class BulkUndoOut(Schema):
    bulk: int
    items: list[Item]


class VersionOut(Schema):
    version: int


class FlagOut(Schema):
    flagged: bool


class CommentIn(In):
    text: Text


class CommentOut(Schema):
    id: int
    by: str
    at: datetime
    text: str


class RevisionOut(Schema):
    number: int
    text: str
    by: str | None
    at: datetime


class Similar(Schema):
    example: int
    text: str
    label: str
    categories: list[str]
    state: str
    distance: float = Field(description="cosine distance of the embeddings, 0 the same to 2")


class CategoryOut(Schema):
    key: str
    name: str
    definition: str
    severity: int
    includes: list[Any]
    excludes: list[Any]


class Context(Schema):
    similar: list[Similar]
    near_duplicates: list[Similar]
    policy: list[CategoryOut]
    comments: list[CommentOut]
    revisions: list[RevisionOut]


class Wrong(Schema):
    """A refusal."""

    code: str
    message: str
    field: str | None = None


class Stale(Wrong):
    text: str
    version: int


class ProjectOut(Schema):
    slug: str
    name: str
    role: str


class ExampleRow(Schema):
    id: int
    text: str
    state: str
    label: str = Field(description="decided; empty while nobody decided")
    categories: list[str]
    proposed_label: str
    proposed_categories: list[str]
    language: str
    origin: str
    split: str
    family: str = Field(description="of one seed; never in two splits")
    parent: int | None
    version: int
    stage: str
    created_at: datetime


class VerdictRow(Schema):
    id: int
    example: int
    version: int
    maker: str
    reviewer: str | None
    decision: str
    label: str
    categories: list[str]
    reason: str
    confidence: int | None
    purpose: str
    supersedes: int | None
    at: datetime


class ReleaseRow(Schema):
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


class ReleaseFile(Schema):
    model_config = ConfigDict(extra="ignore")
    name: str
    sha256: str
    bytes: int


class ReleaseOut(Schema):
    number: int
    digest: str
    rows: int
    released_at: datetime
    files: list[ReleaseFile]


class Page(Schema):
    next: int | None = Field(description="the cursor of the next page; none after the last")


class ExamplePage(Page):
    items: list[ExampleRow]


class VerdictPage(Page):
    items: list[VerdictRow]


class RowPage(Page):
    items: list[ReleaseRow]
