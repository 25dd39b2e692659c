"""A database that is made at once is the one that came about step by step."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from importlib import import_module
from typing import Any

import psycopg
import pytest
from django.conf import settings
from django.core.management import call_command
from django.core.management.base import CommandError
from django.db import DatabaseError, connections, transaction
from django.db.migrations.executor import MigrationExecutor
from django.db.migrations.loader import MigrationLoader

from curation import services
from curation.models import AuditEntry, Verdict

SQUASHED = "0001_squashed_0014_peers"
REPLACED = import_module(f"curation.migrations.{SQUASHED}").REPLACED


@pytest.fixture(scope="module")
def new_database(django_db_blocker: Any) -> Iterator[Callable[..., str]]:
    """Make a database beside the one of the other tests, empty or a copy; known to Django by its name."""
    made: list[str] = []

    def make(name: str, template: str = "template0") -> str:
        if template in made:
            connections[template].close()  # whoever is copied has no guests
        on_server(f"CREATE DATABASE {name} TEMPLATE {template}")
        made.append(name)
        connections.databases[name] = {**connections.databases["default"], "NAME": name}
        return name

    with django_db_blocker.unblock():
        yield make
        for name in made:
            connections[name].close()
            del connections[name], connections.databases[name]
            on_server(f"DROP DATABASE {name}")


def on_server(statement: str) -> None:
    with psycopg.connect(services.database_url(settings.VAR_DIR), autocommit=True) as connection:
        connection.execute(statement)


@pytest.fixture(scope="module")
def fresh(new_database: Callable[..., str]) -> str:
    name = new_database("fresh")
    call_command("migrate", database=name, verbosity=0)
    return name


@pytest.fixture(scope="module")
def halted(new_database: Callable[..., str]) -> str:
    """As somebody has it who came by every step but the last of those that are one now."""
    name = new_database("halted")
    migrate_by_steps(name, REPLACED[-2])
    return name


def migrate_by_steps(name: str, to: str) -> None:
    load = MigrationLoader.load_disk

    def without_squashed(self: MigrationLoader) -> None:
        load(self)
        del self.disk_migrations["curation", SQUASHED]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(MigrationLoader, "load_disk", without_squashed)
        call_command("migrate", "curation", to, database=name, verbosity=0)


def schema(name: str) -> set[str]:
    """What there is, as PostgreSQL writes it; the columns of a table by their names."""
    program = [
        str(services.binaries() / "pg_dump"),
        "--schema-only",
        "--host",
        str(services.socket_folder(settings.VAR_DIR)),
    ]
    dump = subprocess.run([*program, "--user=postgres", name], capture_output=True, text=True, check=True).stdout
    return {by_name(part) for part in dump.split("--\n-- Name: ")[1:]}


def by_name(part: str) -> str:
    lines = [line for line in part.splitlines() if line.strip("-") and not line.startswith("\\")]
    if "; Type: TABLE;" in lines[0]:
        lines[1:] = sorted(line.rstrip(",") for line in lines[1:])
    return "\n".join(lines)


def steps_to_go(name: str) -> list[str]:
    executor = MigrationExecutor(connections[name])
    plan = executor.migration_plan(executor.loader.graph.leaf_nodes())
    return [migration.name for migration, _ in plan if migration.app_label == "curation"]


def test_an_empty_database_takes_one_step_for_fourteen(new_database: Callable[..., str]) -> None:
    first, *rest = steps_to_go(new_database("nothing"))

    assert first == SQUASHED
    assert not set(rest) & set(REPLACED)


@pytest.mark.parametrize("steps", [13, 14])
def test_a_database_that_came_step_by_step_goes_on_to_what_a_new_one_is(
    steps: int, fresh: str, halted: str, new_database: Callable[..., str]
) -> None:
    old = new_database(f"after_{steps}", template=halted)
    migrate_by_steps(old, REPLACED[steps - 1])
    assert SQUASHED not in steps_to_go(old)

    call_command("migrate", database=old, verbosity=0)

    assert steps_to_go(old) == []
    assert ("curation", SQUASHED) in MigrationExecutor(connections[old]).recorder.applied_migrations()
    assert schema(old) ^ schema(fresh) == set()


def judged_by_machine(name: str, examples: list[int]) -> None:
    """Machine verdicts on examples that need not be there: only the log is looked at."""
    with connections[name].cursor() as cursor:
        cursor.execute("SET session_replication_role = replica")
        for pk in examples:
            said = Verdict(example_id=pk, policy_version_id=1, maker="machine", decision="accept", label="safe")
            said.save(using=name)
        cursor.execute("SET session_replication_role = DEFAULT")


def test_a_log_with_doubled_machine_verdicts_is_named_left_alone_and_mended_as_the_guide_says(
    fresh: str, new_database: Callable[..., str]
) -> None:
    old = new_database("doubled", template=fresh)
    call_command("migrate", "curation", SQUASHED, database=old, verbosity=0)
    with connections[old].cursor() as cursor:
        cursor.execute("DROP INDEX machine_judges_once")
    judged_by_machine(old, [7, 8, 9, 9, 7, 9])
    numbers = list(Verdict.objects.using(old).order_by("pk").values_list("pk", flat=True))
    oldest, doubled = numbers[:3], numbers[3:]

    with pytest.raises(CommandError, match=r"one machine verdict .* found 2 .*: 7, 9\. .*docs/operate\.md"):
        call_command("migrate", database=old, verbosity=0)
    assert Verdict.objects.using(old).count() == 6
    assert steps_to_go(old)[0] == "0015_machine_judges_once"

    guide = (settings.BASE_DIR / "docs" / "operate.md").read_text(encoding="utf-8")
    with connections[old].cursor() as cursor:
        cursor.execute(guide.split("```sql\n")[1].split("```")[0])
    call_command("migrate", database=old, verbosity=0)

    assert list(Verdict.objects.using(old).order_by("pk").values_list("pk", flat=True)) == oldest
    assert schema(old) ^ schema(fresh) == set()
    (entry,) = AuditEntry.objects.using(old).filter(action="doubled-verdicts-removed")
    assert entry.detail == {"verdicts": doubled}
    with pytest.raises(DatabaseError, match="append-only"), transaction.atomic(old):
        Verdict.objects.using(old).filter(pk=oldest[0]).update(label="unsafe")


def test_the_comparison_would_see_an_index_a_trigger_and_a_column(fresh: str, new_database: Callable[..., str]) -> None:
    other = new_database("other", template=fresh)
    with connections[other].cursor() as cursor:
        cursor.execute("DROP INDEX machine_judges_once")
        cursor.execute("DROP TRIGGER append_only ON curation_move")
        cursor.execute("ALTER TABLE curation_round ALTER COLUMN number DROP NOT NULL")

    missing = sorted(part.split(";")[0] for part in schema(fresh) - schema(other))

    assert missing == ["curation_move append_only", "curation_round", "machine_judges_once"]
