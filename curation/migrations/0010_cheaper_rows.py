"""What a row of an import pays for indexes and computed columns becomes less."""

import django.db.models.deletion
from django.db import migrations, models

# Without what is empty: nobody looks for rows that have no stage.
FACETS = """
ALTER TABLE curation_example DROP COLUMN facets;
ALTER TABLE curation_example ADD COLUMN facets text[] GENERATED ALWAYS AS (
    ARRAY[
        'state:' || state::text, 'origin:' || origin::text, 'split:' || split::text, 'language:' || language::text,
        'label:' || (CASE WHEN label::text = '' THEN proposed_label ELSE label END)::text
    ]
    || (CASE WHEN stage::text <> '' THEN ARRAY['stage:' || stage::text] END)
    || (CASE WHEN round_id IS NOT NULL THEN ARRAY['round:' || round_id::text] END)
    || (CASE WHEN source_id IS NOT NULL THEN ARRAY['source:' || source_id::text] END)
    || (CASE WHEN label::text = '' THEN proposed_categories ELSE categories END)::text[]
) STORED;
CREATE INDEX example_search ON curation_example USING gin (facets, words);
"""
FACETS_BACK = """
ALTER TABLE curation_example DROP COLUMN facets;
ALTER TABLE curation_example ADD COLUMN facets text[] GENERATED ALWAYS AS (
    ARRAY[
        'state:' || state::text, 'origin:' || origin::text, 'split:' || split::text,
        'language:' || language::text, 'stage:' || stage::text,
        'label:' || (CASE WHEN label::text = '' THEN proposed_label ELSE label END)::text,
        'round:' || coalesce(round_id::text, ''), 'source:' || coalesce(source_id::text, '')
    ] || (CASE WHEN label::text = '' THEN proposed_categories ELSE categories END)::text[]
) STORED;
CREATE INDEX example_search ON curation_example USING gin (facets, words);
"""


class Migration(migrations.Migration):
    dependencies = [
        ("curation", "0009_import_mapping"),
    ]

    operations = [
        migrations.RemoveConstraint(
            model_name="example",
            name="imported_text_once",
        ),
        migrations.RemoveConstraint(
            model_name="example",
            name="job_stores_output_once",
        ),
        migrations.RemoveIndex(
            model_name="example",
            name="example_newest",
        ),
        migrations.RemoveIndex(
            model_name="example",
            name="example_hash",
        ),
        migrations.RemoveIndex(
            model_name="example",
            name="example_round_state",
        ),
        migrations.AlterField(
            model_name="example",
            name="parent",
            field=models.ForeignKey(
                blank=True,
                db_index=False,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="children",
                to="curation.example",
            ),
        ),
        migrations.AddIndex(
            model_name="example",
            index=models.Index(fields=["project", "id"], name="example_newest"),
        ),
        migrations.AddIndex(
            model_name="example",
            index=models.Index(
                condition=models.Q(("round__isnull", False)), fields=["round", "state"], name="example_round_state"
            ),
        ),
        migrations.AddIndex(
            model_name="example",
            index=models.Index(condition=models.Q(("parent__isnull", False)), fields=["parent"], name="example_parent"),
        ),
        migrations.AddConstraint(
            model_name="example",
            constraint=models.UniqueConstraint(
                models.F("project"),
                models.F("text_hash"),
                models.Case(
                    models.When(origin__in=["seed", "human"], then=0),
                    default=models.F("id"),
                    output_field=models.BigIntegerField(),
                ),
                name="imported_text_once",
            ),
        ),
        migrations.AddConstraint(
            model_name="example",
            constraint=models.UniqueConstraint(
                condition=models.Q(("made_by_job__isnull", False)),
                fields=("made_by_job", "made_as"),
                name="job_stores_output_once",
            ),
        ),
        migrations.RunSQL(FACETS, FACETS_BACK),
    ]
