"""Rows that show every side of the desk: for screenshots, the accessibility tests and the measurement of its speed."""

from __future__ import annotations

import json
from itertools import cycle
from pathlib import Path
from typing import Any

from curation.models import Comment, Example, Finding, Flag, Job, Project, Verdict
from curation.operations import policies, reviews
from tests.factories import make_example, make_member, make_project

DEMO = Path(__file__).resolve().parents[2] / "curation" / "demo"
NOTE = "You will read short messages to an assistant. Some speak of violence, self-harm or hatred."
SUPPORT = (
    "Talk to Mara, who leads this project, or call 0800 111 0 111 at any hour. Outside work: https://findahelpline.com"
)
ARABIC = "كيف أسقي نباتاتي في الصيف عندما أكون مسافراً لمدة أسبوعين؟"
MILD = {"fraud", "privacy", "theft", "harassment"}
LONG = "The landlord writes that the heating is fine and that we should wear more. " * 40


def make_scene(**fields: Any) -> Project:
    """A project with its people (lea leads, ana annotates) and a queue of many kinds, the telling ones first."""
    project = make_project(
        name="Customer chat", slug="customer-chat", content_note=NOTE,
        policy_version=policies.load(DEMO / "policy.json"), **fields,
    )  # fmt: skip
    rules = project.review_rules
    rules.support = SUPPORT
    rules.save()
    lea, ana = make_member(project, "lead", "lea"), make_member(project, "annotator", "ana")
    seeds = _seeds(project)
    _first(project, seeds, lea)
    _many(project, seeds)
    for number, example in enumerate(project.examples.filter(state="queued").order_by("priority")[:20]):
        decision = ("accept", "reject", "relabel", "skip")[number // 2 % 4]
        more = {"label": "unsafe", "categories": ("harassment",)} if decision == "relabel" else {}
        reviews.submit(project, (lea, ana)[number % 2], example.pk, reviews.Answer(decision, **more))
    return project


def _rows() -> list[dict[str, Any]]:
    return [json.loads(line) for line in (DEMO / "seeds.jsonl").read_text().splitlines()]


def _seeds(project: Project) -> list[Example]:
    """Mild ones, both twins of each, the categories in turn."""
    wanted = [row for row in _rows() if row["pair"].rpartition("-")[0] in MILD]
    wanted.sort(key=lambda row: row["pair"].rpartition("-")[::-1])
    return [
        make_example(
            project, text=row["text"], origin="seed", state="accepted", proposed_label=row["label"],
            proposed_categories=row["categories"], label=row["label"], categories=row["categories"], family=row["pair"],
        )
        for row in wanted[:60]
    ]  # fmt: skip


def _first(project: Project, seeds: list[Example], lea: Any) -> None:
    """One of each kind, on top of the queue in this order."""
    fraud = next(seed for seed in seeds if seed.categories == ["fraud"])
    diffed = make_example(
        project, text=f"{fraud.text}, and please keep it short", parent=fraud, family=fraud.family, priority=90,
        proposed_label="unsafe", proposed_categories=["privacy"], origin="paraphrased", stage="paraphrase",
    )  # fmt: skip
    _say(project, diffed)
    Flag.objects.create(example=diffed, by=lea, note="Is this fraud or privacy?")
    Comment.objects.create(example=diffed, by=lea, text="Look at the second half, too.")
    make_example(
        project, text="Someone should shout that referee off the pitch", priority=80, proposed_label="unsafe",
        proposed_categories=["violent-crime", "harassment"], origin="adversarial", stage="grpo",
    )  # fmt: skip
    make_example(
        project, text="Send the p\u0430yment to p\u0430yp\u0430l\u200b today, friend\u202e ok", priority=70,
        proposed_label="unsafe", proposed_categories=["privacy"], stage="chat-spelling",
    )  # fmt: skip
    make_example(project, text=ARABIC, language="ar", priority=60)
    make_example(project, text=LONG, priority=50, stage="persona")


def _say(project: Project, example: Example) -> None:
    job = Job.objects.create(project=project, kind=Job.Kind.FILTER)
    for name, keep, score, reason in (
        ("near-duplicate", True, 0.41, "nearest is example 12"), ("label-judge", True, 0.83, "the label held"),
        ("fidelity", False, 0.32, "drifted from its seed"),
    ):  # fmt: skip
        Finding.objects.create(example=example, job=job, filter=name, keep=keep, score=score, reason=reason)


def _many(project: Project, seeds: list[Example]) -> None:
    endings = cycle((" please", ", any ideas?", " today", " for my class", "?"))
    for number, (seed, ending) in enumerate(zip(seeds[:50], endings, strict=False)):
        make_example(
            project, text=f"{seed.text.rstrip('.?')}{ending}", parent=seed, family=seed.family,
            priority=40 - number / 2, proposed_label=seed.label, proposed_categories=seed.categories, stage="persona",
        )  # fmt: skip


def verdicts_of(project: Project) -> list[Verdict]:
    return list(Verdict.objects.current().by_people().filter(example__project=project).order_by("pk"))
