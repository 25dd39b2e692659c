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
        page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
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
    page.get_by_role("button", name="Next: its columns").click()
    expect(page.get_by_text("Waiting for a worker")).to_be_visible()
    shoot(page, "import-waiting")
    row = Import.objects.get()
    jobs.work(row.job.pk)  # type: ignore[union-attr]
    page.get_by_role("button", name="Try it first").click()
    jobs.work(row.job.pk)  # type: ignore[union-attr]
    expect(page.get_by_text("6 of 7 rows would be added")).to_be_visible()
    page.get_by_text("What its columns mean").click()
    expect(page.get_by_text("How its first rows read")).to_be_visible()
    shoot(page, "import-tried")
    page.get_by_role("button", name="Import it").click()
    expect(page.get_by_text("Waiting for a worker")).to_be_visible()
    jobs.work(row.job.pk)  # type: ignore[union-attr]
    page.get_by_role("link", name="Show them").click()
    expect(page.locator("tbody tr")).to_have_count(6)

    make_example(project, text="where do oaks grow", language="de")
    page.goto(f"/p/{project.slug}/examples/")
    page.get_by_label("Search").fill("oaks")
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


ANSWERS = (("ana@example.org", ["Unsafe"], ["S2: Non-Violent Crimes"]), (7, ["Unsafe"], ["Fraud/Deception"]),
           (9, ["Not sure"], []))  # fmt: skip


def export_of_label_studio(file: Path) -> None:
    """Two questions, three annotators; the values of one have no meaning here yet."""
    tasks = []
    for number in range(14):
        annotations = []
        for by, label, kinds in ANSWERS[: 1 + number % 3]:
            said = {"harm": label if number % 2 else ["Safe"], "kind": kinds if number % 2 else []}
            result = [
                {"from_name": name, "to_name": "text", "type": "choices", "value": {"choices": values}}
                for name, values in said.items() if values
            ]  # fmt: skip
            annotations.append({"completed_by": by, "was_cancelled": False, "result": result})
        text = f"how do i {'fake' if number % 2 else 'frame'} receipt number {number}"
        tasks.append({"id": number, "data": {"message": text, "channel": "chat"}, "annotations": annotations})
    tasks[4]["data"] = {"message": "<img src=x onerror=\"document.title='broken in'\"> and a frame", "channel": "chat"}
    file.write_text(json.dumps(tasks))


def test_the_columns_of_an_export_are_said_by_keys_alone_and_its_annotators_kept(
    page: Page, project: Project, tmp_path: Path, expected: list[str]
) -> None:
    expected += ["htmx:sendAbort", "htmx:afterRequest"]  # a choice that another one overtook
    export_of_label_studio(tmp_path / "export.json")
    page.goto(f"/p/{project.slug}/import/")
    page.set_input_files("input[type=file]", tmp_path / "export.json")
    page.get_by_role("button", name="Next: its columns").click()
    row = Import.objects.get()
    jobs.work(row.job.pk)  # type: ignore[union-attr]
    expect(page.get_by_text("reads like an export of Label Studio")).to_be_visible()
    expect(page.locator("#id_text")).to_have_value("message")
    expect(page.locator("#id_label")).to_have_value("harm")
    assert "broken in" not in page.title()
    shoot(page, "import-columns")

    page.get_by_role("button", name="Import", exact=True).click()
    expect(page.get_by_role("alert")).to_contain_text("Say what 'Not sure' in 'harm' means")
    unsure = page.get_by_label("What Not sure means")
    unsure.focus()
    page.keyboard.press("ArrowDown")
    for _ in range(10):
        if unsure.input_value() == "-":
            break
        page.keyboard.press("End")
    expect(unsure).to_have_value("-")
    page.locator("#id_categories").select_option("kind")
    page.get_by_label("Which category Fraud/Deception is").select_option("fraud")
    expect(page.locator("#mapping .chip.category", has_text="Fraud").first).to_be_visible()
    expect(unsure).to_have_value("-")  # what was said before stays said
    expect(page.locator("#mapping").get_by_text("not taken")).to_have_count(0)
    shoot(page, "import-said")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")

    page.get_by_role("button", name="Import", exact=True).click()
    jobs.work(row.job.pk)  # type: ignore[union-attr]
    expect(page.get_by_text("14 of 14 rows added")).to_be_visible()
    shoot(page, "import-done")
    told = project.examples.filter(label="unsafe").order_by("-source_line").first()
    assert told is not None
    page.goto(f"/p/{project.slug}/examples/{told.pk}/")
    expect(page.get_by_text("said of it, in the file").first).to_be_visible()
    shoot(page, "example-provenance")
