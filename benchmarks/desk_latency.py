"""How long a reviewer waits, in the browser, from a key press until the next text is painted.

`python benchmarks/desk_latency.py` starts a PostgreSQL of its own and the web server, opens the desk in a real Chromium
and judges 100 examples by keyboard alone, as fast as a quick reader would (a press every 400 ms). A probe in the page
notes the time stamp of each key event, and the time when the frame that shows the next text was painted: an animation
frame after the text changed, plus the task after that frame. Median and 95th percentile are in milliseconds.

The last line is one JSON object. `load` is the machine's load average beside the figures; `by_event_timing` is the
browser's own measure (Event Timing, in steps of 8 ms) of the same presses.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
KEYS = "ara2a0"  # approve, reject, approve, relabel, approve, relabel as safe
PROBE = """
(() => {
  const measured = window.measured = { painted: [], events: [] };
  let pressed = null;
  addEventListener("keydown", (event) => { pressed = event.timeStamp; }, { capture: true });
  const watch = () => new MutationObserver(() => {
    if (pressed === null) return;
    const from = pressed;
    pressed = null;
    requestAnimationFrame(() => {
      const after = new MessageChannel();
      after.port1.onmessage = () => measured.painted.push(performance.now() - from);
      after.port2.postMessage(null);
    });
  }).observe(document.getElementById("text"), { childList: true });
  document.addEventListener("DOMContentLoaded", () => { if (document.getElementById("text")) watch(); });
  new PerformanceObserver((list) => {
    for (const entry of list.getEntries()) if (entry.name === "keydown") measured.events.push(entry.duration);
  }).observe({ type: "event", durationThreshold: 16, buffered: true });
})();
"""


def make_rows(count: int) -> str:
    """A project with `count` waiting examples of ordinary length, each written from another; return its address."""
    from tests.factories import make_example, make_member, make_project

    project = make_project(slug="latency")
    make_member(project, "annotator", "ana")
    parent = make_example(project, state="accepted", label="safe", text="how do i water the plants while i am away")
    for number in range(count):
        text = f"how do i water plant number {number} while i am away, {'and what if it rains ' * (number % 9)}?"
        make_example(project, text=text, parent=parent, priority=count - number)
    return f"/p/{project.slug}/review/"


def judge(url: str, place: str, count: int, pace: int) -> dict[str, list[float]]:
    """Judge `count` examples in Chromium; return the probe's times."""
    from playwright.sync_api import expect, sync_playwright

    from tests.browser.conftest import CHROMIUM, FLAGS

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        page = browser.new_page(base_url=url, viewport={"width": 1440, "height": 900})
        page.add_init_script(PROBE)
        page.goto("/login")
        page.locator("[name=username]").fill("ana")
        page.locator("[name=password]").fill("a long enough password")
        page.locator("[name=password]").press("Enter")
        page.wait_for_url(lambda address: "login" not in address)
        page.goto(place)
        page.wait_for_selector("html[data-desk=ready]")
        for number in range(count):
            before = page.locator("#heading").text_content() or ""
            page.keyboard.press(KEYS[number % len(KEYS)])
            expect(page.locator("#heading")).not_to_have_text(before, timeout=30_000)
            page.wait_for_timeout(pace)
        page.wait_for_selector("#saved[data-state=saved]")
        found: dict[str, list[float]] = page.evaluate("measured")
        browser.close()
    return found


def spread(values: list[float]) -> dict[str, float]:
    ordered = sorted(values)
    return {
        "median_ms": round(statistics.median(ordered), 1),
        "p95_ms": round(ordered[min(len(ordered) - 1, int(0.95 * len(ordered)))], 1),
        "max_ms": round(ordered[-1], 1),
    }


def run(examples: int, pace: int) -> dict[str, Any]:
    """Start everything in a folder of its own, measure, and leave nothing."""
    var = Path(tempfile.mkdtemp(prefix="whetstone-latency-")).resolve()
    var.chmod(0o755)
    os.environ |= {"WHETSTONE_VAR": str(var), "DJANGO_SETTINGS_MODULE": "curation.settings"}
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"
    for name in ("DATABASE_URL", "REDIS_URL"):
        os.environ.pop(name, None)
    from curation import services

    try:
        with services.held(var):
            import django
            from django.core.management import call_command

            django.setup()
            call_command("migrate", verbosity=0)
            from tests.browser.server import serving

            place = make_rows(examples + 10)
            from curation.models import Verdict

            with serving({}) as server:
                measured = judge(server.url, place, examples, pace)
            stored = Verdict.objects.by_people().count()
    finally:
        shutil.rmtree(var, ignore_errors=True)
    return {
        "examples": examples, "measured": len(measured["painted"]), "verdicts_stored": stored,
        **spread(measured["painted"]), "by_event_timing": spread(measured["events"] or [0.0]),
        "pace_ms": pace, "load": round(os.getloadavg()[0], 1), "cores": os.cpu_count(),
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--examples", type=int, default=100)
    parser.add_argument("--pace", type=int, default=400, help="milliseconds between a text and the next key")
    parser.add_argument("--quick", action="store_true", help="20 examples, without reading")
    options = parser.parse_args()
    count, pace = (20, 50) if options.quick else (options.examples, options.pace)
    print(json.dumps(run(count, pace)))


if __name__ == "__main__":
    main()
