"""How fast a release is frozen and written, and how much memory that takes.

`python benchmarks/export_rate.py --rows 1000000` makes a project of that size in a PostgreSQL of its own and writes its
rows as a worker does. The last line is one JSON object: rows a second of each format, of freezing, and of both formats
one after the other; `peak_rss_mb` of this process.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
FILL = """
INSERT INTO curation_example (project_id, text, text_hash, version, scored_version, language, origin, state, split,
    family, stage, stage_settings, prompt, model_digest, scores, proposed_label, proposed_categories, label, categories,
    priority, priority_reason, reserved, created_at)
SELECT %(project)s, 'how do i look after plant number ' || n || ' on a sunny balcony in the city', md5(n::text),
    1, 1, 'en',
    'augmented', 'accepted', 'train', 'family-' || n / 3, 'persona', '{"copies": 2}', 'persona.v1', 'weights', '{}',
    label, categories, label, categories, 0, '', false, now()
FROM generate_series(1, %(rows)s) n, LATERAL (SELECT CASE n %% 2 WHEN 0 THEN 'safe' ELSE 'unsafe' END AS label,
    CASE n %% 2 WHEN 0 THEN '{}'::varchar[] ELSE ARRAY['fraud']::varchar[] END AS categories) labels
"""


def export_rows_per_s(project: Any, folder: Path) -> dict[str, float]:
    """Freeze a project's accepted rows and write them to `folder`; return rows a second of each step.

    Django is set up, and the project has accepted examples.
    """
    from curation.models import Release
    from curation.operations import freezing, releases
    from pipeline.exporters import exporters

    release = Release.objects.create(
        project=project, number=project.releases.count() + 1, selection=freezing.Selection().to_json(),
        splits={"mode": "keep"},
    )  # fmt: skip
    began = time.perf_counter()
    count = freezing.freeze(release)
    figures = {"rows": float(count), "freeze": count / (time.perf_counter() - began)}
    for key in ("jsonl", "parquet", "csv"):
        began = time.perf_counter()
        with (folder / f"measured.{key}").open("wb") as file:
            exporters.make(key)(releases.rows(release), file)
        figures[key] = count / (time.perf_counter() - began)
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--quick", action="store_true", help="20,000 rows")
    options = parser.parse_args()
    var = Path(tempfile.mkdtemp(prefix="whetstone-export-"))
    var.chmod(0o755)
    for name in ("DATABASE_URL", "REDIS_URL"):
        os.environ.pop(name, None)
    os.environ |= {"WHETSTONE_VAR": str(var), "DJANGO_SETTINGS_MODULE": "curation.settings"}
    from curation import services

    try:
        with services.held(var):
            print(json.dumps(_measure(20_000 if options.quick else options.rows, var)))
    finally:
        shutil.rmtree(var, ignore_errors=True)


def _measure(rows: int, var: Path) -> dict[str, Any]:
    import django

    django.setup()
    from django.core.management import call_command
    from django.db import connection

    from tests.factories import make_project

    call_command("migrate", verbosity=0)
    project = make_project()
    with connection.cursor() as cursor:
        cursor.execute(FILL, {"project": project.pk, "rows": rows})
        cursor.execute("ANALYZE")
    figures = export_rows_per_s(project, var)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {name: round(value) for name, value in figures.items()} | {"peak_rss_mb": round(peak)}


if __name__ == "__main__":
    main()
