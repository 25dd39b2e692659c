"""What the first fourteen came to: an empty database is made from this alone; they stay for those that have one."""

import uuid
from importlib import import_module

import django.contrib.postgres.fields
import django.core.validators
import django.db.models.deletion
import django.db.models.functions.datetime
import django.db.models.functions.math
import pgvector.django
import pgvector.django.halfvec
import pgvector.django.indexes
import pgvector.django.vector
from django.conf import settings
from django.db import migrations, models
from django.db.migrations.operations.base import Operation

import curation.models.webhook

REPLACED = (
    "0001_initial",
    "0002_review_desk",
    "0003_desk_agreement",
    "0004_guard_serving",
    "0005_explorer_and_imports",
    "0006_rounds_and_gates",
    "0007_releases",
    "0008_trail",
    "0009_import_mapping",
    "0010_cheaper_rows",
    "0011_fewer_indexes",
    "0012_people",
    "0013_webhooks",
    "0014_peers",
)


def _sql():
    """Triggers, functions and computed columns, in the order in which they came; what moved rows finds none here."""
    for name in REPLACED:
        operations = import_module(f"curation.migrations.{name}").Migration.operations
        yield from (one for one in operations if isinstance(one, migrations.RunSQL))


class CreateModels(Operation):
    """All at once: one by one, each would have every model before it rendered anew, which was most of what it cost."""

    def __init__(self, *models):
        self.models = models

    def describe(self):
        return f"Create {len(self.models)} models"

    def state_forwards(self, app_label, state):
        state.__dict__.pop("apps", None)  # they are rendered when somebody asks again
        for model in self.models:
            model.state_forwards(app_label, state)

    def database_forwards(self, app_label, schema_editor, from_state, to_state):
        for model in self.models:
            model.database_forwards(app_label, schema_editor, from_state, to_state)

    def database_backwards(self, app_label, schema_editor, from_state, to_state):
        for model in reversed(self.models):
            model.database_backwards(app_label, schema_editor, from_state, to_state)


class Migration(migrations.Migration):
    initial = True

    replaces = [("curation", name) for name in REPLACED]

    dependencies = [
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        pgvector.django.VectorExtension(),
        CreateModels(
            migrations.CreateModel(
                name="Policy",
                fields=[
                    (
                        "id",
                        models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID"),
                    ),
                    ("name", models.CharField(max_length=120, unique=True)),
                    ("description", models.TextField(blank=True)),
                    ("created_at", models.DateTimeField(auto_now_add=True)),
                ],
                options={
                    "verbose_name_plural": "policies",
                },
            ),
            migrations.CreateModel(
                name="PolicyVersion",
                fields=[
                    (
                        "id",
                        models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID"),
                    ),
                    (
                        "policy",
                        models.ForeignKey(
                            on_delete=django.db.models.deletion.PROTECT, related_name="versions", to="curation.policy"
                        ),
                    ),
                    ("number", models.PositiveIntegerField()),
                    ("note", models.CharField(blank=True, max_length=500)),
                    (
                        "created_by",
                        models.ForeignKey(
                            null=True,
                            on_delete=django.db.models.deletion.PROTECT,
                            related_name="+",
                            to=settings.AUTH_USER_MODEL,
                        ),
                    ),
                    ("created_at", models.DateTimeField(auto_now_add=True)),
                ],
                options={
                    "constraints": [models.UniqueConstraint(fields=("policy", "number"), name="policy_version_once")],
                },
            ),
            migrations.CreateModel(
                name="Category",
                fields=[
                    (
                        "id",
                        models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID"),
                    ),
                    (
                        "version",
                        models.ForeignKey(
                            on_delete=django.db.models.deletion.PROTECT,
                            related_name="categories",
                            to="curation.policyversion",
                        ),
                    ),
                    (
                        "key",
                        models.CharField(
                            max_length=60,
                            validators=[
                                django.core.validators.RegexValidator(
                                    "^[a-z0-9]+(-[a-z0-9]+)*$",
                                    "A key is lower-case words joined by hyphens, such as self-harm.",
                                )
                            ],
                        ),
                    ),
                    ("name", models.CharField(max_length=80)),
                    ("definition", models.TextField()),
                    (
                        "severity",
                        models.PositiveSmallIntegerField(
                            default=2,
                            help_text="1 mild to 4 worst",
                            validators=[
                                django.core.validators.MinValueValidator(1),
                                django.core.validators.MaxValueValidator(4),
                            ],
                        ),
                    ),
                    ("includes", models.JSONField(default=list, help_text="phrases: what is in it")),
                    ("excludes", models.JSONField(default=list, help_text="phrases: what is not")),
                    (
                        "crosswalk",
                        models.JSONField(default=dict, help_text="names in openai, llama_guard, ailuminate and aegis"),
                    ),
                    ("generation_allowed", models.BooleanField(default=True)),
                    ("position", models.PositiveSmallIntegerField()),
                ],
                options={
                    "verbose_name_plural": "categories",
                    "ordering": ["version", "position"],
                    "constraints": [
                        models.UniqueConstraint(fields=("version", "key"), name="category_key_once"),
                        models.UniqueConstraint(fields=("version", "position"), name="category_position_once"),
                        models.CheckConstraint(
                            condition=models.Q(("severity__range", (1, 4))), name="category_severity_1_to_4"
                        ),
                    ],
                },
            ),
            migrations.CreateModel(
                name="Project",
                fields=[
                    (
                        "id",
                        models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID"),
                    ),
                    ("name", models.CharField(max_length=120, unique=True)),
                    ("slug", models.SlugField(max_length=60, unique=True)),
                    ("description", models.TextField(blank=True)),
                    (
                        "policy_version",
                        models.ForeignKey(
                            on_delete=django.db.models.deletion.PROTECT,
                            related_name="projects",
                            to="curation.policyversion",
                        ),
                    ),
                    (
                        "content_note",
                        models.TextField(
                            blank=True,
                            help_text="Shown before the first review: what one will read, and where support is.",
                        ),
                    ),
                    ("created_at", models.DateTimeField(auto_now_add=True)),
                ],
            ),
            migrations.CreateModel(
                name="Membership",
                fields=[
                    (
                        "id",
                        models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID"),
                    ),
                    (
                        "project",
                        models.ForeignKey(
                            on_delete=django.db.models.deletion.PROTECT,
                            related_name="memberships",
                            to="curation.project",
                        ),
                    ),
                    (
                        "user",
                        models.ForeignKey(
                            on_delete=django.db.models.deletion.PROTECT,
                            related_name="memberships",
                            to=settings.AUTH_USER_MODEL,
                        ),
                    ),
                    (
                        "role",
                        models.CharField(
                            choices=[
                                ("owner", "Owner"),
                                ("lead", "Lead"),
                                ("annotator", "Annotator"),
                                ("adjudicator", "Adjudicator"),
                                ("viewer", "Viewer"),
                            ],
                            max_length=12,
                        ),
                    ),
                    ("created_at", models.DateTimeField(auto_now_add=True)),
                ],
                options={
                    "constraints": [models.UniqueConstraint(fields=("project", "user"), name="member_once")],
                },
            ),
            migrations.CreateModel(
                name="Move",
                fields=[
                    (
                        "id",
                        models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID"),
                    ),
                    (
                        "subject",
                        models.CharField(help_text="model:id, or model:* with a scope for a bulk move", max_length=80),
                    ),
                    (
                        "scope",
                        models.CharField(blank=True, help_text="what a bulk move covered, as round:7", max_length=80),
                    ),
                    ("old", models.CharField(max_length=20)),
                    ("new", models.CharField(max_length=20)),
                    ("count", models.PositiveIntegerField(default=1)),
                    (
                        "by",
                        models.ForeignKey(
                            db_index=False,
                            null=True,
                            on_delete=django.db.models.deletion.PROTECT,
                            related_name="+",
                            to=settings.AUTH_USER_MODEL,
                        ),
                    ),
                    ("at", models.DateTimeField(auto_now_add=True)),
                    ("note", models.CharField(blank=True, help_text="why; never text of an example", max_length=500)),
                ],
                options={
                    "ordering": ["id"],
                    "indexes": [
                        models.Index(fields=["subject", "id"], name="curation_mo_subject_18a9a7_idx"),
                        models.Index(fields=["scope", "id"], name="curation_mo_scope_044b38_idx"),
                    ],
                },
            ),
            migrations.CreateModel(
                name="AuditEntry",
                fields=[
                    (
                        "id",
                        models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID"),
                    ),
                    (
                        "project",
                        models.ForeignKey(
                            null=True,
                            on_delete=django.db.models.deletion.PROTECT,
                            related_name="audit",
                            to="curation.project",
                        ),
                    ),
                    (
                        "actor",
                        models.ForeignKey(
                            null=True,
                            on_delete=django.db.models.deletion.PROTECT,
                            related_name="+",
                            to=settings.AUTH_USER_MODEL,
                        ),
                    ),
                    ("action", models.CharField(help_text="a verb with its noun, as seeds-imported", max_length=60)),
                    ("subject", models.CharField(blank=True, max_length=80)),
                    ("detail", models.JSONField(default=dict, help_text="counts and ids; never text of an example")),
                    ("at", models.DateTimeField(auto_now_add=True)),
                    ("link", models.PositiveBigIntegerField(editable=False, null=True, unique=True)),
                    ("previous", models.CharField(blank=True, editable=False, max_length=64)),
                    ("hash", models.CharField(blank=True, editable=False, max_length=64)),
                ],
                options={
                    "verbose_name_plural": "audit entries",
                    "ordering": ["-id"],
                    "indexes": [models.Index(fields=["project", "-id"], name="curation_au_project_2aa21e_idx")],
                },
            ),
            migrations.CreateModel(
                name="Example",
                fields=[
                    (
                        "id",
                        models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID"),
                    ),
                    (
                        "project",
                        models.ForeignKey(
                            db_index=False,
                            on_delete=django.db.models.deletion.PROTECT,
                            related_name="examples",
                            to="curation.project",
                        ),
                    ),
                    (
                        "round",
                        models.ForeignKey(
                            blank=True,
                            db_index=False,
                            help_text="the round whose candidates it joined; none for imported ones",
                            null=True,
                            on_delete=django.db.models.deletion.PROTECT,
                            related_name="examples",
                            to="curation.round",
                        ),
                    ),
                    ("text", models.TextField(help_text="as it reads now; its revisions keep how it read before")),
                    (
                        "version",
                        models.PositiveIntegerField(
                            default=1, help_text="counts edits; an edit names the one that it saw"
                        ),
                    ),
                    (
                        "scored_version",
                        models.PositiveIntegerField(
                            default=1, help_text="of the text that scores and embedding are of"
                        ),
                    ),
                    (
                        "text_hash",
                        models.CharField(editable=False, help_text="SHA-256 of the normalized text", max_length=64),
                    ),
                    ("language", models.CharField(default="en", max_length=8)),
                    (
                        "origin",
                        models.CharField(
                            choices=[
                                ("seed", "Seed"),
                                ("augmented", "Augmented"),
                                ("paraphrased", "Paraphrased"),
                                ("adversarial", "Adversarial"),
                                ("human", "Human"),
                                ("traffic", "Traffic"),
                            ],
                            max_length=12,
                        ),
                    ),
                    (
                        "state",
                        models.CharField(
                            choices=[
                                ("new", "New"),
                                ("filtered", "Filtered"),
                                ("queued", "Queued"),
                                ("accepted", "Accepted"),
                                ("rejected", "Rejected"),
                                ("disputed", "Disputed"),
                                ("retired", "Retired"),
                            ],
                            default="new",
                            max_length=12,
                        ),
                    ),
                    (
                        "split",
                        models.CharField(
                            choices=[("train", "Train"), ("validation", "Validation"), ("evaluation", "Evaluation")],
                            default="train",
                            max_length=12,
                        ),
                    ),
                    (
                        "parent",
                        models.ForeignKey(
                            blank=True,
                            db_index=False,
                            null=True,
                            on_delete=django.db.models.deletion.PROTECT,
                            related_name="children",
                            to="curation.example",
                        ),
                    ),
                    (
                        "family",
                        models.CharField(
                            help_text="the root seed; no family is on both sides of a split", max_length=64
                        ),
                    ),
                    (
                        "made_by_job",
                        models.ForeignKey(
                            db_index=False,
                            null=True,
                            on_delete=django.db.models.deletion.PROTECT,
                            related_name="examples",
                            to="curation.job",
                        ),
                    ),
                    ("made_as", models.PositiveIntegerField(help_text="row of the output of that job", null=True)),
                    ("stage", models.CharField(blank=True, help_text="key of the stage that made it", max_length=60)),
                    ("stage_settings", models.JSONField(blank=True, default=dict)),
                    ("prompt", models.CharField(blank=True, help_text="prompt file and digest", max_length=120)),
                    (
                        "model_digest",
                        models.CharField(blank=True, help_text="weights or endpoint that wrote it", max_length=160),
                    ),
                    (
                        "scores",
                        models.JSONField(
                            blank=True, default=dict, help_text="what its maker measured: reward, guard, novelty"
                        ),
                    ),
                    (
                        "source",
                        models.ForeignKey(
                            db_index=False,
                            help_text="the file that it came with",
                            null=True,
                            on_delete=django.db.models.deletion.PROTECT,
                            related_name="examples",
                            to="curation.import",
                        ),
                    ),
                    ("source_line", models.PositiveIntegerField(help_text="its row in that file", null=True)),
                    (
                        "proposed_label",
                        models.CharField(choices=[("safe", "Safe"), ("unsafe", "Unsafe")], max_length=6),
                    ),
                    (
                        "proposed_categories",
                        django.contrib.postgres.fields.ArrayField(
                            base_field=models.CharField(max_length=60), blank=True, default=list, size=None
                        ),
                    ),
                    (
                        "label",
                        models.CharField(blank=True, choices=[("safe", "Safe"), ("unsafe", "Unsafe")], max_length=6),
                    ),
                    (
                        "categories",
                        django.contrib.postgres.fields.ArrayField(
                            base_field=models.CharField(max_length=60), blank=True, default=list, size=None
                        ),
                    ),
                    ("priority", models.FloatField(default=0.0, help_text="higher is seen earlier")),
                    (
                        "priority_reason",
                        models.CharField(blank=True, help_text="why it comes early, for the reviewer", max_length=120),
                    ),
                    (
                        "overlap",
                        models.PositiveSmallIntegerField(
                            help_text="verdicts it needs; none: as the project's rules say", null=True
                        ),
                    ),
                    (
                        "reserved",
                        models.BooleanField(
                            default=False, help_text="an open batch keeps it for the people that it names"
                        ),
                    ),
                    (
                        "draw",
                        models.FloatField(
                            db_default=django.db.models.functions.math.Random(),
                            editable=False,
                            help_text="its place in the random order",
                        ),
                    ),
                    ("embedding", pgvector.django.vector.VectorField(blank=True, dimensions=384, null=True)),
                    ("created_at", models.DateTimeField(auto_now_add=True)),
                ],
                options={
                    "indexes": [
                        models.Index(fields=["project", "state", "-priority", "id"], name="example_queue"),
                        models.Index(
                            condition=models.Q(("reserved", False), ("state", "queued")),
                            fields=["project", "-priority", "id"],
                            name="example_pool",
                        ),
                        models.Index(
                            condition=models.Q(("reserved", False), ("state", "queued")),
                            fields=["project", "id"],
                            name="example_pool_oldest",
                        ),
                        models.Index(
                            condition=models.Q(("reserved", False), ("state", "queued")),
                            fields=["project", "draw", "id"],
                            name="example_pool_random",
                        ),
                        models.Index(
                            condition=models.Q(("version__gt", models.F("scored_version"))),
                            fields=["project"],
                            name="example_stale",
                        ),
                        models.Index(fields=["project", "id"], name="example_newest"),
                        models.Index(fields=["project", "family"], name="example_family"),
                        models.Index(
                            condition=models.Q(("round__isnull", False)),
                            fields=["round", "state"],
                            name="example_round_state",
                        ),
                        models.Index(
                            condition=models.Q(("parent__isnull", False)), fields=["parent"], name="example_parent"
                        ),
                    ],
                    "constraints": [
                        models.UniqueConstraint(
                            models.F("project"),
                            models.F("text_hash"),
                            models.Case(
                                models.When(origin__in=["seed", "human"], then=0),
                                default=models.F("id"),
                                output_field=models.BigIntegerField(),
                            ),
                            name="imported_text_once",
                        ),
                        models.UniqueConstraint(
                            condition=models.Q(("made_by_job__isnull", False)),
                            fields=("made_by_job", "made_as"),
                            name="job_stores_output_once",
                        ),
                        models.CheckConstraint(
                            condition=models.Q(
                                models.Q(("proposed_label", "safe"), _negated=True),
                                ("proposed_categories", []),
                                _connector="OR",
                            ),
                            name="safe_has_no_category",
                        ),
                    ],
                },
            ),
            migrations.CreateModel(
                name="Finding",
                fields=[
                    (
                        "id",
                        models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID"),
                    ),
                    (
                        "example",
                        models.ForeignKey(
                            on_delete=django.db.models.deletion.PROTECT, related_name="findings", to="curation.example"
                        ),
                    ),
                    (
                        "job",
                        models.ForeignKey(
                            on_delete=django.db.models.deletion.PROTECT, related_name="findings", to="curation.job"
                        ),
                    ),
                    ("filter", models.CharField(max_length=60)),
                    ("keep", models.BooleanField()),
                    ("score", models.FloatField(null=True)),
                    ("reason", models.CharField(blank=True, max_length=300)),
                    ("created_at", models.DateTimeField(auto_now_add=True)),
                ],
                options={
                    "ordering": ["id"],
                    "indexes": [models.Index(fields=["example", "id"], name="curation_fi_example_fa97e8_idx")],
                    "constraints": [models.UniqueConstraint(fields=("job", "example", "filter"), name="finding_once")],
                },
            ),
            migrations.CreateModel(
                name="ReviewRules",
                fields=[
                    (
                        "id",
                        models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID"),
                    ),
                    (
                        "project",
                        models.OneToOneField(
                            on_delete=django.db.models.deletion.PROTECT, related_name="rules", to="curation.project"
                        ),
                    ),
                    (
                        "overlap",
                        models.PositiveSmallIntegerField(
                            default=1,
                            help_text="verdicts an example needs",
                            validators=[
                                django.core.validators.MinValueValidator(1),
                                django.core.validators.MaxValueValidator(5),
                            ],
                        ),
                    ),
                    (
                        "consensus",
                        models.CharField(
                            choices=[("one", "One"), ("majority", "Majority"), ("unanimous", "Unanimous")],
                            default="one",
                            max_length=10,
                        ),
                    ),
                    (
                        "blind",
                        models.BooleanField(
                            default=True, help_text="nobody sees the guard's score or others' verdicts before"
                        ),
                    ),
                    (
                        "order",
                        models.CharField(
                            choices=[("informative", "Informative"), ("oldest", "Oldest"), ("random", "Random")],
                            default="informative",
                            max_length=12,
                        ),
                    ),
                    (
                        "skip_rule",
                        models.CharField(
                            choices=[("mine", "Mine"), ("others", "Others"), ("retire", "Retire")],
                            default="others",
                            max_length=8,
                        ),
                    ),
                    (
                        "lease_seconds",
                        models.PositiveIntegerField(
                            default=900,
                            validators=[
                                django.core.validators.MinValueValidator(30),
                                django.core.validators.MaxValueValidator(86400),
                            ],
                        ),
                    ),
                    (
                        "hold_seconds",
                        models.PositiveIntegerField(
                            default=14400,
                            validators=[
                                django.core.validators.MinValueValidator(60),
                                django.core.validators.MaxValueValidator(604800),
                            ],
                        ),
                    ),
                    (
                        "prefetch",
                        models.PositiveSmallIntegerField(
                            default=5, validators=[django.core.validators.MaxValueValidator(25)]
                        ),
                    ),
                    ("bulk_allowed", models.BooleanField(default=True)),
                    ("bulk_adversarial", models.BooleanField(default=False)),
                    (
                        "category_quotas",
                        models.JSONField(
                            blank=True,
                            default=dict,
                            help_text="decided examples wanted per category key; short ones come earlier",
                        ),
                    ),
                    (
                        "gold_rate",
                        models.FloatField(
                            default=0.0,
                            validators=[
                                django.core.validators.MinValueValidator(0.0),
                                django.core.validators.MaxValueValidator(0.5),
                            ],
                        ),
                    ),
                    ("gold_feedback", models.BooleanField(default=False)),
                    (
                        "gold_bar",
                        models.FloatField(
                            default=0.7,
                            validators=[
                                django.core.validators.MinValueValidator(0.0),
                                django.core.validators.MaxValueValidator(1.0),
                            ],
                        ),
                    ),
                    (
                        "gold_window",
                        models.PositiveSmallIntegerField(
                            default=10, validators=[django.core.validators.MinValueValidator(3)]
                        ),
                    ),
                    ("exam_required", models.BooleanField(default=False)),
                    (
                        "exam_size",
                        models.PositiveSmallIntegerField(
                            default=10, validators=[django.core.validators.MinValueValidator(1)]
                        ),
                    ),
                    (
                        "exam_bar",
                        models.FloatField(
                            default=0.8,
                            validators=[
                                django.core.validators.MinValueValidator(0.0),
                                django.core.validators.MaxValueValidator(1.0),
                            ],
                        ),
                    ),
                    (
                        "veil_severity",
                        models.PositiveSmallIntegerField(
                            default=3,
                            help_text="5 veils nothing",
                            validators=[
                                django.core.validators.MinValueValidator(1),
                                django.core.validators.MaxValueValidator(5),
                            ],
                        ),
                    ),
                    ("severe_in_row", models.PositiveSmallIntegerField(default=3, help_text="0 sets no limit")),
                    ("severe_per_day", models.PositiveIntegerField(default=0, help_text="0 sets no limit")),
                    (
                        "rotate_after_minutes",
                        models.PositiveSmallIntegerField(default=0, help_text="0 does not rotate categories"),
                    ),
                    ("break_after_minutes", models.PositiveSmallIntegerField(default=45, help_text="0 never asks")),
                    ("daily_budget_minutes", models.PositiveSmallIntegerField(default=0, help_text="0 sets no limit")),
                    ("end_on_harmless", models.PositiveSmallIntegerField(default=3)),
                    ("support", models.TextField(blank=True, help_text="where help is: plain text and addresses")),
                    (
                        "flag_note",
                        models.CharField(
                            blank=True, help_text="what a flag is for, in this project's words", max_length=300
                        ),
                    ),
                    (
                        "changed_by",
                        models.ForeignKey(
                            null=True,
                            on_delete=django.db.models.deletion.PROTECT,
                            related_name="+",
                            to=settings.AUTH_USER_MODEL,
                        ),
                    ),
                    ("changed_at", models.DateTimeField(auto_now=True)),
                ],
                options={
                    "verbose_name_plural": "review rules",
                    "constraints": [
                        models.CheckConstraint(condition=models.Q(("overlap__range", (1, 5))), name="overlap_1_to_5"),
                        models.CheckConstraint(
                            condition=models.Q(("gold_rate__gte", 0), ("gold_rate__lte", 0.5)),
                            name="gold_rate_up_to_half",
                        ),
                    ],
                },
            ),
            migrations.CreateModel(
                name="Batch",
                fields=[
                    (
                        "id",
                        models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID"),
                    ),
                    (
                        "project",
                        models.ForeignKey(
                            on_delete=django.db.models.deletion.PROTECT, related_name="batches", to="curation.project"
                        ),
                    ),
                    ("name", models.CharField(max_length=120)),
                    (
                        "filter",
                        models.JSONField(default=dict, help_text="typed columns and their values; never a text search"),
                    ),
                    (
                        "overlap",
                        models.PositiveSmallIntegerField(
                            null=True,
                            validators=[
                                django.core.validators.MinValueValidator(1),
                                django.core.validators.MaxValueValidator(5),
                            ],
                        ),
                    ),
                    (
                        "order",
                        models.CharField(
                            blank=True,
                            choices=[("informative", "Informative"), ("oldest", "Oldest"), ("random", "Random")],
                            max_length=12,
                        ),
                    ),
                    (
                        "created_by",
                        models.ForeignKey(
                            on_delete=django.db.models.deletion.PROTECT, related_name="+", to=settings.AUTH_USER_MODEL
                        ),
                    ),
                    ("created_at", models.DateTimeField(auto_now_add=True)),
                    ("closed_at", models.DateTimeField(null=True)),
                ],
                options={
                    "verbose_name_plural": "batches",
                    "ordering": ["-id"],
                    "constraints": [models.UniqueConstraint(fields=("project", "name"), name="batch_name_once")],
                },
            ),
            migrations.CreateModel(
                name="Assignment",
                fields=[
                    (
                        "id",
                        models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID"),
                    ),
                    (
                        "batch",
                        models.ForeignKey(
                            on_delete=django.db.models.deletion.PROTECT, related_name="assignments", to="curation.batch"
                        ),
                    ),
                    (
                        "user",
                        models.ForeignKey(
                            on_delete=django.db.models.deletion.PROTECT,
                            related_name="assignments",
                            to=settings.AUTH_USER_MODEL,
                        ),
                    ),
                    ("weight", models.PositiveSmallIntegerField(default=1)),
                    ("quota", models.PositiveIntegerField(null=True)),
                ],
                options={
                    "constraints": [models.UniqueConstraint(fields=("batch", "user"), name="assigned_once")],
                },
            ),
            migrations.CreateModel(
                name="BatchItem",
                fields=[
                    (
                        "id",
                        models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID"),
                    ),
                    (
                        "batch",
                        models.ForeignKey(
                            on_delete=django.db.models.deletion.PROTECT, related_name="items", to="curation.batch"
                        ),
                    ),
                    (
                        "example",
                        models.ForeignKey(
                            on_delete=django.db.models.deletion.PROTECT,
                            related_name="batch_items",
                            to="curation.example",
                        ),
                    ),
                    (
                        "assignee",
                        models.ForeignKey(
                            null=True,
                            on_delete=django.db.models.deletion.PROTECT,
                            related_name="+",
                            to=settings.AUTH_USER_MODEL,
                        ),
                    ),
                ],
                options={
                    "indexes": [
                        models.Index(fields=["assignee", "batch", "example"], name="batch_item_person"),
                        models.Index(fields=["example"], name="batch_item_example"),
                    ],
                    "constraints": [
                        models.UniqueConstraint(
                            fields=("batch", "example", "assignee"), name="batch_item_once", nulls_distinct=False
                        )
                    ],
                },
            ),
            migrations.CreateModel(
                name="Lease",
                fields=[
                    (
                        "id",
                        models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID"),
                    ),
                    (
                        "project",
                        models.ForeignKey(
                            db_index=False,
                            on_delete=django.db.models.deletion.PROTECT,
                            related_name="leases",
                            to="curation.project",
                        ),
                    ),
                    (
                        "example",
                        models.ForeignKey(
                            on_delete=django.db.models.deletion.PROTECT, related_name="leases", to="curation.example"
                        ),
                    ),
                    ("slot", models.PositiveSmallIntegerField(default=1, help_text="1 to the overlap")),
                    (
                        "reviewer",
                        models.ForeignKey(
                            db_index=False,
                            on_delete=django.db.models.deletion.PROTECT,
                            related_name="leases",
                            to=settings.AUTH_USER_MODEL,
                        ),
                    ),
                    (
                        "batch",
                        models.ForeignKey(
                            db_index=False,
                            null=True,
                            on_delete=django.db.models.deletion.PROTECT,
                            related_name="leases",
                            to="curation.batch",
                        ),
                    ),
                    (
                        "purpose",
                        models.CharField(
                            choices=[
                                ("queue", "Queue"),
                                ("gold", "Gold"),
                                ("exam", "Exam"),
                                ("adjudication", "Adjudication"),
                            ],
                            default="queue",
                            max_length=12,
                        ),
                    ),
                    (
                        "held",
                        models.BooleanField(default=False, help_text="kept for hours, as while one asks a colleague"),
                    ),
                    ("granted_at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                    ("expires_at", models.DateTimeField()),
                    ("closed_at", models.DateTimeField(null=True)),
                    (
                        "ended",
                        models.CharField(
                            blank=True,
                            choices=[
                                ("verdict", "Verdict"),
                                ("skipped", "Skipped"),
                                ("expired", "Expired"),
                                ("released", "Released"),
                                ("returned", "Returned"),
                            ],
                            max_length=10,
                        ),
                    ),
                ],
                options={
                    "ordering": ["id"],
                    "indexes": [
                        models.Index(
                            condition=models.Q(("closed_at", None)),
                            fields=["project", "expires_at"],
                            name="lease_expiry",
                        ),
                        models.Index(
                            condition=models.Q(("closed_at", None)),
                            fields=["reviewer", "project", "id"],
                            name="lease_hand",
                        ),
                        models.Index(
                            condition=models.Q(("batch__isnull", False)), fields=["batch"], name="lease_batch"
                        ),
                    ],
                    "constraints": [
                        models.UniqueConstraint(
                            condition=models.Q(("closed_at", None), ("purpose", "queue")),
                            fields=("example", "slot"),
                            name="one_live_lease_a_slot",
                        ),
                        models.UniqueConstraint(
                            condition=models.Q(("closed_at", None)),
                            fields=("example", "reviewer"),
                            name="one_live_lease_a_person",
                        ),
                        models.CheckConstraint(
                            condition=models.Q(
                                models.Q(("closed_at", None), ("ended", "")),
                                models.Q(("closed_at__isnull", False), models.Q(("ended", ""), _negated=True)),
                                _connector="OR",
                            ),
                            name="an_ended_lease_says_how",
                        ),
                    ],
                },
            ),
            migrations.CreateModel(
                name="BulkAct",
                fields=[
                    (
                        "id",
                        models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID"),
                    ),
                    (
                        "project",
                        models.ForeignKey(
                            on_delete=django.db.models.deletion.PROTECT, related_name="bulk_acts", to="curation.project"
                        ),
                    ),
                    (
                        "reviewer",
                        models.ForeignKey(
                            on_delete=django.db.models.deletion.PROTECT,
                            related_name="bulk_acts",
                            to=settings.AUTH_USER_MODEL,
                        ),
                    ),
                    ("key", models.UUIDField(help_text="the same key is the same act")),
                    ("body_hash", models.CharField(max_length=64)),
                    ("count", models.PositiveIntegerField(default=0)),
                    ("answer", models.JSONField(default=dict)),
                    ("created_at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                    ("undone_at", models.DateTimeField(null=True)),
                ],
                options={
                    "ordering": ["id"],
                    "indexes": [models.Index(fields=["reviewer", "project", "-id"], name="bulk_act_newest")],
                    "constraints": [models.UniqueConstraint(fields=("reviewer", "key"), name="bulk_act_once")],
                },
            ),
            migrations.CreateModel(
                name="Verdict",
                fields=[
                    (
                        "id",
                        models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID"),
                    ),
                    (
                        "example",
                        models.ForeignKey(
                            db_index=False,
                            on_delete=django.db.models.deletion.PROTECT,
                            related_name="verdicts",
                            to="curation.example",
                        ),
                    ),
                    (
                        "reviewer",
                        models.ForeignKey(
                            db_index=False,
                            null=True,
                            on_delete=django.db.models.deletion.PROTECT,
                            related_name="verdicts",
                            to=settings.AUTH_USER_MODEL,
                        ),
                    ),
                    ("maker", models.CharField(choices=[("person", "Person"), ("machine", "Machine")], max_length=8)),
                    (
                        "job",
                        models.ForeignKey(
                            db_index=False,
                            null=True,
                            on_delete=django.db.models.deletion.PROTECT,
                            related_name="verdicts",
                            to="curation.job",
                        ),
                    ),
                    (
                        "decision",
                        models.CharField(
                            choices=[
                                ("accept", "Accept"),
                                ("reject", "Reject"),
                                ("relabel", "Relabel"),
                                ("skip", "Skip"),
                                ("escalate", "Escalate"),
                                ("withdraw", "Withdraw"),
                            ],
                            max_length=8,
                        ),
                    ),
                    (
                        "label",
                        models.CharField(blank=True, choices=[("safe", "Safe"), ("unsafe", "Unsafe")], max_length=6),
                    ),
                    (
                        "categories",
                        django.contrib.postgres.fields.ArrayField(
                            base_field=models.CharField(max_length=60), blank=True, default=list, size=None
                        ),
                    ),
                    ("reason", models.CharField(blank=True, max_length=500)),
                    ("seconds", models.FloatField(help_text="time on the example, as the browser saw it", null=True)),
                    (
                        "active_seconds",
                        models.FloatField(help_text="of those, visible and touched: what speed is made of", null=True),
                    ),
                    ("confidence", models.PositiveSmallIntegerField(help_text="1 unsure to 3 sure", null=True)),
                    (
                        "cause",
                        models.CharField(
                            blank=True, help_text="why verdicts disagreed, where this one settles it", max_length=16
                        ),
                    ),
                    (
                        "purpose",
                        models.CharField(
                            choices=[
                                ("queue", "Queue"),
                                ("gold", "Gold"),
                                ("exam", "Exam"),
                                ("adjudication", "Adjudication"),
                            ],
                            default="queue",
                            max_length=12,
                        ),
                    ),
                    ("version", models.PositiveIntegerField(default=1, help_text="of the text that was judged")),
                    (
                        "lease",
                        models.ForeignKey(
                            null=True,
                            on_delete=django.db.models.deletion.PROTECT,
                            related_name="verdicts",
                            to="curation.lease",
                        ),
                    ),
                    (
                        "bulk",
                        models.ForeignKey(
                            db_index=False,
                            null=True,
                            on_delete=django.db.models.deletion.PROTECT,
                            related_name="verdicts",
                            to="curation.bulkact",
                        ),
                    ),
                    ("idempotency_key", models.UUIDField(null=True)),
                    ("body_hash", models.CharField(blank=True, max_length=64)),
                    ("answer", models.JSONField(null=True)),
                    (
                        "policy_version",
                        models.ForeignKey(
                            db_index=False,
                            on_delete=django.db.models.deletion.PROTECT,
                            related_name="+",
                            to="curation.policyversion",
                        ),
                    ),
                    (
                        "supersedes",
                        models.OneToOneField(
                            null=True,
                            on_delete=django.db.models.deletion.PROTECT,
                            related_name="superseded_by",
                            to="curation.verdict",
                        ),
                    ),
                    ("created_at", models.DateTimeField(auto_now_add=True)),
                ],
                options={
                    "ordering": ["id"],
                    "indexes": [
                        models.Index(fields=["example", "id"], name="curation_ve_example_871600_idx"),
                        models.Index(fields=["reviewer", "-id"], name="curation_ve_reviewe_137fd8_idx"),
                        models.Index(fields=["reviewer", "created_at"], name="verdict_reviewer_time"),
                        models.Index(condition=models.Q(("job__isnull", False)), fields=["job"], name="verdict_job"),
                        models.Index(condition=models.Q(("bulk__isnull", False)), fields=["bulk"], name="verdict_bulk"),
                    ],
                    "constraints": [
                        models.CheckConstraint(
                            condition=models.Q(
                                models.Q(("maker", "person"), ("reviewer__isnull", False)),
                                models.Q(("maker", "machine"), ("reviewer__isnull", True)),
                                _connector="OR",
                            ),
                            name="a_person_is_named_a_machine_is_not",
                        ),
                        models.UniqueConstraint(
                            condition=models.Q(("maker", "machine")), fields=("example",), name="machine_judges_once"
                        ),
                        models.UniqueConstraint(fields=("reviewer", "idempotency_key"), name="a_key_is_one_verdict"),
                        models.CheckConstraint(
                            condition=models.Q(("confidence", None), ("confidence__range", (1, 3)), _connector="OR"),
                            name="confidence_1_to_3",
                        ),
                    ],
                },
            ),
            migrations.CreateModel(
                name="Revision",
                fields=[
                    (
                        "id",
                        models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID"),
                    ),
                    (
                        "example",
                        models.ForeignKey(
                            on_delete=django.db.models.deletion.PROTECT, related_name="revisions", to="curation.example"
                        ),
                    ),
                    ("number", models.PositiveIntegerField()),
                    ("text", models.TextField()),
                    (
                        "by",
                        models.ForeignKey(
                            help_text="none for its maker",
                            null=True,
                            on_delete=django.db.models.deletion.PROTECT,
                            related_name="+",
                            to=settings.AUTH_USER_MODEL,
                        ),
                    ),
                    ("created_at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ],
                options={
                    "ordering": ["example", "number"],
                    "constraints": [models.UniqueConstraint(fields=("example", "number"), name="revision_once")],
                },
            ),
            migrations.CreateModel(
                name="Flag",
                fields=[
                    (
                        "id",
                        models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID"),
                    ),
                    (
                        "example",
                        models.ForeignKey(
                            on_delete=django.db.models.deletion.PROTECT, related_name="flags", to="curation.example"
                        ),
                    ),
                    (
                        "by",
                        models.ForeignKey(
                            on_delete=django.db.models.deletion.PROTECT, related_name="+", to=settings.AUTH_USER_MODEL
                        ),
                    ),
                    ("note", models.CharField(blank=True, max_length=500)),
                    ("created_at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                    (
                        "resolved_by",
                        models.ForeignKey(
                            null=True,
                            on_delete=django.db.models.deletion.PROTECT,
                            related_name="+",
                            to=settings.AUTH_USER_MODEL,
                        ),
                    ),
                    ("resolved_at", models.DateTimeField(null=True)),
                ],
                options={
                    "ordering": ["id"],
                    "constraints": [
                        models.UniqueConstraint(
                            condition=models.Q(("resolved_at", None)), fields=("example",), name="one_open_flag"
                        )
                    ],
                },
            ),
            migrations.CreateModel(
                name="Comment",
                fields=[
                    (
                        "id",
                        models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID"),
                    ),
                    (
                        "example",
                        models.ForeignKey(
                            on_delete=django.db.models.deletion.PROTECT, related_name="comments", to="curation.example"
                        ),
                    ),
                    (
                        "by",
                        models.ForeignKey(
                            on_delete=django.db.models.deletion.PROTECT, related_name="+", to=settings.AUTH_USER_MODEL
                        ),
                    ),
                    ("text", models.CharField(max_length=4000)),
                    ("created_at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ],
                options={
                    "ordering": ["id"],
                    "indexes": [models.Index(fields=["example", "id"], name="comment_example")],
                },
            ),
            migrations.CreateModel(
                name="Adjudication",
                fields=[
                    (
                        "id",
                        models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID"),
                    ),
                    (
                        "project",
                        models.ForeignKey(
                            on_delete=django.db.models.deletion.PROTECT,
                            related_name="adjudications",
                            to="curation.project",
                        ),
                    ),
                    (
                        "example",
                        models.ForeignKey(
                            on_delete=django.db.models.deletion.PROTECT,
                            related_name="adjudications",
                            to="curation.example",
                        ),
                    ),
                    ("opened_at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                    (
                        "opened_by",
                        models.ForeignKey(
                            help_text="who escalated it; none where verdicts disagree",
                            null=True,
                            on_delete=django.db.models.deletion.PROTECT,
                            related_name="+",
                            to=settings.AUTH_USER_MODEL,
                        ),
                    ),
                    ("closed_at", models.DateTimeField(null=True)),
                    (
                        "verdict",
                        models.OneToOneField(
                            null=True,
                            on_delete=django.db.models.deletion.PROTECT,
                            related_name="adjudication",
                            to="curation.verdict",
                        ),
                    ),
                    (
                        "cause",
                        models.CharField(
                            blank=True,
                            choices=[
                                ("ambiguous-text", "Ambiguous text"),
                                ("guideline-gap", "Gap in the guideline"),
                                ("reviewer-error", "Reviewer's error"),
                                ("edge-case", "Edge case"),
                                ("subjective", "Subjective"),
                            ],
                            max_length=16,
                        ),
                    ),
                    ("confidence", models.PositiveSmallIntegerField(null=True)),
                    ("note", models.CharField(blank=True, max_length=1000)),
                ],
                options={
                    "ordering": ["id"],
                    "indexes": [
                        models.Index(
                            condition=models.Q(("closed_at", None)),
                            fields=["project", "opened_at"],
                            name="adjudication_open",
                        )
                    ],
                    "constraints": [
                        models.UniqueConstraint(
                            condition=models.Q(("closed_at", None)), fields=("example",), name="one_open_adjudication"
                        ),
                        models.CheckConstraint(
                            condition=models.Q(("confidence", None), ("confidence__range", (1, 3)), _connector="OR"),
                            name="adjudication_confidence_1_to_3",
                        ),
                    ],
                },
            ),
            migrations.CreateModel(
                name="GoldQuestion",
                fields=[
                    (
                        "id",
                        models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID"),
                    ),
                    (
                        "project",
                        models.ForeignKey(
                            on_delete=django.db.models.deletion.PROTECT,
                            related_name="gold_questions",
                            to="curation.project",
                        ),
                    ),
                    (
                        "example",
                        models.OneToOneField(
                            on_delete=django.db.models.deletion.PROTECT, related_name="gold", to="curation.example"
                        ),
                    ),
                    (
                        "label",
                        models.CharField(
                            blank=True,
                            choices=[("safe", "Safe"), ("unsafe", "Unsafe")],
                            help_text="empty: it is to be rejected",
                            max_length=6,
                        ),
                    ),
                    (
                        "categories",
                        django.contrib.postgres.fields.ArrayField(
                            base_field=models.CharField(max_length=60), blank=True, default=list, size=None
                        ),
                    ),
                    ("explanation", models.CharField(blank=True, max_length=1000)),
                    ("source", models.CharField(choices=[("agreed", "Agreed"), ("lead", "Lead")], max_length=8)),
                    ("active", models.BooleanField(default=True)),
                    (
                        "created_by",
                        models.ForeignKey(
                            null=True,
                            on_delete=django.db.models.deletion.PROTECT,
                            related_name="+",
                            to=settings.AUTH_USER_MODEL,
                        ),
                    ),
                    ("created_at", models.DateTimeField(auto_now_add=True)),
                ],
                options={
                    "ordering": ["id"],
                    "indexes": [models.Index(fields=["project", "active", "id"], name="gold_active")],
                },
            ),
            migrations.CreateModel(
                name="ExamAttempt",
                fields=[
                    (
                        "id",
                        models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID"),
                    ),
                    (
                        "project",
                        models.ForeignKey(
                            on_delete=django.db.models.deletion.PROTECT,
                            related_name="exam_attempts",
                            to="curation.project",
                        ),
                    ),
                    (
                        "user",
                        models.ForeignKey(
                            on_delete=django.db.models.deletion.PROTECT,
                            related_name="exam_attempts",
                            to=settings.AUTH_USER_MODEL,
                        ),
                    ),
                    ("category", models.CharField(blank=True, help_text="empty: over all categories", max_length=60)),
                    ("right", models.PositiveSmallIntegerField()),
                    ("total", models.PositiveSmallIntegerField()),
                    ("passed", models.BooleanField()),
                    ("at", models.DateTimeField(auto_now_add=True)),
                ],
                options={
                    "ordering": ["id"],
                    "indexes": [models.Index(fields=["project", "user", "-id"], name="exam_person")],
                },
            ),
            migrations.CreateModel(
                name="Standing",
                fields=[
                    (
                        "id",
                        models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID"),
                    ),
                    (
                        "project",
                        models.ForeignKey(
                            on_delete=django.db.models.deletion.PROTECT, related_name="standings", to="curation.project"
                        ),
                    ),
                    (
                        "user",
                        models.ForeignKey(
                            on_delete=django.db.models.deletion.PROTECT,
                            related_name="standings",
                            to=settings.AUTH_USER_MODEL,
                        ),
                    ),
                    (
                        "weight",
                        models.FloatField(default=1.0, help_text="of this person's verdicts, where a lead weighs them"),
                    ),
                    ("paused_at", models.DateTimeField(null=True)),
                    ("reason", models.CharField(blank=True, max_length=300)),
                    (
                        "resumed_by",
                        models.ForeignKey(
                            null=True,
                            on_delete=django.db.models.deletion.PROTECT,
                            related_name="+",
                            to=settings.AUTH_USER_MODEL,
                        ),
                    ),
                    ("resumed_at", models.DateTimeField(null=True)),
                ],
                options={
                    "constraints": [models.UniqueConstraint(fields=("project", "user"), name="standing_once")],
                },
            ),
            migrations.CreateModel(
                name="EvaluationSet",
                fields=[
                    (
                        "id",
                        models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID"),
                    ),
                    (
                        "project",
                        models.ForeignKey(
                            on_delete=django.db.models.deletion.PROTECT,
                            related_name="evaluation_sets",
                            to="curation.project",
                        ),
                    ),
                    ("name", models.CharField(max_length=120)),
                    ("digest", models.CharField(help_text="SHA-256 of the rows in order", max_length=64)),
                    ("path", models.CharField(help_text="under the artifact root", max_length=300)),
                    ("rows", models.PositiveIntegerField()),
                    ("unsafe", models.PositiveIntegerField()),
                    ("created_at", models.DateTimeField(auto_now_add=True)),
                ],
                options={
                    "constraints": [models.UniqueConstraint(fields=("project", "digest"), name="evaluation_set_once")],
                },
            ),
            migrations.CreateModel(
                name="FrozenRows",
                fields=[
                    (
                        "id",
                        models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID"),
                    ),
                    (
                        "evaluation_set",
                        models.OneToOneField(
                            on_delete=django.db.models.deletion.CASCADE,
                            related_name="columns",
                            to="curation.evaluationset",
                        ),
                    ),
                    (
                        "ids",
                        django.contrib.postgres.fields.ArrayField(
                            base_field=models.BigIntegerField(), help_text="of the examples", size=None
                        ),
                    ),
                    ("unsafe", django.contrib.postgres.fields.ArrayField(base_field=models.BooleanField(), size=None)),
                    (
                        "words",
                        django.contrib.postgres.fields.ArrayField(
                            base_field=models.PositiveIntegerField(), help_text="length of each text", size=None
                        ),
                    ),
                    (
                        "languages",
                        django.contrib.postgres.fields.ArrayField(base_field=models.CharField(max_length=8), size=None),
                    ),
                    (
                        "categories",
                        django.contrib.postgres.fields.ArrayField(
                            base_field=models.CharField(max_length=400),
                            help_text="keys of a row, joined by a space",
                            size=None,
                        ),
                    ),
                    (
                        "twins",
                        django.contrib.postgres.fields.ArrayField(
                            base_field=models.BooleanField(),
                            help_text="harmless rows whose family holds an unsafe one",
                            size=None,
                        ),
                    ),
                ],
            ),
            migrations.CreateModel(
                name="Guard",
                fields=[
                    (
                        "id",
                        models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID"),
                    ),
                    (
                        "project",
                        models.ForeignKey(
                            on_delete=django.db.models.deletion.PROTECT, related_name="guards", to="curation.project"
                        ),
                    ),
                    (
                        "round",
                        models.OneToOneField(
                            on_delete=django.db.models.deletion.PROTECT, related_name="guard", to="curation.round"
                        ),
                    ),
                    (
                        "job",
                        models.OneToOneField(
                            on_delete=django.db.models.deletion.PROTECT, related_name="guard", to="curation.job"
                        ),
                    ),
                    ("number", models.PositiveIntegerField()),
                    (
                        "state",
                        models.CharField(
                            choices=[
                                ("trained", "Trained"),
                                ("evaluated", "Evaluated"),
                                ("candidate", "Candidate"),
                                ("active", "Active"),
                                ("retired", "Retired"),
                            ],
                            default="trained",
                            max_length=12,
                        ),
                    ),
                    ("digest", models.CharField(help_text="of the manifest of its files", max_length=64)),
                    ("path", models.CharField(help_text="under the artifact root", max_length=300)),
                    ("export_digest", models.CharField(blank=True, max_length=64)),
                    ("export_path", models.CharField(blank=True, help_text="under the artifact root", max_length=300)),
                    (
                        "export_report",
                        models.JSONField(default=dict, help_text="what each form costs in accuracy and time"),
                    ),
                    ("settings", models.JSONField(default=dict)),
                    ("metrics", models.JSONField(default=dict, help_text="on the validation split, while training")),
                    (
                        "parent",
                        models.ForeignKey(
                            null=True,
                            on_delete=django.db.models.deletion.PROTECT,
                            related_name="children",
                            to="curation.guard",
                        ),
                    ),
                    ("dataset_digest", models.CharField(max_length=64)),
                    ("dataset_rows", models.PositiveIntegerField()),
                    ("base_digest", models.CharField(max_length=64)),
                    ("code_revision", models.CharField(blank=True, max_length=64)),
                    ("created_at", models.DateTimeField(auto_now_add=True)),
                ],
                options={
                    "ordering": ["project", "number"],
                    "constraints": [
                        models.UniqueConstraint(fields=("project", "number"), name="guard_number_once"),
                        models.UniqueConstraint(
                            condition=models.Q(("state", "active")), fields=("project",), name="one_active_guard"
                        ),
                    ],
                },
            ),
            migrations.CreateModel(
                name="Evaluation",
                fields=[
                    (
                        "id",
                        models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID"),
                    ),
                    (
                        "guard",
                        models.ForeignKey(
                            on_delete=django.db.models.deletion.PROTECT, related_name="evaluations", to="curation.guard"
                        ),
                    ),
                    (
                        "evaluation_set",
                        models.ForeignKey(
                            on_delete=django.db.models.deletion.PROTECT,
                            related_name="evaluations",
                            to="curation.evaluationset",
                        ),
                    ),
                    (
                        "job",
                        models.ForeignKey(
                            on_delete=django.db.models.deletion.PROTECT, related_name="evaluations", to="curation.job"
                        ),
                    ),
                    ("metrics", models.JSONField()),
                    ("created_at", models.DateTimeField(auto_now_add=True)),
                ],
                options={
                    "constraints": [models.UniqueConstraint(fields=("guard", "evaluation_set"), name="evaluated_once")],
                },
            ),
            migrations.CreateModel(
                name="RowScores",
                fields=[
                    (
                        "id",
                        models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID"),
                    ),
                    (
                        "evaluation",
                        models.OneToOneField(
                            on_delete=django.db.models.deletion.CASCADE, related_name="scores", to="curation.evaluation"
                        ),
                    ),
                    ("values", django.contrib.postgres.fields.ArrayField(base_field=models.FloatField(), size=None)),
                ],
            ),
            migrations.CreateModel(
                name="PeerEvaluation",
                fields=[
                    (
                        "id",
                        models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID"),
                    ),
                    (
                        "evaluation_set",
                        models.ForeignKey(
                            on_delete=django.db.models.deletion.PROTECT,
                            related_name="peers",
                            to="curation.evaluationset",
                        ),
                    ),
                    ("name", models.CharField(max_length=120)),
                    ("spec", models.CharField(max_length=500)),
                    ("metrics", models.JSONField(help_text="as of an evaluation, seconds among them")),
                    (
                        "measured_by",
                        models.ForeignKey(
                            null=True,
                            on_delete=django.db.models.deletion.PROTECT,
                            related_name="+",
                            to=settings.AUTH_USER_MODEL,
                        ),
                    ),
                    ("measured_at", models.DateTimeField(auto_now=True)),
                ],
                options={
                    "ordering": ["name", "id"],
                    "constraints": [
                        models.UniqueConstraint(fields=("evaluation_set", "spec"), name="peer_measured_once")
                    ],
                },
            ),
            migrations.CreateModel(
                name="PromotionRules",
                fields=[
                    (
                        "id",
                        models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID"),
                    ),
                    (
                        "project",
                        models.OneToOneField(
                            on_delete=django.db.models.deletion.PROTECT,
                            related_name="promotion_rules",
                            to="curation.project",
                        ),
                    ),
                    ("check_sets", models.BooleanField(default=True)),
                    (
                        "sets_loss",
                        models.FloatField(
                            default=0.01,
                            help_text="average precision that it may lose",
                            validators=[
                                django.core.validators.MinValueValidator(0.0),
                                django.core.validators.MaxValueValidator(1.0),
                            ],
                        ),
                    ),
                    ("check_twins", models.BooleanField(default=True)),
                    (
                        "twins_gain",
                        models.FloatField(
                            default=0.02,
                            help_text="more safe twins that it may block",
                            validators=[
                                django.core.validators.MinValueValidator(0.0),
                                django.core.validators.MaxValueValidator(1.0),
                            ],
                        ),
                    ),
                    ("check_recall", models.BooleanField(default=True)),
                    (
                        "recall_loss",
                        models.FloatField(
                            default=0.02,
                            help_text="recall at 1 % that it may lose",
                            validators=[
                                django.core.validators.MinValueValidator(0.0),
                                django.core.validators.MaxValueValidator(1.0),
                            ],
                        ),
                    ),
                    (
                        "changed_by",
                        models.ForeignKey(
                            null=True,
                            on_delete=django.db.models.deletion.PROTECT,
                            related_name="+",
                            to=settings.AUTH_USER_MODEL,
                        ),
                    ),
                    ("changed_at", models.DateTimeField(auto_now=True)),
                ],
            ),
            migrations.CreateModel(
                name="Import",
                fields=[
                    (
                        "id",
                        models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID"),
                    ),
                    (
                        "project",
                        models.ForeignKey(
                            on_delete=django.db.models.deletion.PROTECT, related_name="imports", to="curation.project"
                        ),
                    ),
                    ("name", models.CharField(help_text="what the file was called where it came from", max_length=200)),
                    ("bytes", models.PositiveBigIntegerField(default=0)),
                    (
                        "sha256",
                        models.CharField(
                            help_text="of the files in order: families of pairs belong to it", max_length=64
                        ),
                    ),
                    ("format", models.CharField(help_text="key of the importer", max_length=40)),
                    (
                        "purpose",
                        models.CharField(
                            choices=[("training", "Training seeds"), ("evaluation", "Held-out evaluation")],
                            default="training",
                            max_length=12,
                        ),
                    ),
                    (
                        "mapping",
                        models.JSONField(default=dict, help_text="what its columns mean; empty: as we document them"),
                    ),
                    (
                        "columns_key",
                        models.CharField(
                            blank=True,
                            help_text="digest of its columns: files that have the same share a mapping",
                            max_length=64,
                        ),
                    ),
                    ("report", models.JSONField(default=dict, help_text="counts of the last dry run or of the import")),
                    (
                        "created_by",
                        models.ForeignKey(
                            null=True,
                            on_delete=django.db.models.deletion.PROTECT,
                            related_name="+",
                            to=settings.AUTH_USER_MODEL,
                        ),
                    ),
                    ("created_at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                    (
                        "stored_at",
                        models.DateTimeField(help_text="when its rows went into the project, all at once", null=True),
                    ),
                ],
                options={
                    "ordering": ["-id"],
                    "indexes": [models.Index(fields=["project", "-id"], name="import_newest")],
                },
            ),
            migrations.CreateModel(
                name="Provenance",
                fields=[
                    (
                        "example",
                        models.OneToOneField(
                            on_delete=django.db.models.deletion.PROTECT,
                            primary_key=True,
                            related_name="provenance",
                            serialize=False,
                            to="curation.example",
                        ),
                    ),
                    ("external_id", models.CharField(blank=True, max_length=100)),
                    (
                        "judgements",
                        models.JSONField(
                            default=list,
                            help_text="annotator, label, categories, said (the words of the file), machine",
                        ),
                    ),
                ],
            ),
            migrations.CreateModel(
                name="Vector",
                fields=[
                    (
                        "example",
                        models.OneToOneField(
                            on_delete=django.db.models.deletion.CASCADE,
                            primary_key=True,
                            related_name="+",
                            serialize=False,
                            to="curation.example",
                        ),
                    ),
                    (
                        "project",
                        models.ForeignKey(
                            on_delete=django.db.models.deletion.PROTECT, related_name="+", to="curation.project"
                        ),
                    ),
                    ("embedding", pgvector.django.halfvec.HalfVectorField(dimensions=384)),
                ],
                options={
                    "indexes": [
                        pgvector.django.indexes.HnswIndex(
                            ef_construction=48,
                            fields=["embedding"],
                            m=12,
                            name="vector_nearest",
                            opclasses=["halfvec_cosine_ops"],
                        )
                    ],
                },
            ),
            migrations.CreateModel(
                name="SavedView",
                fields=[
                    (
                        "id",
                        models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID"),
                    ),
                    (
                        "project",
                        models.ForeignKey(
                            on_delete=django.db.models.deletion.PROTECT,
                            related_name="saved_views",
                            to="curation.project",
                        ),
                    ),
                    (
                        "user",
                        models.ForeignKey(
                            on_delete=django.db.models.deletion.PROTECT,
                            related_name="saved_views",
                            to=settings.AUTH_USER_MODEL,
                        ),
                    ),
                    ("name", models.CharField(max_length=60)),
                    (
                        "query",
                        models.JSONField(
                            default=dict, help_text="what the explorer's form holds; checked again when used"
                        ),
                    ),
                    ("created_at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ],
                options={
                    "ordering": ["name"],
                    "constraints": [
                        models.UniqueConstraint(fields=("project", "user", "name"), name="saved_view_name_once")
                    ],
                },
            ),
            migrations.CreateModel(
                name="PersonalToken",
                fields=[
                    (
                        "id",
                        models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID"),
                    ),
                    (
                        "user",
                        models.ForeignKey(
                            on_delete=django.db.models.deletion.PROTECT,
                            related_name="tokens",
                            to=settings.AUTH_USER_MODEL,
                        ),
                    ),
                    ("name", models.CharField(max_length=80)),
                    ("prefix", models.CharField(help_text="tells a person which one it is", max_length=12)),
                    ("hash", models.CharField(max_length=64, unique=True)),
                    (
                        "scopes",
                        django.contrib.postgres.fields.ArrayField(
                            base_field=models.CharField(max_length=20), default=list, size=None
                        ),
                    ),
                    ("created_at", models.DateTimeField(auto_now_add=True)),
                    ("expires_at", models.DateTimeField(blank=True, null=True)),
                    ("last_used_at", models.DateTimeField(null=True)),
                    ("revoked_at", models.DateTimeField(null=True)),
                ],
                options={
                    "ordering": ["-id"],
                },
            ),
            migrations.CreateModel(
                name="Invitation",
                fields=[
                    (
                        "id",
                        models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID"),
                    ),
                    (
                        "project",
                        models.ForeignKey(
                            null=True,
                            on_delete=django.db.models.deletion.PROTECT,
                            related_name="invitations",
                            to="curation.project",
                        ),
                    ),
                    (
                        "role",
                        models.CharField(
                            blank=True,
                            choices=[
                                ("owner", "Owner"),
                                ("lead", "Lead"),
                                ("annotator", "Annotator"),
                                ("adjudicator", "Adjudicator"),
                                ("viewer", "Viewer"),
                            ],
                            max_length=12,
                        ),
                    ),
                    (
                        "name",
                        models.CharField(
                            help_text="for whom; it is proposed as the name of the account", max_length=80
                        ),
                    ),
                    ("hash", models.CharField(max_length=64, unique=True)),
                    (
                        "created_by",
                        models.ForeignKey(
                            null=True,
                            on_delete=django.db.models.deletion.PROTECT,
                            related_name="+",
                            to=settings.AUTH_USER_MODEL,
                        ),
                    ),
                    ("created_at", models.DateTimeField(auto_now_add=True)),
                    ("expires_at", models.DateTimeField()),
                    ("revoked_at", models.DateTimeField(null=True)),
                    ("accepted_at", models.DateTimeField(null=True)),
                    (
                        "accepted_by",
                        models.ForeignKey(
                            null=True,
                            on_delete=django.db.models.deletion.PROTECT,
                            related_name="+",
                            to=settings.AUTH_USER_MODEL,
                        ),
                    ),
                ],
                options={
                    "ordering": ["-id"],
                    "constraints": [
                        models.CheckConstraint(
                            condition=models.Q(
                                models.Q(("project", None), ("role", "")),
                                models.Q(("project__isnull", False), models.Q(("role", ""), _negated=True)),
                                _connector="OR",
                            ),
                            name="an_invitation_to_a_project_says_as_what",
                        )
                    ],
                },
            ),
            migrations.CreateModel(
                name="Recipe",
                fields=[
                    (
                        "id",
                        models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID"),
                    ),
                    (
                        "project",
                        models.ForeignKey(
                            on_delete=django.db.models.deletion.PROTECT, related_name="recipes", to="curation.project"
                        ),
                    ),
                    ("name", models.CharField(max_length=80)),
                    ("version", models.PositiveIntegerField(default=1)),
                    ("body", models.JSONField()),
                    (
                        "parent",
                        models.ForeignKey(
                            help_text="what it was made from",
                            null=True,
                            on_delete=django.db.models.deletion.PROTECT,
                            related_name="children",
                            to="curation.recipe",
                        ),
                    ),
                    ("note", models.CharField(blank=True, help_text="what changed, and why", max_length=300)),
                    (
                        "created_by",
                        models.ForeignKey(
                            null=True,
                            on_delete=django.db.models.deletion.PROTECT,
                            related_name="+",
                            to=settings.AUTH_USER_MODEL,
                        ),
                    ),
                    ("created_at", models.DateTimeField(auto_now_add=True)),
                ],
                options={
                    "constraints": [
                        models.UniqueConstraint(fields=("project", "name", "version"), name="recipe_version_once")
                    ],
                },
            ),
            migrations.CreateModel(
                name="Round",
                fields=[
                    (
                        "id",
                        models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID"),
                    ),
                    (
                        "project",
                        models.ForeignKey(
                            on_delete=django.db.models.deletion.PROTECT, related_name="rounds", to="curation.project"
                        ),
                    ),
                    ("number", models.PositiveIntegerField()),
                    (
                        "state",
                        models.CharField(
                            choices=[
                                ("draft", "Draft"),
                                ("generating", "Generating"),
                                ("filtering", "Filtering"),
                                ("reviewing", "Reviewing"),
                                ("training", "Training"),
                                ("evaluating", "Evaluating"),
                                ("attacking", "Attacking"),
                                ("closed", "Closed"),
                                ("cancelled", "Cancelled"),
                            ],
                            default="draft",
                            max_length=12,
                        ),
                    ),
                    (
                        "recipe",
                        models.JSONField(
                            default=dict, help_text="this round's own copy of the settings of every stage"
                        ),
                    ),
                    (
                        "from_recipe",
                        models.ForeignKey(
                            null=True,
                            on_delete=django.db.models.deletion.PROTECT,
                            related_name="rounds",
                            to="curation.recipe",
                        ),
                    ),
                    (
                        "paused_at",
                        models.DateTimeField(help_text="what runs for it stops, and goes on from there", null=True),
                    ),
                    (
                        "review",
                        models.CharField(
                            choices=[("people", "People"), ("auto", "Auto")], default="people", max_length=8
                        ),
                    ),
                    (
                        "evaluation_set",
                        models.ForeignKey(
                            help_text="frozen when the round starts; both guards are measured on it",
                            null=True,
                            on_delete=django.db.models.deletion.PROTECT,
                            related_name="rounds",
                            to="curation.evaluationset",
                        ),
                    ),
                    (
                        "guard_before",
                        models.ForeignKey(
                            null=True,
                            on_delete=django.db.models.deletion.PROTECT,
                            related_name="+",
                            to="curation.guard",
                        ),
                    ),
                    (
                        "started_by",
                        models.ForeignKey(
                            null=True,
                            on_delete=django.db.models.deletion.PROTECT,
                            related_name="+",
                            to=settings.AUTH_USER_MODEL,
                        ),
                    ),
                    ("created_at", models.DateTimeField(auto_now_add=True)),
                    ("started_at", models.DateTimeField(null=True)),
                    ("ended_at", models.DateTimeField(null=True)),
                ],
                options={
                    "ordering": ["project", "number"],
                    "constraints": [
                        models.UniqueConstraint(fields=("project", "number"), name="round_number_once"),
                        models.UniqueConstraint(
                            condition=models.Q(("state__in", ["draft", "closed", "cancelled"]), _negated=True),
                            fields=("project",),
                            name="one_open_round",
                        ),
                    ],
                },
            ),
            migrations.CreateModel(
                name="Job",
                fields=[
                    (
                        "id",
                        models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID"),
                    ),
                    (
                        "kind",
                        models.CharField(
                            choices=[
                                ("generate", "Generate"),
                                ("filter", "Filter"),
                                ("auto-review", "Auto Review"),
                                ("train", "Train"),
                                ("evaluate", "Evaluate"),
                                ("attack", "Attack"),
                                ("release", "Release"),
                                ("prioritize", "Prioritize"),
                                ("rescore", "Rescore"),
                                ("agreement", "Agreement"),
                                ("export", "Export"),
                                ("look", "Look"),
                                ("check", "Check"),
                                ("import", "Import"),
                                ("preview", "Preview"),
                                ("measure", "Measure"),
                                ("deliver", "Deliver"),
                            ],
                            max_length=12,
                        ),
                    ),
                    (
                        "project",
                        models.ForeignKey(
                            on_delete=django.db.models.deletion.PROTECT, related_name="jobs", to="curation.project"
                        ),
                    ),
                    (
                        "round",
                        models.ForeignKey(
                            null=True,
                            on_delete=django.db.models.deletion.PROTECT,
                            related_name="jobs",
                            to="curation.round",
                        ),
                    ),
                    (
                        "release",
                        models.ForeignKey(
                            null=True,
                            on_delete=django.db.models.deletion.PROTECT,
                            related_name="jobs",
                            to="curation.release",
                        ),
                    ),
                    (
                        "source",
                        models.ForeignKey(
                            null=True,
                            on_delete=django.db.models.deletion.PROTECT,
                            related_name="jobs",
                            to="curation.import",
                        ),
                    ),
                    (
                        "plan",
                        models.ForeignKey(
                            null=True,
                            on_delete=django.db.models.deletion.PROTECT,
                            related_name="jobs",
                            to="curation.plan",
                        ),
                    ),
                    (
                        "state",
                        models.CharField(
                            choices=[
                                ("queued", "Queued"),
                                ("running", "Running"),
                                ("done", "Done"),
                                ("failed", "Failed"),
                                ("cancelled", "Cancelled"),
                                ("dead", "Dead"),
                                ("paused", "Paused"),
                            ],
                            default="queued",
                            max_length=10,
                        ),
                    ),
                    (
                        "attempt",
                        models.PositiveSmallIntegerField(
                            default=0, help_text="only ever grows: results are fenced by it"
                        ),
                    ),
                    (
                        "tries",
                        models.PositiveSmallIntegerField(default=0, help_text="attempts since a person last asked"),
                    ),
                    ("worker", models.CharField(blank=True, max_length=120)),
                    ("heartbeat_at", models.DateTimeField(null=True)),
                    (
                        "rung_at",
                        models.DateTimeField(
                            db_default=django.db.models.functions.datetime.Now(),
                            help_text="when the bell was last rung",
                        ),
                    ),
                    ("cancel_requested", models.BooleanField(default=False)),
                    ("dedupe_key", models.CharField(max_length=80)),
                    ("done", models.PositiveIntegerField(default=0)),
                    ("total", models.PositiveIntegerField(default=0)),
                    ("message", models.CharField(blank=True, max_length=200)),
                    ("metrics", models.JSONField(default=dict)),
                    (
                        "history",
                        models.JSONField(
                            default=list, help_text="metrics over time, for curves; thinned to 200 points"
                        ),
                    ),
                    ("error", models.CharField(blank=True, max_length=500)),
                    ("remedy", models.CharField(blank=True, max_length=500)),
                    (
                        "created_by",
                        models.ForeignKey(
                            null=True,
                            on_delete=django.db.models.deletion.PROTECT,
                            related_name="+",
                            to=settings.AUTH_USER_MODEL,
                        ),
                    ),
                    ("created_at", models.DateTimeField(auto_now_add=True)),
                    ("started_at", models.DateTimeField(null=True)),
                    ("ended_at", models.DateTimeField(null=True)),
                ],
                options={
                    "ordering": ["id"],
                    "indexes": [
                        models.Index(fields=["state", "heartbeat_at"], name="curation_jo_state_fde18f_idx"),
                        models.Index(fields=["round", "id"], name="curation_jo_round_i_60243c_idx"),
                    ],
                    "constraints": [
                        models.UniqueConstraint(
                            condition=models.Q(("state__in", ["queued", "running"])),
                            fields=("dedupe_key",),
                            name="one_live_job_per_subject",
                        )
                    ],
                },
            ),
            migrations.CreateModel(
                name="Plan",
                fields=[
                    (
                        "id",
                        models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID"),
                    ),
                    (
                        "project",
                        models.ForeignKey(
                            on_delete=django.db.models.deletion.PROTECT, related_name="plans", to="curation.project"
                        ),
                    ),
                    ("recipe", models.JSONField(default=dict)),
                    (
                        "from_recipe",
                        models.ForeignKey(
                            null=True,
                            on_delete=django.db.models.deletion.PROTECT,
                            related_name="+",
                            to="curation.recipe",
                        ),
                    ),
                    (
                        "review",
                        models.CharField(
                            choices=[("people", "People"), ("auto", "Auto")], default="people", max_length=8
                        ),
                    ),
                    (
                        "machine_price",
                        models.FloatField(
                            default=0.0,
                            help_text="of an hour of the machine",
                            validators=[
                                django.core.validators.MinValueValidator(0),
                                django.core.validators.MaxValueValidator(100000),
                            ],
                        ),
                    ),
                    (
                        "person_price",
                        models.FloatField(
                            default=0.0,
                            help_text="of an hour of a reviewer",
                            validators=[
                                django.core.validators.MinValueValidator(0),
                                django.core.validators.MaxValueValidator(100000),
                            ],
                        ),
                    ),
                    (
                        "round",
                        models.ForeignKey(
                            null=True,
                            on_delete=django.db.models.deletion.PROTECT,
                            related_name="plans",
                            to="curation.round",
                        ),
                    ),
                    (
                        "created_by",
                        models.ForeignKey(
                            null=True,
                            on_delete=django.db.models.deletion.PROTECT,
                            related_name="+",
                            to=settings.AUTH_USER_MODEL,
                        ),
                    ),
                    ("created_at", models.DateTimeField(auto_now_add=True)),
                ],
                options={
                    "ordering": ["id"],
                },
            ),
            migrations.CreateModel(
                name="Sample",
                fields=[
                    (
                        "id",
                        models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID"),
                    ),
                    (
                        "job",
                        models.ForeignKey(
                            on_delete=django.db.models.deletion.CASCADE, related_name="samples", to="curation.job"
                        ),
                    ),
                    ("number", models.PositiveIntegerField()),
                    ("stage", models.CharField(max_length=60)),
                    ("text", models.TextField()),
                    ("label", models.CharField(choices=[("safe", "Safe"), ("unsafe", "Unsafe")], max_length=6)),
                    (
                        "categories",
                        django.contrib.postgres.fields.ArrayField(
                            base_field=models.CharField(max_length=60), default=list, size=None
                        ),
                    ),
                    (
                        "parent",
                        models.ForeignKey(
                            null=True,
                            on_delete=django.db.models.deletion.PROTECT,
                            related_name="+",
                            to="curation.example",
                        ),
                    ),
                ],
                options={
                    "ordering": ["job", "number"],
                    "constraints": [models.UniqueConstraint(fields=("job", "number"), name="sample_once")],
                },
            ),
            migrations.CreateModel(
                name="Preferences",
                fields=[
                    (
                        "id",
                        models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID"),
                    ),
                    (
                        "user",
                        models.OneToOneField(
                            on_delete=django.db.models.deletion.PROTECT,
                            related_name="preferences",
                            to=settings.AUTH_USER_MODEL,
                        ),
                    ),
                    (
                        "key_mode",
                        models.CharField(
                            choices=[("letters", "Letters"), ("alt", "Alt"), ("off", "Off")],
                            default="letters",
                            max_length=8,
                        ),
                    ),
                    (
                        "keymap",
                        models.JSONField(
                            blank=True, default=dict, help_text="action → key, only what differs from ours"
                        ),
                    ),
                    (
                        "theme",
                        models.CharField(
                            choices=[
                                ("system", "System"),
                                ("light", "Light"),
                                ("dark", "Dark"),
                                ("contrast", "Contrast"),
                            ],
                            default="system",
                            max_length=8,
                        ),
                    ),
                    (
                        "language",
                        models.CharField(
                            blank=True, help_text="of the interface; empty: as the browser asks", max_length=12
                        ),
                    ),
                    (
                        "veil_severity",
                        models.PositiveSmallIntegerField(
                            blank=True,
                            null=True,
                            validators=[
                                django.core.validators.MinValueValidator(1),
                                django.core.validators.MaxValueValidator(5),
                            ],
                        ),
                    ),
                    ("mask_words", models.BooleanField(default=False)),
                    ("muted", models.BooleanField(default=False)),
                    ("spacious", models.BooleanField(default=False)),
                    ("break_after_minutes", models.PositiveSmallIntegerField(blank=True, null=True)),
                    ("daily_budget_minutes", models.PositiveSmallIntegerField(blank=True, null=True)),
                    ("severe_in_row", models.PositiveSmallIntegerField(blank=True, null=True)),
                    ("severe_per_day", models.PositiveIntegerField(blank=True, null=True)),
                    ("changed_at", models.DateTimeField(auto_now=True)),
                ],
                options={
                    "verbose_name_plural": "preferences",
                },
            ),
            migrations.CreateModel(
                name="OptOut",
                fields=[
                    (
                        "id",
                        models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID"),
                    ),
                    (
                        "user",
                        models.ForeignKey(
                            on_delete=django.db.models.deletion.PROTECT,
                            related_name="opt_outs",
                            to=settings.AUTH_USER_MODEL,
                        ),
                    ),
                    (
                        "project",
                        models.ForeignKey(
                            on_delete=django.db.models.deletion.PROTECT, related_name="opt_outs", to="curation.project"
                        ),
                    ),
                    ("category", models.CharField(max_length=60)),
                    ("created_at", models.DateTimeField(auto_now_add=True)),
                ],
                options={
                    "constraints": [
                        models.UniqueConstraint(fields=("user", "project", "category"), name="opt_out_once")
                    ],
                },
            ),
            migrations.CreateModel(
                name="Release",
                fields=[
                    (
                        "id",
                        models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID"),
                    ),
                    (
                        "project",
                        models.ForeignKey(
                            on_delete=django.db.models.deletion.PROTECT, related_name="releases", to="curation.project"
                        ),
                    ),
                    (
                        "round",
                        models.ForeignKey(
                            null=True,
                            on_delete=django.db.models.deletion.PROTECT,
                            related_name="releases",
                            to="curation.round",
                        ),
                    ),
                    ("number", models.PositiveIntegerField()),
                    ("selection", models.JSONField(default=dict, help_text="filter and agreement rule")),
                    ("splits", models.JSONField(default=dict, help_text="how it is parted")),
                    (
                        "formats",
                        django.contrib.postgres.fields.ArrayField(
                            base_field=models.CharField(max_length=20), default=list, size=None
                        ),
                    ),
                    (
                        "about",
                        models.JSONField(default=dict, help_text="licence, sources and notes, as the card says them"),
                    ),
                    ("frozen_at", models.DateTimeField(help_text="when its rows were chosen", null=True)),
                    ("digest", models.CharField(blank=True, help_text="SHA-256 of data.jsonl", max_length=64)),
                    ("path", models.CharField(blank=True, help_text="folder under the artifact root", max_length=300)),
                    ("files", models.JSONField(default=list, help_text="name, bytes and sha256 of each file")),
                    ("counts", models.JSONField(default=dict)),
                    (
                        "created_by",
                        models.ForeignKey(
                            null=True,
                            on_delete=django.db.models.deletion.PROTECT,
                            related_name="+",
                            to=settings.AUTH_USER_MODEL,
                        ),
                    ),
                    ("created_at", models.DateTimeField(auto_now_add=True)),
                    ("released_at", models.DateTimeField(null=True)),
                ],
                options={
                    "ordering": ["project", "number"],
                    "constraints": [models.UniqueConstraint(fields=("project", "number"), name="release_number_once")],
                },
            ),
            migrations.CreateModel(
                name="ReleaseRow",
                fields=[
                    (
                        "pk",
                        models.CompositePrimaryKey(
                            "release_id", "example_id", blank=True, editable=False, primary_key=True, serialize=False
                        ),
                    ),
                    (
                        "release",
                        models.ForeignKey(
                            db_constraint=False,
                            db_index=False,
                            on_delete=django.db.models.deletion.PROTECT,
                            related_name="rows",
                            to="curation.release",
                        ),
                    ),
                    (
                        "example",
                        models.ForeignKey(
                            db_constraint=False,
                            db_index=False,
                            on_delete=django.db.models.deletion.PROTECT,
                            related_name="+",
                            to="curation.example",
                        ),
                    ),
                    ("version", models.PositiveIntegerField(help_text="of the text")),
                    ("label", models.CharField(choices=[("safe", "Safe"), ("unsafe", "Unsafe")], max_length=6)),
                    (
                        "categories",
                        django.contrib.postgres.fields.ArrayField(
                            base_field=models.CharField(max_length=60), default=list, size=None
                        ),
                    ),
                    ("split", models.CharField(max_length=12)),
                    (
                        "source",
                        models.CharField(help_text="who decided the label: person, machine or seed", max_length=8),
                    ),
                    ("people", models.PositiveSmallIntegerField(default=0)),
                    (
                        "agreeing",
                        models.PositiveSmallIntegerField(default=0, help_text="people whose verdict was this label"),
                    ),
                    ("machines", models.PositiveSmallIntegerField(default=0)),
                ],
            ),
            migrations.CreateModel(
                name="Session",
                fields=[
                    (
                        "session_key",
                        models.CharField(max_length=40, primary_key=True, serialize=False, verbose_name="session key"),
                    ),
                    ("session_data", models.TextField(verbose_name="session data")),
                    ("expire_date", models.DateTimeField(db_index=True, verbose_name="expire date")),
                    (
                        "user",
                        models.ForeignKey(
                            null=True,
                            on_delete=django.db.models.deletion.CASCADE,
                            related_name="sessions",
                            to=settings.AUTH_USER_MODEL,
                        ),
                    ),
                    ("agent", models.CharField(blank=True, help_text="what the browser says it is", max_length=200)),
                    ("began_at", models.DateTimeField(null=True)),
                    ("seen_at", models.DateTimeField(null=True)),
                ],
                options={
                    "verbose_name": "session",
                    "verbose_name_plural": "sessions",
                    "abstract": False,
                },
            ),
            migrations.CreateModel(
                name="ApiKey",
                fields=[
                    (
                        "id",
                        models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID"),
                    ),
                    (
                        "project",
                        models.ForeignKey(
                            on_delete=django.db.models.deletion.PROTECT, related_name="api_keys", to="curation.project"
                        ),
                    ),
                    ("name", models.CharField(help_text="what will use it", max_length=80)),
                    ("shown", models.CharField(help_text="the key's first characters", max_length=12)),
                    ("digest", models.CharField(help_text="SHA-256 of the key", max_length=64, unique=True)),
                    (
                        "quota",
                        models.PositiveIntegerField(
                            default=600,
                            help_text="texts a minute",
                            validators=[
                                django.core.validators.MinValueValidator(1),
                                django.core.validators.MaxValueValidator(1000000),
                            ],
                        ),
                    ),
                    (
                        "created_by",
                        models.ForeignKey(
                            null=True,
                            on_delete=django.db.models.deletion.PROTECT,
                            related_name="+",
                            to=settings.AUTH_USER_MODEL,
                        ),
                    ),
                    ("created_at", models.DateTimeField(auto_now_add=True)),
                    (
                        "revoked_by",
                        models.ForeignKey(
                            null=True,
                            on_delete=django.db.models.deletion.PROTECT,
                            related_name="+",
                            to=settings.AUTH_USER_MODEL,
                        ),
                    ),
                    ("revoked_at", models.DateTimeField(null=True)),
                    ("used_at", models.DateTimeField(help_text="to the minute", null=True)),
                ],
                options={
                    "ordering": ["project", "-pk"],
                    "constraints": [
                        models.CheckConstraint(condition=models.Q(("quota__gte", 1)), name="api_key_quota_at_least_1"),
                        models.UniqueConstraint(
                            condition=models.Q(("revoked_at", None)),
                            fields=("project", "name"),
                            name="live_api_key_name_once",
                        ),
                    ],
                },
            ),
            migrations.CreateModel(
                name="Traffic",
                fields=[
                    (
                        "id",
                        models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID"),
                    ),
                    (
                        "project",
                        models.OneToOneField(
                            on_delete=django.db.models.deletion.PROTECT, related_name="traffic", to="curation.project"
                        ),
                    ),
                    (
                        "shadow",
                        models.ForeignKey(
                            blank=True,
                            help_text="scores everything silently; where it disagrees, the text becomes a candidate for review",
                            null=True,
                            on_delete=django.db.models.deletion.PROTECT,
                            related_name="+",
                            to="curation.guard",
                        ),
                    ),
                    (
                        "sample",
                        models.FloatField(
                            default=0.0,
                            help_text="share of live texts that join the review queue",
                            validators=[
                                django.core.validators.MinValueValidator(0),
                                django.core.validators.MaxValueValidator(1),
                            ],
                        ),
                    ),
                    (
                        "daily_limit",
                        models.PositiveIntegerField(default=200, help_text="texts a day that may be kept in all"),
                    ),
                ],
                options={
                    "verbose_name_plural": "traffic",
                    "constraints": [
                        models.CheckConstraint(
                            condition=models.Q(("sample__range", (0, 1))), name="traffic_sample_is_a_share"
                        )
                    ],
                },
            ),
            migrations.CreateModel(
                name="Webhook",
                fields=[
                    (
                        "id",
                        models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID"),
                    ),
                    (
                        "project",
                        models.ForeignKey(
                            on_delete=django.db.models.deletion.PROTECT, related_name="webhooks", to="curation.project"
                        ),
                    ),
                    ("url", models.URLField(max_length=500)),
                    (
                        "families",
                        django.contrib.postgres.fields.ArrayField(
                            base_field=models.CharField(
                                choices=[
                                    ("round", "Rounds: each step, and what failed"),
                                    ("guard", "Guards: trained, gone live"),
                                    ("release", "Releases: made"),
                                ],
                                max_length=10,
                            ),
                            size=None,
                        ),
                    ),
                    ("salt", models.CharField(default=curation.models.webhook._salt, editable=False, max_length=32)),
                    (
                        "created_by",
                        models.ForeignKey(
                            null=True,
                            on_delete=django.db.models.deletion.PROTECT,
                            related_name="+",
                            to=settings.AUTH_USER_MODEL,
                        ),
                    ),
                    ("created_at", models.DateTimeField(auto_now_add=True)),
                    ("switched_off_at", models.DateTimeField(null=True)),
                ],
                options={
                    "ordering": ["id"],
                    "constraints": [models.UniqueConstraint(fields=("project", "url"), name="webhook_url_once")],
                },
            ),
            migrations.CreateModel(
                name="Delivery",
                fields=[
                    (
                        "id",
                        models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID"),
                    ),
                    (
                        "webhook",
                        models.ForeignKey(
                            on_delete=django.db.models.deletion.CASCADE,
                            related_name="deliveries",
                            to="curation.webhook",
                        ),
                    ),
                    ("key", models.UUIDField(default=uuid.uuid4, editable=False, unique=True)),
                    ("event", models.CharField(max_length=40)),
                    ("about", models.JSONField(help_text="names and numbers; never the text of an example")),
                    ("created_at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                    ("due_at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), null=True)),
                    ("arrived_at", models.DateTimeField(null=True)),
                    ("tries", models.PositiveSmallIntegerField(default=0)),
                    ("status", models.PositiveSmallIntegerField(help_text="what the last try was answered", null=True)),
                    ("error", models.CharField(blank=True, max_length=200)),
                ],
                options={
                    "ordering": ["-id"],
                    "indexes": [
                        models.Index(
                            condition=models.Q(("due_at__isnull", False)), fields=["due_at"], name="delivery_due"
                        )
                    ],
                },
            ),
        ),
        *_sql(),
    ]
