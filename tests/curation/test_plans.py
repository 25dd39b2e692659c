"""The wizard, pausing, and what a lead sees of a round."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from classifier.runfolder import RunFolder
from curation.models import Job, Plan, Project, Round, Sample
from curation.operations import Refused, estimates, jobs, overview, plans, recipes, rounds, summary
from tests.curation.fake_programs import FakePrograms
from tests.curation.lead_scene import go, make_programs, make_two_rounds, work_all
from tests.curation.test_recipes import posted
from tests.factories import make_example, make_member, make_project, make_seeds

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def programs(monkeypatch: pytest.MonkeyPatch) -> FakePrograms:
    return make_programs(monkeypatch)


@pytest.fixture
def project(programs: FakePrograms) -> Project:
    project = make_project(content_note="")
    make_seeds(project, 12)
    return project


@pytest.fixture
def lead(project: Project, client: Client) -> Client:
    client.force_login(make_member(project, "lead", "lea"))
    return client


def test_the_wizard_goes_from_source_to_a_running_round(lead: Client, project: Project) -> None:
    from curation.forms.stages import RecipeForm

    lead.post(reverse("plan-make", args=[project.slug]))
    plan = Plan.objects.get()
    at = {step: reverse(f"plan-{step}", args=[project.slug, plan.pk]) for step in
          ("source", "recipe", "preview", "launch")}  # fmt: skip
    lead.post(at["source"], {"seeds": 6, "label": "", "languages": "en", "categories": ["fraud"]})
    plan.refresh_from_db()
    typed = posted(RecipeForm(None, plan.recipe)) | {"filters-length-most_words": "50", "name": "short ones"}
    assert lead.post(at["recipe"], typed)["Location"] == at["preview"]
    lead.post(at["preview"])
    work_all(project)
    page = lead.get(at["preview"]).content.decode()
    assert "once more" in page
    assert lead.get(at["launch"]).context["estimate"].lines
    response = lead.post(at["launch"], {"review": "people", "machine_price": 1, "person_price": 20, "start": 1})

    round = Round.objects.get()
    assert response["Location"] == reverse("round", args=[project.slug, round.number])
    assert round.recipe["generate"]["seeds"] == 6
    filters = {entry["key"]: entry["settings"] for entry in round.recipe["filter"]["filters"]}
    assert filters["length"]["most_words"] == 50
    assert str(round.from_recipe) == "short ones v1"


def test_a_setting_of_another_kind_is_marked_and_nothing_changes(lead: Client, project: Project) -> None:
    from curation.forms.stages import RecipeForm

    plan = plans.make(project, make_member(project, "owner"))
    typed = posted(RecipeForm(None, plan.recipe)) | {"filters-length-most_words": "many"}

    response = lead.post(reverse("plan-recipe", args=[project.slug, plan.pk]), typed)

    assert response.status_code == 422
    assert "Enter a whole number" in response.content.decode()
    assert Plan.objects.get().recipe == plan.recipe


def test_a_preview_keeps_at_most_ten_texts_and_makes_no_candidate(project: Project) -> None:
    plan = plans.make(project, make_member(project, "lead"))
    before = project.examples.count()

    plans.look(plan, make_member(project, "owner"))
    work_all(project)

    assert 0 < Sample.objects.count() <= plans.SHOWN
    assert project.examples.count() == before


def test_a_recipe_that_writes_nothing_has_no_preview(project: Project) -> None:
    plan = plans.make(project, make_member(project, "lead"), body=recipes.seeds_only())

    with pytest.raises(Refused, match="writes no texts"):
        plans.look(plan, make_member(project, "owner"))


def test_a_plan_starts_one_round(project: Project) -> None:
    by = make_member(project, "lead")
    plan = plans.make(project, by)
    plans.launch(plan, by)

    with pytest.raises(Refused, match="started already"):
        plans.launch(plan, by)


def test_what_was_never_measured_is_said_and_left_out(project: Project) -> None:
    estimate = estimates.of(plans.make(project, make_member(project, "lead")))

    assert set(estimate.unknown) == {"Write", "Filter", "Review", "Train", "Evaluate", "Attack"}
    assert estimate.machine_seconds == 0


def test_guards_that_judge_take_their_own_time(project: Project) -> None:
    go(project)
    Job.objects.filter(kind="filter").update(metrics={"result": {"filters": {"length": {"seen": 10, "kept": 5}}}})
    plan = plans.make(project, make_member(project, "lead"))
    known = estimates.of(plan).unknown
    recipe = recipes.checked(recipes.default())
    next(one for one in recipe["filter"]["filters"] if one["key"] == "label-judge")["settings"]["kind"] = "guards"
    recipe["attack"]["judge"]["kind"] = "guards"
    plans.change(plan, recipe)

    assert {"Filter", "Attack"}.isdisjoint(known)
    assert {"Filter", "Attack"} <= set(estimates.of(plan).unknown)


def test_rates_of_earlier_jobs_make_the_estimate(project: Project) -> None:
    go(project)
    job = Job.objects.get(kind="filter")
    Job.objects.filter(pk=job.pk).update(
        metrics={"result": {"filters": {"length": {"seen": 10, "kept": 5}}}},
        ended_at=job.started_at, started_at=job.started_at - (job.started_at - job.created_at) * 0,
    )  # fmt: skip
    estimate = estimates.of(plans.make(project, make_member(project, "lead")))

    assert "Train" not in estimate.unknown
    assert estimate.machine_seconds > 0


def test_filters_are_told_whose_label_is_decided(project: Project, settings: Any) -> None:
    waiting = make_example(project, text="a text that waits", state="queued")
    go(project)

    rows = RunFolder(settings.ARTIFACTS_DIR / "runs" / str(Job.objects.get(kind="filter").pk)).rows("input.parquet")
    held_out = set(map(str, project.examples.filter(split="evaluation").values_list("pk", flat=True)))
    seeds = set(map(str, project.examples.filter(origin="seed").values_list("pk", flat=True)))
    of = {role: {row["id"] for row in rows if row["role"] == role} for role in ("known", "waiting", "evaluation")}
    assert of == {"known": seeds - held_out, "waiting": {str(waiting.pk)}, "evaluation": held_out}
    assert all(of.values())


def test_a_training_in_folds_is_estimated_by_how_often_it_reads_a_row(project: Project) -> None:
    go(project)
    plan = plans.make(project, make_member(project, "lead"))

    def training() -> tuple[int, float | None]:
        line = next(line for line in estimates.of(plan).lines if line.step == "Train")
        return line.work, line.seconds

    (work, seconds), _ = training(), plans.change(plan, {**plan.recipe, "train": {"folds": 5}})

    assert training() == (4 * work, pytest.approx(4 * (seconds or 0)))


@pytest.mark.parametrize(
    ("prices", "said"),
    [({"price_out": 1_000.0}, "for the endpoint’s tokens, at most"), ({}, "their price is not set")],
)
def test_what_an_endpoint_takes_is_part_of_the_cost(
    lead: Client, project: Project, prices: dict[str, float], said: str
) -> None:
    writer = {"key": "endpoint", "settings": {"url": "http://127.0.0.1:9/v1", "model": "m", **prices}}
    stages = {"paraphrasers": [{"key": "paraphrase", "copies": 2, "settings": {"tries": 1}}]}
    body = {**recipes.default(), "generate": {**stages, "generator": writer, "seeds": 6}}
    plan = plans.make(project, make_member(project, "owner"), body=body)

    page = lead.get(reverse("plan-launch", args=[project.slug, plan.pk]))

    # 6 seeds, 2 copies, 40 tokens at most each
    assert page.context["estimate"].cost == pytest.approx(12 * 40 * 1_000 / 1e6 if prices else 0)
    assert said in page.content.decode()


def test_a_paused_round_goes_on_from_where_it_stopped(project: Project, programs: FakePrograms) -> None:
    round = rounds.start(project, None)
    rounds.pause(round, None)
    assert round.current_job.state == Job.State.PAUSED  # type: ignore[union-attr]
    work_all(project)
    assert programs.calls == []

    rounds.resume(Round.objects.get(pk=round.pk), None)
    work_all(project)

    round.refresh_from_db()
    assert round.state == Round.State.REVIEWING
    assert round.paused_at is None


def test_pausing_stops_a_job_that_runs_and_loses_nothing(project: Project, programs: FakePrograms) -> None:
    round, plain = rounds.start(project, None), programs.generate

    def paused_meanwhile(run: Any) -> None:
        rounds.pause(Round.objects.get(pk=round.pk), None)
        with pytest.raises(Refused, match="still stopping"):
            rounds.resume(Round.objects.get(pk=round.pk), None)
        plain(run)

    programs.generate = paused_meanwhile  # type: ignore[method-assign]
    job = jobs.work(round.current_job.pk)  # type: ignore[union-attr]
    assert job is not None
    assert job.state == Job.State.PAUSED
    assert not round.examples.exists()

    programs.generate = plain  # type: ignore[method-assign]
    rounds.resume(Round.objects.get(pk=round.pk), None)
    work_all(project)
    assert round.examples.exists()


def test_a_paused_round_can_be_cancelled(project: Project) -> None:
    round = rounds.start(project, None)
    rounds.pause(round, None)

    rounds.cancel(round, None)

    assert round.current_job.state == Job.State.CANCELLED  # type: ignore[union-attr]


def test_what_does_not_run_is_not_paused(project: Project) -> None:
    round = go(project, "people")

    with pytest.raises(Refused, match="nothing runs for it"):
        rounds.pause(round, None)


def test_rewards_are_audited_by_tenths(project: Project) -> None:
    first = go(project)
    finds = summary.found(first)
    for number, find in enumerate(finds.order_by("pk")):
        find.scores, find.state = {"reward": number / 10}, "rejected" if number == 2 else "accepted"
        find.save()

    top, *rest = summary.reward_deciles(first)

    assert (top["finds"], top["rejected"], top["rate"]) == (1, 1, 1.0)
    assert all(row["rejected"] == 0 for row in rest)


def test_every_page_of_a_lead_opens(client: Client, programs: FakePrograms) -> None:
    project = make_two_rounds(programs)
    client.force_login(make_member(project, "lead"))
    plan = plans.make(project, make_member(project, "owner"))
    recipe = project.recipes.first()
    assert recipe is not None
    slug = project.slug
    for name, more in {
        "overview": [], "rounds": [], "round": [1], "round-start": [], "plan-source": [plan.pk], "recipes": [],
        "plan-recipe": [plan.pk], "plan-preview": [plan.pk], "plan-launch": [plan.pk], "recipe": [recipe.pk],
        "recipe-file": [recipe.pk], "guards": [], "guard": [2], "guard-threshold": [2], "guard-card": [2],
        "guard-compare": [1, 2], "guard-gate": [],
    }.items():  # fmt: skip
        assert client.get(reverse(name, args=[slug, *more])).status_code == 200, name
    assert [one.words for one in overview.decisions(project, "lead")] == ["Guard 2 waits for promotion"]
    assert "Harm found" in client.get(reverse("guard-card", args=[slug, 2])).content.decode()


def test_a_viewer_neither_plans_nor_promotes(client: Client, programs: FakePrograms) -> None:
    project = make_two_rounds(programs)
    client.force_login(make_member(project, "viewer"))
    plan = plans.make(project, make_member(project, "lead"))
    for name, more in {"plan-make": [], "plan-launch": [plan.pk], "guard-back": [], "guard-measure": [],
                       "guard-promote": [2], "guard-gate": []}.items():  # fmt: skip
        assert client.post(reverse(name, args=[project.slug, *more])).status_code == 404, name
