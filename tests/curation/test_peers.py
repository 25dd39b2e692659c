"""Other guards beside a project's own: what is stored, what is refused, and what the page says."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.test import Client
from django.urls import reverse

from curation.models import AuditEntry, Import, PeerEvaluation, Project
from curation.operations import evaluation, guards
from curation.runner import ProgramFailed, ProgramKilled
from tests.curation.fake_programs import FakePrograms
from tests.curation.lead_scene import go, make_programs
from tests.factories import make_member, make_project, make_seeds

pytestmark = pytest.mark.django_db(transaction=True)
ENDPOINT = "moderation:https://guard.example/v1#omni"


@pytest.fixture
def programs(monkeypatch: pytest.MonkeyPatch) -> FakePrograms:
    return make_programs(monkeypatch)


@pytest.fixture
def project(programs: FakePrograms) -> Project:
    """Two guards: at 0.71 and at 0.73 on the same set."""
    project = make_project(content_note="")
    make_seeds(project, 12)
    go(project)
    go(project)
    return project


def measure(project: Project, spec: str = ENDPOINT, **options: Any) -> None:
    call_command("measure_peer", project.slug, spec, **options)


def page(project: Project, person: Any = None) -> str:
    client = Client()
    client.force_login(person or make_member(project, "viewer"))
    return client.get(reverse("guards", args=[project.slug])).content.decode()


def another_set(project: Project) -> None:
    family = project.examples.trainable().filter(origin="seed").first().family  # type: ignore[union-attr]
    project.examples.filter(family=family).update(split="evaluation")
    evaluation.freeze(project)


def test_a_peer_is_measured_on_the_frozen_rows_and_kept(
    project: Project, programs: FakePrograms, capsys: pytest.CaptureFixture[str]
) -> None:
    lead, frozen = make_member(project, "lead"), project.evaluation_sets.get()
    asked: list[Any] = []
    programs.look = lambda run: asked.append((run.request()["settings"], run.rows()))

    measure(project, name="Omni", by=lead.username)

    kept = PeerEvaluation.objects.get()
    assert asked == [({"peer": ENDPOINT}, evaluation.read(frozen))]
    assert (kept.evaluation_set, kept.name, kept.spec, kept.measured_by) == (frozen, "Omni", ENDPOINT, lead)
    assert kept.metrics["n"] == frozen.rows
    entry = AuditEntry.objects.get(action="peer-measured")
    assert (entry.actor, entry.detail["digest"]) == (lead, frozen.digest)
    out = capsys.readouterr()
    assert json.loads(out.out)["average_precision"] == kept.metrics["average_precision"]
    assert "2/2" in out.err  # progress


def test_measured_again_its_figures_are_replaced(project: Project, programs: FakePrograms) -> None:
    measure(project)
    programs.average_precision = 0.2
    measure(project, name="Omni, once more")

    kept = PeerEvaluation.objects.get()
    assert kept.name == "Omni, once more"
    assert kept.metrics["average_precision"] == pytest.approx(0.21)


def test_one_folder_is_one_peer_from_wherever_it_is_named(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "other-guard").mkdir()
    monkeypatch.chdir(tmp_path)

    measure(project, "other-guard")
    measure(project, str(tmp_path / "other-guard"))

    assert PeerEvaluation.objects.get().name == "other-guard"


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        ("nowhere", "There is no peer"),
        ("chat:nobody:https://guard.example/v1#m", "There is no template 'nobody'"),
        ("moderation:guard.example", "should be an address and a model"),
        ("moderation:https://me:hunter2@guard.example/v1#m", "no name, password or query"),
        ("moderation:me:hunter2@guard.example", "no name, password or query"),
        ("chat:llama-guard:https://guard.example/v1?key=hunter2#m", "no name, password or query"),
    ],
)
def test_what_cannot_be_asked_or_holds_a_secret_is_refused_in_a_sentence(
    project: Project, spec: str, says: str
) -> None:
    with pytest.raises(CommandError, match=says) as no:
        measure(project, spec)

    assert "hunter2" not in str(no.value)
    assert not PeerEvaluation.objects.exists()


def test_what_is_missing_is_a_sentence(project: Project) -> None:
    bare = make_project()
    for act, says in (
        (lambda: measure(bare), "has no evaluation set yet"),
        (lambda: measure(project, on="Held-out set 9"), "There is: Held-out set 1"),
        (lambda: measure(project, by="nobody"), "There is nobody named 'nobody'"),
        (lambda: call_command("measure_peer", "nowhere", ENDPOINT), "There is no project 'nowhere'"),
    ):
        with pytest.raises(CommandError, match=says):
            act()


@pytest.mark.parametrize(
    ("failure", "says"),
    [
        (ProgramFailed("The endpoint gave status 500.", "Check it."), "The endpoint gave status 500. Check it."),
        (ProgramKilled("The program was ended by SIGKILL."), "Nothing was stored. Measure again."),
        (KeyboardInterrupt(), "Stopped, and nothing was stored"),
    ],
)
def test_a_measuring_that_ends_early_says_so_and_stores_nothing(
    project: Project, programs: FakePrograms, failure: BaseException, says: str
) -> None:
    programs.fail["evaluate"] = [failure]

    with pytest.raises(CommandError, match=says):
        measure(project)

    assert not PeerEvaluation.objects.exists()
    assert not AuditEntry.objects.filter(action="peer-measured").exists()


def test_a_peer_stands_among_the_guards_by_average_precision(project: Project, programs: FakePrograms) -> None:
    programs.average_precision = 0.715  # and the first guard has 0.71, the second 0.72
    programs.gain = 0
    measure(project, name="Somebody else")

    shown = page(project)

    places = [shown.index(name) for name in (">Guard 2</a>", "Somebody else", ">Guard 1</a>")]
    assert places == sorted(places)
    assert '<span class="chip machine">peer</span>' in shown
    assert "0.715" in shown
    assert "guard.example" not in shown  # where it is, is the operator's


def test_on_another_set_a_peer_is_named_and_not_ranked(project: Project) -> None:
    measure(project, name="Somebody else")
    another_set(project)

    shown = page(project)

    assert '<span class="chip machine">peer</span>' not in shown
    words = re.sub(r"<[^>]+>", "", shown)
    assert "Not comparable, for it was measured on another set: Somebody else (Held-out set 1)" in words


def test_a_peer_is_shown_to_members_of_its_project_alone(project: Project) -> None:
    measure(project, name="Somebody else")
    other = make_project(content_note="")
    client = Client()
    client.force_login(make_member(other, "lead"))

    assert client.get(reverse("guards", args=[project.slug])).status_code == 404
    assert "Somebody else" not in client.get(reverse("guards", args=[other.slug])).content.decode()


def test_under_a_public_set_stands_what_others_published(programs: FakePrograms) -> None:
    project = make_project(content_note="")
    seeds = make_seeds(project, 12)
    file = Import.objects.create(project=project, name="toxic_chat.jsonl.gz", purpose="evaluation")
    project.examples.filter(pk__in=[seed.pk for seed in seeds[:4]]).update(source=file, split="evaluation")
    go(project)

    shown = page(project)

    assert project.evaluation_sets.get().name == "toxic_chat"
    assert "What others published on toxic_chat" in shown
    assert "Qwen3Guard, arXiv 2510.14276" in shown


def test_nothing_is_published_on_a_set_of_ones_own(project: Project) -> None:
    assert "What others published" not in page(project)


def peer_page(project: Project, person: Any = None) -> str:
    client = Client()
    client.force_login(person or make_member(project, "viewer"))
    peer = PeerEvaluation.objects.earliest("pk")
    address = reverse("guard-peer", args=[project.slug, peer.pk])
    answer = client.get(address)
    assert answer.status_code == 200
    board = client.get(reverse("guards", args=[project.slug]), {"set": peer.evaluation_set_id}).content.decode()
    assert f'href="{address}"' in board
    return answer.content.decode()


def test_a_peer_has_a_page_with_its_figures_beside_the_active_guard(project: Project) -> None:
    measure(project, name="Somebody <b>else</b>", by=make_member(project, "lead", "lea").username)
    PeerEvaluation.objects.update(metrics={
        "average_precision": 0.8, "f1": 0.7, "threshold": 0.5, "recall": 0.75, "fpr": 0.1, "ece": 0.04, "seconds": 6.0,
        "n": 12, "intervals": {"average_precision": [0.75, 0.85], "recall": [0.7, 0.8]},
        "by_length": {"1 to 9 words": {"n": 8, "average_precision": 0.81, "recall": 0.66, "fpr": 0.05}},
    })  # fmt: skip

    active = guards.active_of(project)
    assert active is not None
    known = (active.metrics_on(project.evaluation_sets.get()) or {})["average_precision"]

    shown = peer_page(project)

    assert "Somebody &lt;b&gt;else&lt;/b&gt;" in shown
    assert "0.750 to 0.850" in shown
    assert f"{0.8 - known:+.3f}</span> against {active}" in shown
    assert "75.0 %<small>70.0 to 80.0 %" in shown
    assert "1 to 9 words" in shown
    assert "moderation endpoint" in shown
    assert "0.5 s a text" in shown
    assert "by lea" in shown
    assert "guard.example" not in shown  # where it is, is the operator's


def test_a_peers_page_stands_without_figures_and_without_an_active_guard(project: Project) -> None:
    measure(project, name="Somebody else")
    PeerEvaluation.objects.update(metrics={})
    project.guards.update(state="retired")

    shown = peer_page(project)

    assert "Somebody else" in shown
    assert "against" not in shown


def test_a_peer_on_several_sets_says_where_else_it_was_measured(project: Project) -> None:
    measure(project, name="Somebody else")
    another_set(project)
    measure(project, name="Somebody else")
    first, second = PeerEvaluation.objects.order_by("pk")

    shown = peer_page(project)

    assert f'href="{reverse("guard-peer", args=[project.slug, second.pk])}"' in shown
    assert f'href="{reverse("guard-peer", args=[project.slug, first.pk])}"' not in shown


def test_a_peers_page_is_for_members_of_its_project_alone(project: Project) -> None:
    measure(project)
    other = make_project(content_note="")
    client = Client()
    client.force_login(make_member(other, "lead"))
    peer = PeerEvaluation.objects.get()

    for slug in (project.slug, other.slug):
        assert client.get(reverse("guard-peer", args=[slug, peer.pk])).status_code == 404
    assert client.post(reverse("guard-peer", args=[other.slug, peer.pk])).status_code in (404, 405)
