"""How fast data comes in, is found, and goes out.

`python benchmarks/data_flow.py --rows 1000000` writes a JSONL file of that many rows, has the import's own job read and
store it in a PostgreSQL of its own, then asks the explorer: pages with any two filters, full-text searches, and what is
like what over `--vectors` embeddings (random ones, around a hundred centres). Then a release's rows are written as
JSONL and as Parquet. These operations are called in this process, so the times are without HTTP and templates. At the
end the web server takes the same file as an upload, and hands out every file of a release of those rows.

The last line is one JSON object. `import_rows_per_s` counts from the stored file to the end of the job; times are in
milliseconds; `peak_rss_mb` is of this process, which does the worker's part, of the reading program, and of the web
server's processes.
"""

from __future__ import annotations

import argparse
import hashlib
import itertools
import json
import os
import random
import resource
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
from benchmarks.browsing import Browser, peak_mb, serving  # noqa: E402 - found once the project's folder is on the path

PASSWORD = "a long enough password"
CATEGORIES = ("fraud", "hate", "self-harm", "privacy")
VALUES = {
    "state": ("accepted", "queued", "rejected"), "label": ("safe", "unsafe"), "split": ("train", "validation"),
    "language": ("en", "de", "fr"), "origin": ("seed", "augmented"), "category": CATEGORIES,
}  # fmt: skip


def write(file: Path, rows: int) -> list[str]:
    """Rows of words that are as unevenly frequent as those of a language; return the words."""
    chance = random.Random(1)
    words = [f"word{min(int(chance.paretovariate(1.0)), 60_000)}" for _ in range(200_000)]
    with file.open("w") as out:
        for number in range(rows):
            unsafe = number % 2
            row = {
                "text": " ".join(chance.choices(words, k=chance.randint(5, 25))) + f" number {number}",
                "label": "unsafe" if unsafe else "safe", "language": chance.choice(VALUES["language"]),
            } | ({"categories": [chance.choice(CATEGORIES)]} if unsafe else {})  # fmt: skip
            out.write(json.dumps(row) + "\n")
    return words


def bring(project: Any, file: Path) -> tuple[float, dict[str, Any]]:
    from curation.operations import intake, jobs

    with file.open("rb") as handle:
        row = intake.start(project, None, handle, file.name, "training")
    began = time.perf_counter()
    job = jobs.work(row.job.pk)
    spent = time.perf_counter() - began
    assert job is not None and job.state == "done", job and job.error
    row.refresh_from_db()
    return spent, row.report


def spread() -> None:
    """Give rows the states that a project in use has, then let the database look at what it holds."""
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE curation_example SET state = CASE WHEN id % 3 = 0 THEN 'queued' ELSE 'rejected' END,"
            " origin = 'augmented' WHERE id % 2 = 0"
        )
        cursor.execute("VACUUM ANALYZE curation_example")


def embed(project: Any, count: int) -> None:
    import numpy as np
    from django.db import connection

    chance = np.random.default_rng(1)
    centres = chance.normal(size=(100, 384))
    with connection.cursor() as cursor:
        cursor.execute("SELECT id FROM curation_example ORDER BY id LIMIT %s", [count])
        ids = [row[0] for row in cursor]
        with cursor.copy("COPY curation_vector (example_id, project_id, embedding) FROM STDIN") as copy:
            for number, pk in enumerate(ids):
                vector = centres[number % 100] + chance.normal(size=384)
                copy.write_row((pk, project.pk, "[" + ",".join(f"{value:.4f}" for value in vector) + "]"))
        cursor.execute("VACUUM ANALYZE curation_vector")


def timed(calls: Iterable[Callable[[], Any]]) -> float:
    """The 95th percentile, in milliseconds."""
    times = []
    for call in calls:
        began = time.perf_counter()
        call()
        times.append(time.perf_counter() - began)
    return round(sorted(times)[max(0, int(len(times) * 0.95) - 1)] * 1000, 1)


def look(project: Any, words: list[str], vectors: int) -> dict[str, float]:
    from curation.models import Example, Vector
    from curation.operations import explore

    chance = random.Random(2)
    pairs = [
        {one: first, other: second}
        for one, other in itertools.combinations(VALUES, 2)
        for first in VALUES[one] for second in VALUES[other]
    ]  # fmt: skip
    texts = [" ".join(chance.sample(words, chance.randint(1, 3))) for _ in range(100)]
    ids = list(Vector.objects.order_by("pk").values_list("pk", flat=True)[:: max(1, vectors // 100)])
    own = [Example.objects.get(pk=pk) for pk in ids]
    return {
        "list_p95_ms": timed([lambda wanted=wanted: explore.page(project, wanted) for wanted in pairs]),
        "search_p95_ms": timed([lambda text=text: explore.page(project, {"q": text}) for text in texts]),
        "similar_p95_ms": timed([lambda one=one: explore.like(project, one) for one in own]) if own else 0.0,
    }


def measure(arguments: argparse.Namespace, folder: Path) -> dict[str, Any]:
    import django

    django.setup()
    from django.core.management import call_command

    from benchmarks.export_rate import export_rows_per_s
    from curation.models import Category, Policy, PolicyVersion, Project

    call_command("migrate", verbosity=0)
    version = PolicyVersion.objects.create(policy=Policy.objects.create(name="Bench"), number=1)
    for place, key in enumerate(CATEGORIES):
        Category.objects.create(version=version, key=key, name=key.title(), definition="What it is.", position=place)
    project = Project.objects.create(name="Bench", slug="bench", policy_version=version)
    words = write(folder / "rows.jsonl", arguments.rows)
    spent, report = bring(project, folder / "rows.jsonl")
    peaks = {"worker_importing": rss(resource.RUSAGE_SELF), "reading_program": rss(resource.RUSAGE_CHILDREN)}
    figures = {"rows": arguments.rows, "import_rows_per_s": round(report["rows"] / spent), "added": report["added"]}
    print(json.dumps(figures), file=sys.stderr, flush=True)
    spread()
    embed(project, arguments.vectors)
    figures |= look(project, words, arguments.vectors) | {"vectors": arguments.vectors}
    print(json.dumps(figures), file=sys.stderr, flush=True)
    rates = export_rows_per_s(project, folder)
    figures["export_rows_per_s"] = {name: round(rate) for name, rate in rates.items()}
    peaks["worker_exporting"] = rss(resource.RUSAGE_SELF)
    figures["peak_rss_mb"] = peaks | {"web": pass_through_web(project, folder / "rows.jsonl", folder)}
    return figures


def pass_through_web(project: Any, file: Path, folder: Path) -> int:
    """Upload the file and download a release by the web server; return the most memory a process of it had, in MB."""
    from django.contrib.auth.models import User

    from curation.models import Membership
    from curation.operations import jobs, releases

    lead = User.objects.create_user("lead", password=PASSWORD)
    Membership.objects.create(project=project, user=lead, role="lead")
    release = releases.start(project, lead)
    jobs.work(release.jobs.get().pk)
    release.refresh_from_db()
    os.environ["WHETSTONE_MAX_IMPORT_BYTES"] = str(file.stat().st_size)
    with serving() as (port, pid):
        browser = Browser(port)
        browser.sign_in(lead.username, PASSWORD)
        _upload(browser, f"/p/{project.slug}/import/start", file, folder / "form")
        for entry in release.files:
            with (folder / "downloaded").open("wb") as out:
                path = f"/p/{project.slug}/releases/{release.number}/files/{entry['name']}"
                status, _ = browser.ask("GET", path, into=out)
            sha256 = hashlib.sha256((folder / "downloaded").read_bytes()).hexdigest()
            assert (status, sha256) == (200, entry["sha256"]), f"{path} was answered {status}"
        return peak_mb(pid)


def _upload(browser: Browser, path: str, file: Path, form: Path) -> None:
    """Post a file as a form does, without holding it."""
    line = b"--one-part-after-the-other"
    fields = {"csrfmiddlewaretoken": browser.cookies["csrftoken"], "purpose": "training"}
    with form.open("wb") as out, file.open("rb") as rows:
        for name, value in fields.items():
            out.write(line + f'\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode())
        out.write(line + b'\r\nContent-Disposition: form-data; name="file"; filename="rows.jsonl"\r\n\r\n')
        shutil.copyfileobj(rows, out)
        out.write(b"\r\n" + line + b"--\r\n")
    with form.open("rb") as body:
        status, _ = browser.ask(
            "POST", path, body, Content_Length=str(form.stat().st_size),
            Content_Type=f"multipart/form-data; boundary={line[2:].decode()}",
        )  # fmt: skip
    assert status == 302, f"the upload was answered {status}"


def rss(who: int) -> int:
    return resource.getrusage(who).ru_maxrss // 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--vectors", type=int, default=20_000, help="examples with an embedding")
    parser.add_argument("--quick", action="store_true", help="20,000 rows, 2,000 vectors")
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.rows, arguments.vectors = 20_000, 2_000
    folder = Path(tempfile.mkdtemp(prefix="whetstone-bench-"))
    folder.chmod(0o755)
    for name in ("DATABASE_URL", "REDIS_URL", "WHETSTONE_ARTIFACTS", "WHETSTONE_SECRET_KEY"):
        os.environ.pop(name, None)
    os.environ |= {"WHETSTONE_VAR": str(folder), "DJANGO_SETTINGS_MODULE": "curation.settings"}
    from curation import services

    try:
        with services.held(folder):
            print(json.dumps(measure(arguments, folder)))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
