import django.contrib.postgres.fields
import django.core.validators
import django.db.models.deletion
import django.db.models.functions.datetime
import pgvector.django
import pgvector.django.vector
from django.conf import settings
from django.db import migrations, models

# Verdicts, moves and audit entries are only ever added: the database itself refuses anything else.
TABLES = ("curation_verdict", "curation_move", "curation_auditentry")
APPEND_ONLY = """
CREATE FUNCTION curation_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is append-only: add a row that supersedes the old one', TG_TABLE_NAME;
END $$;
""" + "".join(
    f"CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON {table} "
    "FOR EACH ROW EXECUTE FUNCTION curation_append_only();\n"
    for table in TABLES
)
NOT_APPEND_ONLY = (
    "".join(f"DROP TRIGGER append_only ON {table};\n" for table in TABLES) + "DROP FUNCTION curation_append_only();"
)


class Migration(migrations.Migration):
    initial = True

    dependencies = [
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        pgvector.django.VectorExtension(),
        migrations.CreateModel(
            name="Policy",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
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
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("number", models.PositiveIntegerField()),
                ("note", models.CharField(blank=True, max_length=500)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                (
                    "created_by",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "policy",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="versions", to="curation.policy"
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="Category",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
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
                (
                    "version",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="categories",
                        to="curation.policyversion",
                    ),
                ),
            ],
            options={
                "verbose_name_plural": "categories",
                "ordering": ["version", "position"],
            },
        ),
        migrations.CreateModel(
            name="Project",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("name", models.CharField(max_length=120, unique=True)),
                ("slug", models.SlugField(max_length=60, unique=True)),
                ("description", models.TextField(blank=True)),
                (
                    "content_note",
                    models.TextField(
                        blank=True, help_text="Shown before the first review: what one will read, and where support is."
                    ),
                ),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                (
                    "policy_version",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="projects",
                        to="curation.policyversion",
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="Membership",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
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
                (
                    "user",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="memberships",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "project",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="memberships", to="curation.project"
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="Job",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
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
                        ],
                        max_length=12,
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
                        ],
                        default="queued",
                        max_length=10,
                    ),
                ),
                (
                    "attempt",
                    models.PositiveSmallIntegerField(default=0, help_text="only ever grows: results are fenced by it"),
                ),
                ("tries", models.PositiveSmallIntegerField(default=0, help_text="attempts since a person last asked")),
                ("worker", models.CharField(blank=True, max_length=120)),
                ("heartbeat_at", models.DateTimeField(null=True)),
                (
                    "rung_at",
                    models.DateTimeField(
                        db_default=django.db.models.functions.datetime.Now(), help_text="when the bell was last rung"
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
                    models.JSONField(default=list, help_text="metrics over time, for curves; thinned to 200 points"),
                ),
                ("error", models.CharField(blank=True, max_length=500)),
                ("remedy", models.CharField(blank=True, max_length=500)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                ("started_at", models.DateTimeField(null=True)),
                ("ended_at", models.DateTimeField(null=True)),
                (
                    "created_by",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "project",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="jobs", to="curation.project"
                    ),
                ),
            ],
            options={
                "ordering": ["id"],
            },
        ),
        migrations.CreateModel(
            name="Guard",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
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
                ("settings", models.JSONField(default=dict)),
                ("metrics", models.JSONField(default=dict, help_text="on the validation split, while training")),
                ("dataset_digest", models.CharField(max_length=64)),
                ("dataset_rows", models.PositiveIntegerField()),
                ("base_digest", models.CharField(max_length=64)),
                ("code_revision", models.CharField(blank=True, max_length=64)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                (
                    "parent",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="children",
                        to="curation.guard",
                    ),
                ),
                (
                    "job",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.PROTECT, related_name="guard", to="curation.job"
                    ),
                ),
                (
                    "project",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="guards", to="curation.project"
                    ),
                ),
            ],
            options={
                "ordering": ["project", "number"],
            },
        ),
        migrations.CreateModel(
            name="EvaluationSet",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("name", models.CharField(max_length=120)),
                ("digest", models.CharField(help_text="SHA-256 of the rows in order", max_length=64)),
                ("path", models.CharField(help_text="under the artifact root", max_length=300)),
                ("rows", models.PositiveIntegerField()),
                ("unsafe", models.PositiveIntegerField()),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                (
                    "project",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="evaluation_sets",
                        to="curation.project",
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="AuditEntry",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("action", models.CharField(help_text="a verb with its noun, as seeds-imported", max_length=60)),
                ("subject", models.CharField(blank=True, max_length=80)),
                ("detail", models.JSONField(default=dict, help_text="counts and ids; never text of an example")),
                ("at", models.DateTimeField(auto_now_add=True)),
                (
                    "actor",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
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
            ],
            options={
                "verbose_name_plural": "audit entries",
                "ordering": ["-id"],
            },
        ),
        migrations.CreateModel(
            name="Recipe",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("name", models.CharField(max_length=80)),
                ("version", models.PositiveIntegerField(default=1)),
                ("body", models.JSONField()),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                (
                    "created_by",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "project",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="recipes", to="curation.project"
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="Release",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("number", models.PositiveIntegerField()),
                ("digest", models.CharField(blank=True, max_length=64)),
                ("path", models.CharField(blank=True, help_text="folder under the artifact root", max_length=300)),
                ("files", models.JSONField(default=list, help_text="name, bytes and sha256 of each file")),
                ("counts", models.JSONField(default=dict)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                ("released_at", models.DateTimeField(null=True)),
                (
                    "created_by",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "project",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="releases", to="curation.project"
                    ),
                ),
            ],
            options={
                "ordering": ["project", "number"],
            },
        ),
        migrations.AddField(
            model_name="job",
            name="release",
            field=models.ForeignKey(
                null=True, on_delete=django.db.models.deletion.PROTECT, related_name="jobs", to="curation.release"
            ),
        ),
        migrations.CreateModel(
            name="Round",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
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
                    models.JSONField(default=dict, help_text="this round's own copy of the settings of every stage"),
                ),
                (
                    "review",
                    models.CharField(choices=[("people", "People"), ("auto", "Auto")], default="people", max_length=8),
                ),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                ("started_at", models.DateTimeField(null=True)),
                ("ended_at", models.DateTimeField(null=True)),
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
                        null=True, on_delete=django.db.models.deletion.PROTECT, related_name="+", to="curation.guard"
                    ),
                ),
                (
                    "project",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="rounds", to="curation.project"
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
            ],
            options={
                "ordering": ["project", "number"],
            },
        ),
        migrations.AddField(
            model_name="release",
            name="round",
            field=models.ForeignKey(
                null=True, on_delete=django.db.models.deletion.PROTECT, related_name="releases", to="curation.round"
            ),
        ),
        migrations.AddField(
            model_name="job",
            name="round",
            field=models.ForeignKey(
                null=True, on_delete=django.db.models.deletion.PROTECT, related_name="jobs", to="curation.round"
            ),
        ),
        migrations.AddField(
            model_name="guard",
            name="round",
            field=models.OneToOneField(
                on_delete=django.db.models.deletion.PROTECT, related_name="guard", to="curation.round"
            ),
        ),
        migrations.CreateModel(
            name="Example",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("text", models.TextField()),
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
                    "family",
                    models.CharField(help_text="the root seed; no family is on both sides of a split", max_length=64),
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
                ("proposed_label", models.CharField(choices=[("safe", "Safe"), ("unsafe", "Unsafe")], max_length=6)),
                (
                    "proposed_categories",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.CharField(max_length=60), blank=True, default=list, size=None
                    ),
                ),
                ("label", models.CharField(blank=True, choices=[("safe", "Safe"), ("unsafe", "Unsafe")], max_length=6)),
                (
                    "categories",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.CharField(max_length=60), blank=True, default=list, size=None
                    ),
                ),
                ("priority", models.FloatField(default=0.0, help_text="higher is seen earlier")),
                ("embedding", pgvector.django.vector.VectorField(blank=True, dimensions=384, null=True)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                (
                    "parent",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="children",
                        to="curation.example",
                    ),
                ),
                (
                    "made_by_job",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="examples",
                        to="curation.job",
                    ),
                ),
                (
                    "project",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="examples", to="curation.project"
                    ),
                ),
                (
                    "round",
                    models.ForeignKey(
                        blank=True,
                        help_text="the round whose candidates it joined; none for imported ones",
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="examples",
                        to="curation.round",
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="Verdict",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("maker", models.CharField(choices=[("person", "Person"), ("machine", "Machine")], max_length=8)),
                (
                    "decision",
                    models.CharField(
                        choices=[
                            ("accept", "Accept"),
                            ("reject", "Reject"),
                            ("relabel", "Relabel"),
                            ("skip", "Skip"),
                            ("withdraw", "Withdraw"),
                        ],
                        max_length=8,
                    ),
                ),
                ("label", models.CharField(blank=True, choices=[("safe", "Safe"), ("unsafe", "Unsafe")], max_length=6)),
                (
                    "categories",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.CharField(max_length=60), blank=True, default=list, size=None
                    ),
                ),
                ("reason", models.CharField(blank=True, max_length=500)),
                ("seconds", models.FloatField(help_text="time on the example, as the browser saw it", null=True)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                (
                    "example",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="verdicts", to="curation.example"
                    ),
                ),
                (
                    "job",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="verdicts",
                        to="curation.job",
                    ),
                ),
                (
                    "policy_version",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="+", to="curation.policyversion"
                    ),
                ),
                (
                    "reviewer",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="verdicts",
                        to=settings.AUTH_USER_MODEL,
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
            ],
            options={
                "ordering": ["id"],
            },
        ),
        migrations.CreateModel(
            name="Finding",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("filter", models.CharField(max_length=60)),
                ("keep", models.BooleanField()),
                ("score", models.FloatField(null=True)),
                ("reason", models.CharField(blank=True, max_length=300)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
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
            ],
            options={
                "ordering": ["id"],
                "indexes": [models.Index(fields=["example", "id"], name="curation_fi_example_fa97e8_idx")],
                "constraints": [models.UniqueConstraint(fields=("job", "example", "filter"), name="finding_once")],
            },
        ),
        migrations.CreateModel(
            name="Evaluation",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("metrics", models.JSONField()),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                (
                    "evaluation_set",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="evaluations",
                        to="curation.evaluationset",
                    ),
                ),
                (
                    "guard",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="evaluations", to="curation.guard"
                    ),
                ),
                (
                    "job",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="evaluations", to="curation.job"
                    ),
                ),
            ],
            options={
                "constraints": [models.UniqueConstraint(fields=("guard", "evaluation_set"), name="evaluated_once")],
            },
        ),
        migrations.CreateModel(
            name="Move",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
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
                ("at", models.DateTimeField(auto_now_add=True)),
                ("note", models.CharField(blank=True, help_text="why; never text of an example", max_length=500)),
                (
                    "by",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={
                "ordering": ["id"],
                "indexes": [
                    models.Index(fields=["subject", "id"], name="curation_mo_subject_18a9a7_idx"),
                    models.Index(fields=["scope", "id"], name="curation_mo_scope_044b38_idx"),
                ],
            },
        ),
        migrations.AddConstraint(
            model_name="policyversion",
            constraint=models.UniqueConstraint(fields=("policy", "number"), name="policy_version_once"),
        ),
        migrations.AddConstraint(
            model_name="category",
            constraint=models.UniqueConstraint(fields=("version", "key"), name="category_key_once"),
        ),
        migrations.AddConstraint(
            model_name="category",
            constraint=models.UniqueConstraint(fields=("version", "position"), name="category_position_once"),
        ),
        migrations.AddConstraint(
            model_name="category",
            constraint=models.CheckConstraint(
                condition=models.Q(("severity__range", (1, 4))), name="category_severity_1_to_4"
            ),
        ),
        migrations.AddConstraint(
            model_name="membership",
            constraint=models.UniqueConstraint(fields=("project", "user"), name="member_once"),
        ),
        migrations.AddConstraint(
            model_name="evaluationset",
            constraint=models.UniqueConstraint(fields=("project", "digest"), name="evaluation_set_once"),
        ),
        migrations.AddIndex(
            model_name="auditentry",
            index=models.Index(fields=["project", "-id"], name="curation_au_project_2aa21e_idx"),
        ),
        migrations.AddConstraint(
            model_name="recipe",
            constraint=models.UniqueConstraint(fields=("project", "name", "version"), name="recipe_version_once"),
        ),
        migrations.AddConstraint(
            model_name="round",
            constraint=models.UniqueConstraint(fields=("project", "number"), name="round_number_once"),
        ),
        migrations.AddConstraint(
            model_name="round",
            constraint=models.UniqueConstraint(
                condition=models.Q(("state__in", ["draft", "closed", "cancelled"]), _negated=True),
                fields=("project",),
                name="one_open_round",
            ),
        ),
        migrations.AddConstraint(
            model_name="release",
            constraint=models.UniqueConstraint(fields=("project", "number"), name="release_number_once"),
        ),
        migrations.AddIndex(
            model_name="job",
            index=models.Index(fields=["state", "heartbeat_at"], name="curation_jo_state_fde18f_idx"),
        ),
        migrations.AddIndex(
            model_name="job",
            index=models.Index(fields=["round", "id"], name="curation_jo_round_i_60243c_idx"),
        ),
        migrations.AddConstraint(
            model_name="job",
            constraint=models.UniqueConstraint(
                condition=models.Q(("state__in", ["queued", "running"])),
                fields=("dedupe_key",),
                name="one_live_job_per_subject",
            ),
        ),
        migrations.AddConstraint(
            model_name="guard",
            constraint=models.UniqueConstraint(fields=("project", "number"), name="guard_number_once"),
        ),
        migrations.AddConstraint(
            model_name="guard",
            constraint=models.UniqueConstraint(
                condition=models.Q(("state", "active")), fields=("project",), name="one_active_guard"
            ),
        ),
        migrations.AddIndex(
            model_name="example",
            index=models.Index(fields=["project", "state", "-priority", "id"], name="example_queue"),
        ),
        migrations.AddIndex(
            model_name="example",
            index=models.Index(fields=["project", "-id"], name="example_newest"),
        ),
        migrations.AddIndex(
            model_name="example",
            index=models.Index(fields=["project", "family"], name="example_family"),
        ),
        migrations.AddIndex(
            model_name="example",
            index=models.Index(fields=["project", "text_hash"], name="example_hash"),
        ),
        migrations.AddIndex(
            model_name="example",
            index=models.Index(fields=["round", "state"], name="example_round_state"),
        ),
        migrations.AddConstraint(
            model_name="example",
            constraint=models.UniqueConstraint(
                condition=models.Q(("origin__in", ["seed", "human"])),
                fields=("project", "text_hash"),
                name="imported_text_once",
            ),
        ),
        migrations.AddConstraint(
            model_name="example",
            constraint=models.UniqueConstraint(fields=("made_by_job", "made_as"), name="job_stores_output_once"),
        ),
        migrations.AddConstraint(
            model_name="example",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("proposed_label", "safe"), _negated=True), ("proposed_categories", []), _connector="OR"
                ),
                name="safe_has_no_category",
            ),
        ),
        migrations.AddIndex(
            model_name="verdict",
            index=models.Index(fields=["example", "id"], name="curation_ve_example_871600_idx"),
        ),
        migrations.AddIndex(
            model_name="verdict",
            index=models.Index(fields=["reviewer", "-id"], name="curation_ve_reviewe_137fd8_idx"),
        ),
        migrations.AddConstraint(
            model_name="verdict",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("maker", "person"), ("reviewer__isnull", False)),
                    models.Q(("maker", "machine"), ("reviewer__isnull", True)),
                    _connector="OR",
                ),
                name="a_person_is_named_a_machine_is_not",
            ),
        ),
        migrations.AddConstraint(
            model_name="verdict",
            constraint=models.UniqueConstraint(
                condition=models.Q(("maker", "machine")), fields=("example",), name="machine_judges_once"
            ),
        ),
        migrations.RunSQL(APPEND_ONLY, NOT_APPEND_ONLY),
    ]
