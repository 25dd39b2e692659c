"""A constraint comes back that 0011 took with it, unsaid: Django drops every index of a column that shall have none."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("curation", "0014_peers")]

    operations = [
        migrations.RunSQL(
            "CREATE UNIQUE INDEX IF NOT EXISTS machine_judges_once ON curation_verdict (example_id) WHERE maker = 'machine'",
            migrations.RunSQL.noop,
        )
    ]
