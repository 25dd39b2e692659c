"""From an empty database to a downloaded dataset, as a new lead would go: real worker, real programs, tiny weights."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as site
from django.contrib.auth.models import User
from django.core.management import call_command
from playwright.sync_api import Browser, Page, expect

from curation import runner
from curation.models import Guard, Project
from curation.models.project import Role
from tests.browser.desk import Desk
from tests.browser.server import address_of_database
from tests.browser.test_data import shoot
from tests.processes import ROOT, wait_until
from tests.tiny_models import tiny_encoder

SEEDS = ROOT / "curation" / "demo" / "seeds.jsonl"
MILD = ("fraud", "privacy", "theft", "harassment")
LONG = 240_000  # milliseconds; a step takes a few seconds where nobody else wants the processor
PASSWORD = "plants and rain 7"
KEPT = {"use-augmenters-chat-spelling", "use-filters-exact-duplicate", "use-filters-length"}


@contextmanager
def worker(artifacts: Path, log: Path) -> Iterator[None]:
    """A real worker of both queues, on the run's database and the test's artifacts."""
    command = ["celery", "--quiet", "-A", "curation.celery", "worker", "--queues", "default,compute"]
    options = ["--concurrency", "1", "--loglevel", "WARNING", "--without-gossip", "--without-mingle"]
    environment = {
        "DATABASE_URL": address_of_database(),
        "REDIS_URL": site.REDIS_URL,
        "WHETSTONE_ARTIFACTS": str(artifacts),
    }
    with log.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", *command, *options], cwd=ROOT, env=os.environ | environment, stdout=out, stderr=out,
            start_new_session=True,
        )  # fmt: skip
        try:
            yield
        finally:
            runner.end_group(process.pid)
            process.wait()


def rows_of(name: str, first: int, count: int) -> list[dict[str, Any]]:
    """Pairs of the demo's seeds, in columns that a stranger's file might have."""
    every = [json.loads(line) for line in SEEDS.read_text().splitlines()]
    mild = [row for row in every if row["pair"].rpartition("-")[0] in MILD][2 * first : 2 * (first + count)]
    return [
        {"message": row["text"], "verdict": {"unsafe": "bad", "safe": "fine"}[row["label"]],
         "topic": (row["categories"] or [""])[0], "pair": row["pair"]}
        for row in mild
    ]  # fmt: skip


def bring_in(page: Page, file: Path, rows: list[dict[str, Any]], purpose: str, name: str) -> None:
    file.write_text("\n".join(map(json.dumps, rows)))
    page.get_by_role("link", name="Examples", exact=True).first.click()
    page.get_by_role("link", name="Import").click()
    page.set_input_files("input[type=file]", file)
    page.get_by_label("Use them as").select_option(purpose)
    page.get_by_role("button", name="Next: its columns").click()
    expect(page.locator("#mapping")).to_be_visible(timeout=LONG)
    for role, column in (("text", "message"), ("label", "verdict"), ("categories", "topic")):
        if page.locator(f"#id_{role}").input_value() != column:
            with page.expect_response(lambda answer: answer.url.endswith("/map")):
                page.locator(f"#id_{role}").select_option(column)
    for word, label in (("bad", "unsafe"), ("fine", "safe")):
        meant = page.get_by_label(f"What {word} means", exact=True)
        if meant.input_value() != label:
            with page.expect_response(lambda answer: answer.url.endswith("/map")):
                meant.select_option(label)
    expect(page.locator("#mapping tbody .chip", has_text="nsafe").first).to_be_visible()
    shoot(page, f"walk-{name}")
    page.get_by_role("button", name="Import", exact=True).click()
    expect(page.get_by_text(f"{len(rows)} of {len(rows)} rows added")).to_be_visible(timeout=LONG)


def plan(page: Page, encoder: Path, kept: Collection[str] = KEPT, epochs: int = 2) -> None:
    """Through the wizard: a few seeds, spelled as in chats where that is kept, a tiny encoder, no attack."""
    page.get_by_role("link", name="Rounds", exact=True).click()
    page.get_by_role("link", name="Start a round").click()
    page.get_by_role("button", name="Plan a round").click()
    page.get_by_label("Seeds to write from").fill("12")
    page.get_by_role("button", name="Next: the recipe").click()
    for box in page.locator("input[type=checkbox][name^=use-]").all():
        box.set_checked(box.get_attribute("name") in kept)
    page.get_by_label("No attack").check()
    page.locator("[name=train-epochs]").fill(str(epochs))
    page.get_by_text("All other settings").click()
    page.locator("[name=train-backbone]").fill(str(encoder))
    page.get_by_role("button", name="Next: look at ten texts").click()


def launch(page: Page, review: str) -> None:
    page.locator("select[name=review]").select_option(review)
    page.get_by_role("button", name="Start the round").click()


def read(desk: Desk) -> None:
    """Hold the key that lifts the veil, where the text is severe enough to have one."""
    if desk.at("#veil").is_visible():
        desk.page.keyboard.down(desk.keys["reveal"])
        expect(desk.at("#text")).not_to_be_empty()
        desk.page.keyboard.up(desk.keys["reveal"])


@pytest.mark.timeout(1800)
def test_a_new_lead_goes_from_an_empty_database_to_a_dataset(
    browser: Browser, live_server: Any, settings: Any, tmp_path: Path, redis_is_empty: None
) -> None:
    assert not User.objects.exists()
    encoder, complaints = tiny_encoder(tmp_path / "encoder"), []
    context = browser.new_context(base_url=live_server.url, accept_downloads=True)
    page = context.new_page()
    page.set_default_timeout(30_000)
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    try:
        with worker(settings.ARTIFACTS_DIR, tmp_path / "worker.log"):
            walk(page, live_server.url, encoder, tmp_path)
    finally:
        context.close()
    assert not complaints


def walk(page: Page, url: str, encoder: Path, folder: Path) -> None:
    out = StringIO()
    call_command("invite", "lea", "--url", url, stdout=out)

    # In: an account, a project, a colleague
    page.goto(out.getvalue().strip())
    shoot(page, "walk-01-invited")
    page.get_by_label("Password", exact=False).first.fill(PASSWORD)
    page.get_by_label("Password again").fill(PASSWORD)
    page.get_by_role("button", name="Make my account").click()
    page.get_by_label("Name", exact=True).fill("Support chat")
    shoot(page, "walk-02-project")
    page.get_by_role("button", name="Make the project").click()
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    project = Project.objects.get()
    assert project.role_of(User.objects.get()) == Role.OWNER
    page.get_by_role("link", name="People", exact=True).click()
    page.get_by_label("Whom").fill("ana")
    page.get_by_role("button", name="Make a link").click()
    expect(page.locator("[data-secret]")).to_contain_text("/join/")
    shoot(page, "walk-03-people")

    # Data: seeds, and rows to measure on
    bring_in(page, folder / "seeds.jsonl", rows_of("seeds", 0, 24), "training", "04-columns")
    bring_in(page, folder / "held-out.jsonl", rows_of("held-out", 24, 8), "evaluation", "05-held-out")

    # A round: plan, look, launch, watch
    plan(page, encoder)
    page.get_by_role("button", name="Write ten texts").click()
    expect(page.get_by_text("they join nothing")).to_be_visible(timeout=LONG)
    shoot(page, "walk-06-preview")
    page.get_by_role("link", name="Next: time and cost").click()
    shoot(page, "walk-07-launch")
    launch(page, "people")
    expect(page.get_by_role("link", name="Review", exact=False).and_(page.locator(".btn-primary"))).to_be_visible(
        timeout=LONG
    )
    shoot(page, "walk-08-round")
    address = page.url

    # Judge three, then train
    desk = Desk(page, project)
    page.goto(f"/p/{project.slug}/review/?understood=1")
    desk.wait_until_ready()
    for act in ("approve", "approve", "reject"):
        read(desk)
        desk.decide(act)
    desk.saved()
    shoot(page, "walk-09-desk")
    page.goto(address)
    page.get_by_role("button", name="Finish review and train").click()
    expect(page.locator("#live .chip.closed")).to_be_visible(timeout=LONG)

    # A second guard to compare with, on what is decided by now
    plan(page, encoder, kept=(), epochs=30)
    page.get_by_role("link", name="Next: time and cost").click()
    launch(page, "auto")
    expect(page.locator("#live .chip.closed")).to_be_visible(timeout=LONG)
    shoot(page, "walk-10-closed")
    page.get_by_role("link", name="Guards", exact=True).click()
    shoot(page, "walk-11-guards")
    page.goto(f"/p/{project.slug}/guards/2/against/1/")
    expect(page.get_by_role("heading", level=1)).to_contain_text("Guard")
    shoot(page, "walk-12-compare")
    promote(page, project)

    # Out: a release, and its rows on the lead's own disk
    page.get_by_role("link", name="Releases", exact=True).click()
    page.get_by_role("button", name="Freeze it").click()
    expect(page.get_by_role("link", name="data.jsonl")).to_be_visible(timeout=LONG)
    shoot(page, "walk-13-release")
    with page.expect_download() as waited:
        page.get_by_role("link", name="data.jsonl").click()
    file = waited.value.path()
    release = project.releases.get()
    assert hashlib.sha256(file.read_bytes()).hexdigest() == release.digest
    rows = [json.loads(line) for line in file.read_text().splitlines()]
    assert [row["label_source"] for row in rows].count("person") == 2  # approved at the desk; the third was rejected
    assert "evaluation" not in {row["split"] for row in rows}


def promote(page: Page, project: Project) -> None:
    """Bring the guard that is not live into service, with a reason where a rule asks for one."""
    other = project.guards.exclude(state=Guard.State.ACTIVE).order_by("-number").first()
    assert other is not None
    page.goto(f"/p/{project.slug}/guards/{other.number}/")
    page.locator("#gate textarea, #gate input[name=reason]").first.fill("Looked at side by side.")
    page.locator("#gate form button").click()
    expect(page.get_by_text(f"Guard {other.number} is active.")).to_be_visible()
    wait_until(lambda: Guard.objects.get(pk=other.pk).state == Guard.State.ACTIVE, "the guard is active")


pytestmark = pytest.mark.slow
