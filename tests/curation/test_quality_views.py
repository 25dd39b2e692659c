"""The pages of quality: who sees them, what they show, what they change."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from curation.models import AuditEntry, Job, Project, ReviewRules, Standing
from curation.operations import agreement
from curation.views.charts import Span, floor_of
from tests.curation.quality_scene import fill, make_reviewed_project
from tests.factories import make_member, make_project, make_rules

pytestmark = pytest.mark.django_db
ROLES = ("owner", "lead", "adjudicator", "annotator", "viewer")
LEADS, JUDGES, REVIEWERS = ROLES[:2], ROLES[:3], ROLES[:4]


@pytest.fixture
def project() -> Project:
    return make_reviewed_project()


@pytest.fixture
def filled(project: Project) -> dict[str, Any]:
    return fill(project)


def pages(project: Project, filled: dict[str, Any]) -> dict[str, tuple[str, tuple[str, ...]]]:
    """Every page with the roles that see it; everybody else gets 404."""
    slug, person = project.slug, filled["people"][0].pk
    return {
        "agreement": (reverse("quality", args=[slug]), ROLES),
        "disputes": (reverse("quality-disputes", args=[slug]), JUDGES),
        "dispute": (reverse("quality-dispute", args=[slug, filled["case"].pk]), JUDGES),
        "gold": (reverse("quality-gold", args=[slug]), LEADS),
        "gold-write": (reverse("quality-gold-write", args=[slug]), LEADS),
        "exams": (reverse("quality-exams", args=[slug]), REVIEWERS),
        "exam": (reverse("quality-exam", args=[slug, "fraud"]), REVIEWERS),
        "people": (reverse("quality-people", args=[slug]), LEADS),
        "person": (reverse("quality-person", args=[slug, person]), LEADS),
        "rules": (reverse("quality-rules", args=[slug]), LEADS),
    }


def acts(project: Project, filled: dict[str, Any]) -> dict[str, tuple[str, tuple[str, ...]]]:
    slug = project.slug
    return {
        "compute": (reverse("quality-compute", args=[slug]), LEADS),
        "take": (reverse("quality-gold-take", args=[slug]), LEADS),
        "switch": (reverse("quality-gold-switch", args=[slug, filled["question"].pk]), LEADS),
        "resume": (reverse("quality-resume", args=[slug, filled["people"][2].pk]), LEADS),
    }


@pytest.mark.parametrize("role", ROLES)
def test_everybody_sees_their_pages_and_no_others(
    client: Client, project: Project, filled: dict[str, Any], role: str
) -> None:
    client.force_login(make_member(project, role, "me"))

    for name, (address, roles) in pages(project, filled).items():
        assert client.get(address).status_code == (200 if role in roles else 404), name
    for name, (address, roles) in acts(project, filled).items():
        if role not in roles:
            assert client.post(address).status_code == 404, name


def test_strangers_see_nothing_and_whoever_is_not_signed_in_is_sent_to_do_so(
    client: Client, project: Project, filled: dict[str, Any]
) -> None:
    everything = [*pages(project, filled).values(), *acts(project, filled).values()]
    for address, _ in everything:
        assert client.get(address).status_code in (302, 405), address
    client.force_login(make_member(make_project(), "owner"))
    for name, (address, _) in pages(project, filled).items():
        assert client.get(address).status_code == 404, name
    for name, (address, _) in acts(project, filled).items():
        assert client.post(address).status_code == 404, name


def test_wrong_methods_are_refused(client: Client, project: Project, filled: dict[str, Any]) -> None:
    client.force_login(make_member(project, "lead"))
    for name, (address, _) in acts(project, filled).items():
        assert client.get(address).status_code == 405, name
    for name, (address, _) in pages(project, filled).items():
        assert client.delete(address).status_code == 405, name
    for name in ("agreement", "disputes", "gold", "exams", "people", "person"):
        assert client.post(pages(project, filled)[name][0]).status_code == 405, name


def test_hostile_text_stays_text_on_every_page(client: Client, project: Project, filled: dict[str, Any]) -> None:
    client.force_login(make_member(project, "lead"))

    for name, (address, _) in pages(project, filled).items():
        body = client.get(address).content.decode()
        assert "<script>alert" not in body, name
        assert "14" not in re.findall(r"</script>(\d+)", body), name
    assert "&lt;script&gt;" in client.get(pages(project, filled)["dispute"][0]).content.decode()


def test_with_no_data_every_page_says_what_will_stand_there(client: Client) -> None:
    project, empty = (
        make_project(),
        {"agreement": "Nothing measured yet", "disputes": "Nothing to settle", "gold": "No known questions yet"},
    )
    lead = make_member(project, "lead")
    client.force_login(lead)

    for name, words in empty.items():
        assert (
            words
            in client.get(
                reverse({"agreement": "quality"}.get(name, f"quality-{name}"), args=[project.slug])
            ).content.decode()
        )
    for name in ("quality-exams", "quality-people", "quality-rules"):
        assert client.get(reverse(name, args=[project.slug])).status_code == 200
    assert client.get(reverse("quality-person", args=[project.slug, lead.pk])).status_code == 200


# Agreement


def test_the_figures_come_with_intervals_time_and_a_button(
    client: Client, project: Project, filled: dict[str, Any]
) -> None:
    client.force_login(make_member(project, "lead"))

    body = client.get(reverse("quality", args=[project.slug])).content.decode()

    assert "0.71" in body and "0.55 to 0.84" in body
    assert "−0.12" in body and "ana and ben" in body
    assert "1 Nov 10:00" in body and "Compute again" in body
    assert "2026-W40" in body


def test_an_annotator_learns_of_nobody_but_themselves(client: Client, project: Project, filled: dict[str, Any]) -> None:
    client.force_login(filled["people"][0])

    body = client.get(reverse("quality", args=[project.slug]) + "?aspect=fraud").content.decode()

    assert "Do the others agree with you?" in body
    assert "ben" not in body and "cem" not in body
    assert "Compute again" not in body


def test_an_unknown_aspect_shows_the_label(client: Client, project: Project, filled: dict[str, Any]) -> None:
    client.force_login(make_member(project, "lead"))

    assert client.get(reverse("quality", args=[project.slug]) + "?aspect=no-such").status_code == 200


def test_a_lead_has_the_figures_computed_and_sees_how_it_goes(
    client: Client, project: Project, filled: dict[str, Any]
) -> None:
    client.force_login(make_member(project, "lead"))
    address = reverse("quality", args=[project.slug])

    assert client.post(reverse("quality-compute", args=[project.slug])).status_code == 302
    job = agreement.under_way(project)
    assert job is not None
    assert "Waiting for a worker" in client.get(address).content.decode()
    assert 'hx-trigger="every 1s"' in client.get(address, headers={"HX-Request": "true"}).content.decode()

    Job.objects.filter(pk=job.pk).update(state="failed", error="The disk is full.", remedy="Make room.")
    assert "The disk is full." in client.get(address).content.decode()
    client.post(reverse("quality-compute", args=[project.slug]))
    job.refresh_from_db()
    assert job.state == "queued"  # tried again, not made anew

    Job.objects.filter(pk=job.pk).update(state="done")
    assert client.get(address, headers={"HX-Request": "true"})["HX-Refresh"] == "true"


def test_a_span_keeps_to_the_scale_that_its_table_shares() -> None:
    rows = [
        {"value": 0.5, "low": -0.25, "high": 0.9},
        {"value": -0.1, "low": None, "high": None},
        {"value": None, "low": None},
    ]

    assert floor_of(rows) == -0.25
    assert floor_of([{"value": 0.4, "low": 0.2}]) == 0.0
    span = Span(0.5, -0.25, 1.0, floor=-0.25)
    assert (span.left, span.right) == (4.0, 196.0)
    assert span.zero is not None and span.x is not None and 4 < span.zero < span.x < 196
    assert [Span(value, None, None).verdict for value in (0.8, 0.7, 0.5, None)] == ["firm", "tentative", "weak", ""]


# People


def test_one_sees_ones_own_page_with_what_one_read_and_leads_see_it_without(
    client: Client, project: Project, filled: dict[str, Any]
) -> None:
    ana = filled["people"][0]
    address = reverse("quality-person", args=[project.slug, ana.pk])
    client.force_login(ana)
    assert "What did I read?" in client.get(address).content.decode()
    assert client.get(reverse("quality-person", args=[project.slug, filled["people"][1].pk])).status_code == 404

    client.force_login(make_member(project, "lead"))
    body = client.get(address).content.decode()
    assert "What did I read?" not in body and "0.71" in body


def test_a_page_of_somebody_who_is_no_member_is_not_there(client: Client, project: Project) -> None:
    client.force_login(make_member(project, "lead"))

    assert (
        client.get(reverse("quality-person", args=[project.slug, make_member(make_project(), "lead").pk])).status_code
        == 404
    )


def test_people_stand_in_the_order_of_their_names(client: Client, project: Project, filled: dict[str, Any]) -> None:
    client.force_login(make_member(project, "lead", "zoe"))

    body = client.get(reverse("quality-people", args=[project.slug])).content.decode()

    found = re.findall(r"people/\d+/\">(\w+)</a>", body)
    assert found == sorted(found) and {"ana", "ben", "cem", "zoe"} <= set(found)
    assert "fewer could be told apart" in body  # exposure of three people is nobody's business


def test_a_lead_lets_a_paused_person_go_on(client: Client, project: Project, filled: dict[str, Any]) -> None:
    client.force_login(make_member(project, "lead"))
    address = reverse("quality-resume", args=[project.slug, filled["people"][2].pk])

    assert "may go on" in client.post(address, follow=True).content.decode()
    assert not Standing.objects.get().is_paused
    assert "not paused" in client.post(address, follow=True).content.decode()


# Review rules


def as_typed(project: Project) -> dict[str, Any]:
    from curation.forms.rules import RulesForm

    form = RulesForm(instance=project.review_rules)
    values = {name: form[name].value() for name in form.fields}
    return {name: value for name, value in values.items() if value is not None and value is not False}


def test_rules_are_changed_with_an_audit_entry_of_what_changed(client: Client, project: Project) -> None:
    lead = make_member(project, "lead")
    client.force_login(lead)
    address = reverse("quality-rules", args=[project.slug])

    response = client.post(
        address, {**as_typed(project), "overlap": 5, "gold_rate": "12.5", "exam_required": "on", "quota-hate": "40"}
    )

    assert response.status_code == 302
    rules = ReviewRules.objects.get(project=project)
    assert (rules.overlap, rules.gold_rate, rules.exam_required, rules.changed_by) == (5, 0.125, True, lead)
    entry = AuditEntry.objects.get(action="review-rules-changed")
    assert entry.detail == {
        "overlap": [3, 5], "gold_rate": [0.0, 0.125], "exam_required": [False, True],
        "category_quotas": [{}, {"hate": 40}],
    }  # fmt: skip


def test_how_long_a_text_is_kept_is_asked_for_in_minutes_and_stored_in_seconds(
    client: Client, project: Project
) -> None:
    client.force_login(make_member(project, "lead"))
    address = reverse("quality-rules", args=[project.slug])

    shown = client.get(address).content.decode()
    client.post(address, {**as_typed(project), "lease_seconds": "2.5", "hold_seconds": "90"})

    assert re.search(r'name="lease_seconds" value="15"', shown)
    assert re.search(r'name="hold_seconds" value="240"', shown)
    assert "Minutes kept for one person" in shown
    rules = ReviewRules.objects.get(project=project)
    assert (rules.lease_seconds, rules.hold_seconds) == (150, 5400)
    assert AuditEntry.objects.get(action="review-rules-changed").detail == {
        "lease_seconds": [900, 150], "hold_seconds": [14_400, 5400],
    }  # fmt: skip


@pytest.mark.parametrize("seconds", [30, 100, 86_399])
def test_seconds_that_are_no_whole_minutes_come_back_as_they_were(
    client: Client, project: Project, seconds: int
) -> None:
    make_rules(project, lease_seconds=seconds, hold_seconds=604_799)
    client.force_login(make_member(project, "lead"))

    assert client.post(reverse("quality-rules", args=[project.slug]), as_typed(project)).status_code == 302

    rules = ReviewRules.objects.get(project=project)
    assert (rules.lease_seconds, rules.hold_seconds) == (seconds, 604_799)


def test_saving_without_a_change_changes_nothing(client: Client, project: Project) -> None:
    client.force_login(make_member(project, "lead"))
    before = ReviewRules.objects.filter(project=project).values().get()

    assert client.post(reverse("quality-rules", args=[project.slug]), as_typed(project)).status_code == 302

    after = ReviewRules.objects.filter(project=project).values().get()
    volatile = ("changed_at", "changed_by_id")
    assert {k: v for k, v in after.items() if k not in volatile} == {
        k: v for k, v in before.items() if k not in volatile
    }
    assert not AuditEntry.objects.exists()


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"overlap": 6}, "less than or equal to 5"),
        ({"overlap": 0, "consensus": "one"}, "greater than or equal to 1"),
        ({"overlap": 2}, "needs three people or more"),
        ({"overlap": 1, "consensus": "unanimous"}, "takes two people or more"),
        ({"gold_rate": 51}, "less than or equal to 50"),
        ({"gold_bar": "many"}, "Enter a number"),
        ({"lease_seconds": "0.25"}, "Between half a minute and 1,440 minutes (a day); this is 0.25."),
        ({"lease_seconds": "1441"}, "Between half a minute and 1,440 minutes (a day); this is 1441."),
        ({"hold_seconds": "0.5"}, "Between 1 and 10,080 minutes (a week); this is 0.5."),
        ({"hold_seconds": "10081"}, "Between 1 and 10,080 minutes (a week); this is 10081."),
        ({"lease_seconds": "an hour"}, "Enter a number"),
        ({"lease_seconds": "nan"}, "Enter a number"),
        ({"lease_seconds": "20", "hold_seconds": "10"}, "At least as long as without a hold, 20 minutes; this is 10."),
        ({"order": "alphabetical"}, "alphabetical is not one of the available choices"),
        ({"exam_bar": ""}, "This field is required"),
        ({"quota-hate": "-1"}, "greater than or equal to 0"),
    ],
)
def test_a_rule_that_cannot_hold_is_refused_beside_its_field(
    client: Client, project: Project, fields: dict[str, Any], words: str
) -> None:
    client.force_login(make_member(project, "lead"))

    response = client.post(reverse("quality-rules", args=[project.slug]), {**as_typed(project), **fields})

    assert response.status_code == 422
    assert words in response.content.decode()
    assert ReviewRules.objects.get(project=project).overlap == 3
    assert not AuditEntry.objects.exists()


def test_rules_that_cannot_work_yet_are_shown_with_what_is_missing(client: Client, project: Project) -> None:
    make_rules(project, gold_rate=0.1, exam_required=True)
    client.force_login(make_member(project, "lead"))

    body = client.get(reverse("quality-rules", args=[project.slug])).content.decode()

    assert "No known question can be mixed in" in body
    assert "0 of 3 categories have an exam" in body
