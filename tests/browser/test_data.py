from __future__ import annotations

import json
import os
from pathlib import Path

from playwright.sync_api import Page, expect

from curation.models import Import, Project
from curation.operations import jobs
from tests.factories import make_example

SHOTS = os.environ.get("WHETSTONE_TEST_SHOTS", "")  # a folder; pictures of the pages go there


def shoot(page: Page, name: str) -> None:
    if not SHOTS:
        return
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        for width in (1440, 390):
            page.set_viewport_size({"width": width, "height": 900})
            page.screenshot(path=Path(SHOTS) / f"{name}-{scheme}-{width}.png", full_page=True)
    page.set_viewport_size({"width": 1280, "height": 800})


def test_a_file_is_tried_imported_searched_and_kept_as_a_view(page: Page, project: Project, tmp_path: Path) -> None:
    rows = [{"text": f"how do i water tall oak number {n}", "label": "safe", "pair": n // 2} for n in range(6)]
    (tmp_path / "oaks.jsonl").write_text("\n".join(map(json.dumps, [*rows, {"text": "no label here"}])))
    page.goto(f"/p/{project.slug}/import/")
    page.set_input_files("input[type=file]", tmp_path / "oaks.jsonl")
    shoot(page, "import")
    page.get_by_role("button", name="Try it first").click()
    expect(page.get_by_text("Waiting for a worker")).to_be_visible()
    shoot(page, "import-waiting")
    row = Import.objects.get()
    jobs.work(row.job.pk)  # type: ignore[union-attr]
    expect(page.get_by_text("6 of 7 rows would be added")).to_be_visible()
    shoot(page, "import-tried")
    page.get_by_role("button", name="Import it").click()
    expect(page.get_by_text("Waiting for a worker")).to_be_visible()
    jobs.work(row.job.pk)  # type: ignore[union-attr]
    page.get_by_role("link", name="Show them").click()
    expect(page.locator("tbody tr")).to_have_count(6)

    make_example(project, text="where do oaks grow", language="de")
    page.goto(f"/p/{project.slug}/examples/")
    page.get_by_label("Words").fill("oaks")
    page.get_by_role("button", name="Show", exact=True).click()
    expect(page.locator("tbody tr")).to_have_count(1)
    page.get_by_label("Name of this view").fill("Oaks")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("link", name="Oaks", exact=True)).to_be_visible()
    shoot(page, "examples")
    page.goto(f"/p/{project.slug}/examples/?q=tall")
    page.locator("tbody a").first.click()
    expect(page.locator(".tree li")).to_have_count(2)
    shoot(page, "example")
