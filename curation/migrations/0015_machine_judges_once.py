"""A constraint comes back that 0011 took with it, unsaid: Django drops every index of a column that shall have none."""

from django.core.management.base import CommandError
from django.db import migrations
from django.db.models import Count

SHOWN = 20  # ids


def refuse_doubles(apps, schema_editor):
    """Verdicts are append-only, so which of two stays is for a person to say, not for a migration."""
    log = apps.get_model("curation", "Verdict").objects.using(schema_editor.connection.alias)
    counted = log.filter(maker="machine").order_by("example").values("example").annotate(verdicts=Count("pk"))
    doubled = [str(row["example"]) for row in counted.filter(verdicts__gt=1)]
    if doubled:
        more = ", …" if len(doubled) > SHOWN else ""
        raise CommandError(
            f"Expected at most one machine verdict an example, found {len(doubled)} with more: "
            f"{', '.join(doubled[:SHOWN])}{more}. Nothing was changed. Take a backup, then do what docs/operate.md says "
            "under Upgrade, and migrate again."
        )


class Migration(migrations.Migration):
    dependencies = [("curation", "0014_peers")]

    operations = [
        migrations.RunPython(refuse_doubles, migrations.RunPython.noop),
        migrations.RunSQL(
            "CREATE UNIQUE INDEX IF NOT EXISTS machine_judges_once ON curation_verdict (example_id) WHERE maker = 'machine'",
            migrations.RunSQL.noop,
        ),
    ]
