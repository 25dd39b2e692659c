"""A project with a dispute, known questions, figures and a paused person, for the tests of its pages."""

from __future__ import annotations

from typing import Any

from curation.models import Job, Project
from curation.operations import adjudication, agreement, gold
from tests.factories import make_example, make_gold, make_member, make_project, make_rules, make_verdict

XSS = "<script>alert(1)</script>{{ 7|add:7 }}"


def make_reviewed_project() -> Project:
    project = make_project()
    make_rules(project, overlap=3, consensus="majority", exam_size=2)
    return project


def fill(project: Project) -> dict[str, Any]:
    """A dispute, known questions, figures, a paused person."""
    people = [make_member(project, "annotator", name) for name in ("ana", "ben", "cem")]
    example = make_example(project, text=XSS, state="disputed", proposed_label="unsafe", proposed_categories=["fraud"])
    for person, label in zip(people, ("safe", "unsafe", ""), strict=True):
        decision = "relabel" if label else "reject"
        make_verdict(
            example, person, decision, label=label, categories=["fraud"] if label == "unsafe" else [],
            reason="" if label else XSS, active_seconds=0.5,
        )  # fmt: skip
    question = make_gold(
        make_example(project, text=XSS, state="accepted"), label="unsafe", categories=["fraud"], explanation=XSS
    )
    make_gold(make_example(project, state="accepted"), label="safe", categories=[])
    gold.stop(project, people[2], "2 of the last 10.")
    case = adjudication.open_for(example)
    return {"case": case, "question": question, "people": people, "job": figures(project, people)}


def figures(project: Project, people: list[Any]) -> Job:
    """A job that measured agreement, as the program leaves it."""
    alpha = {"value": 0.71, "low": 0.55, "high": 0.84, "examples": 40, "agreed": None}
    none = {"value": None, "low": None, "high": None, "examples": 0, "agreed": None}
    pair = {
        "first": people[0].pk,
        "second": people[1].pk,
        "value": -0.12,
        "low": -0.4,
        "high": 0.2,
        "examples": 30,
        "agreed": 0.5,
    }
    aspects = [
        {
            "aspect": key, "alpha": alpha if key != "hate" else none, "weeks": [{"week": "2026-W40", **alpha}],
            "people": [{"person": one.pk, **alpha, "agreed": 0.8} for one in people], "pairs": [pair],
        }
        for key in ("", "fraud", "hate", "child-exploitation")
    ]  # fmt: skip
    result = {"verdicts": 120, "people": 3, "resamples": 2000, "aspects": aspects}
    job = agreement.measure_again(project)
    Job.objects.filter(pk=job.pk).update(state="done", ended_at="2026-11-01T10:00Z", metrics={"result": result})
    return job
