from __future__ import annotations

import csv
import hashlib
import io
import json
from datetime import timedelta
from io import StringIO
from threading import Thread
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection, transaction
from django.test import Client
from django.urls import reverse
from django.utils import timezone

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


def test_the_trail_is_searched_by_person_act_object_and_day(project: Project) -> None:
    lea = make_member(project, "lead", "lea")
    note(project)
    AuditEntry.objects.create(
        project=project, actor=lea, action="release-started", subject="release:1", detail={"name": "spring"}
    )
    note(make_project())
    today = timezone.now().date()

    def found(**asked: Any) -> list[str]:
        return [one.action for one in audit.search(project, audit.Question(**asked))]

    assert found() == ["release-started", "seeds-imported"]
    for asked in ({"who": "Lea"}, {"what": "release started"}, {"about": "release 1"}, {"about": "spring"}):
        assert found(**asked) == ["release-started"], asked
    assert found(since=today, until=today) == ["release-started", "seeds-imported"]
    assert found(since=today + timedelta(days=1)) == found(until=today - timedelta(days=1)) == []
    assert [one.action for one in audit.search(project, before=2)] == ["seeds-imported"]


# The page


@pytest.fixture
def client(project: Project) -> Client:
    client = Client()
    client.force_login(make_member(project, "lead", "lea"))
    return client


def test_pages_go_back_by_keys_and_keep_the_search(client: Client, project: Project) -> None:
    for number in range(120):
        note(project, number)
    note(make_project())
    address, seen = reverse("audit", args=[project.slug]) + "?what=seeds", []
    while address:
        page = client.get(address)
        seen += [one.link for one in page.context["entries"]]
        older = page.context["older"]
        assert not older or "what=seeds" in older
        address = f"?{older}" if older else ""
        address = address and reverse("audit", args=[project.slug]) + address

    assert seen == list(range(120, 0, -1))


def test_the_page_says_whether_the_chain_holds(client: Client, project: Project) -> None:
    note(project)
    note(project, 1)
    address = reverse("audit-chain", args=[project.slug])
    assert audit.verify().head in client.get(address, headers={"HX-Request": "true"}).content.decode()
    assert "The chain holds" in client.get(address).content.decode()

    tampered("UPDATE curation_auditentry SET action = 'nothing' WHERE link = 1")

    assert "The chain breaks at entry 1" in client.get(address).content.decode()


def test_a_trail_is_exported_as_it_was_searched_safe_for_spreadsheets(client: Client, project: Project) -> None:
    note(project)
    AuditEntry.objects.create(project=project, action="api-key-made", subject="=1+1", detail={"name": "@cmd", "n": 2})

    lines = read(client.get(reverse("audit-jsonl", args=[project.slug]))).splitlines()
    table = read(client.get(reverse("audit-csv", args=[project.slug]) + "?what=api"))

    assert [json.loads(line)["link"] for line in lines] == [2, 1]
    assert json.loads(lines[0])["detail"] == {"name": "@cmd", "n": 2}
    header, row = csv.reader(io.StringIO(table.removeprefix("\ufeff")))
    cells = dict(zip(header, row, strict=True))
    assert cells["subject"] == "'=1+1"
    assert cells["hash"] == AuditEntry.objects.get(link=2).hash


def read(response: Any) -> str:
    assert response.streaming
    return b"".join(response.streaming_content).decode()


def test_a_day_that_is_none_is_said_beside_its_field(client: Client, project: Project) -> None:
    answer = client.get(reverse("audit", args=[project.slug]) + "?since=yesterday&before=x")

    assert answer.status_code == 422
    assert "Enter a valid date" in answer.content.decode()


def test_hostile_names_in_an_entry_are_shown_as_text(client: Client, project: Project) -> None:
    AuditEntry.objects.create(project=project, action="api-key-made", detail={"name": "<b>a</b>\u202e"})

    page = client.get(reverse("audit", args=[project.slug])).content.decode()

    assert "<b>a</b>" not in page
    assert "U+202E" in page
