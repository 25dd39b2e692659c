from __future__ import annotations

import hashlib
import json
from io import StringIO
from threading import Thread

import pytest
from django.core.management import CommandError, call_command
from django.db import connection, transaction

from curation.models import AuditEntry, Project
from curation.operations import audit
from tests.factories import make_member, make_project

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def project() -> Project:
    return make_project()


def note(project: Project, number: int = 0) -> AuditEntry:
    return AuditEntry.objects.create(
        project=project,
        action="seeds-imported",
        subject=f"project:{project.pk}",
        detail={"rows": number, "share": 1e-7},
    )


def tampered(sql: str) -> None:
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("ALTER TABLE curation_auditentry DISABLE TRIGGER append_only")
        cursor.execute(sql)
        cursor.execute("ALTER TABLE curation_auditentry ENABLE TRIGGER append_only")


def test_every_entry_carries_the_hash_of_the_one_before(project: Project) -> None:
    for number in range(4):
        note(project, number)

    rows = list(AuditEntry.objects.order_by("link").values_list("link", "previous", "hash"))

    assert [link for link, _, _ in rows] == [1, 2, 3, 4]
    assert [previous for _, previous, _ in rows] == [audit.FIRST, *(stored for _, _, stored in rows[:-1])]
    assert audit.verify() == audit.Chain(4, rows[-1][2])


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE curation_auditentry SET detail = '{\"rows\": 9}' WHERE link = 2",
        "DELETE FROM curation_auditentry WHERE link = 2",
        "UPDATE curation_auditentry SET at = at + interval '1 second' WHERE link = 2",
    ],
)
def test_an_entry_that_was_changed_or_taken_away_is_named(project: Project, sql: str) -> None:
    for number in range(3):
        note(project, number)

    tampered(sql)

    assert audit.verify().broken_at == 2
    with pytest.raises(CommandError, match="The chain breaks at entry 2"):
        call_command("audit", "verify")


def test_a_chain_that_was_cut_at_its_end_lacks_the_head_that_was_noted(project: Project) -> None:
    for number in range(3):
        note(project, number)
    head = audit.verify().head

    tampered("DELETE FROM curation_auditentry WHERE link = 3")

    assert audit.verify().holds
    with pytest.raises(CommandError, match="is in no entry"):
        call_command("audit", "verify", "--head", head)


def test_people_who_act_at_once_still_make_one_chain(project: Project) -> None:
    def act() -> None:
        for number in range(5):
            note(project, number)
        connection.close()

    threads = [Thread(target=act) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert audit.verify() == audit.Chain(20, AuditEntry.objects.get(link=20).hash)


def test_an_export_can_be_verified_without_the_database(project: Project) -> None:
    note(project)
    note(project, 1)
    out = StringIO()

    call_command("audit", "export", stdout=out)

    previous = audit.FIRST
    for line in out.getvalue().splitlines():
        row = json.loads(line)
        assert row["previous"] == previous == json.loads(row["content"])[1]
        assert hashlib.sha256(row["content"].encode()).hexdigest() == row["hash"]
        previous = row["hash"]


def test_the_trail_is_searched_by_act_subject_and_person(project: Project) -> None:
    lea = make_member(project, "lead", "lea")
    note(project)
    AuditEntry.objects.create(project=project, actor=lea, action="release-started", subject="release:1")
    note(make_project())

    assert [one.action for one in audit.search(project)] == ["release-started", "seeds-imported"]
    assert [one.action for one in audit.search(project, "lea")] == ["release-started"]
    assert [one.action for one in audit.search(project, before=2)] == ["seeds-imported"]
