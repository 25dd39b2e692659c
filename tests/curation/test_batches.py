from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from curation.models import BatchItem, Example, Lease, Membership, Project
from curation.operations import Refused, batches, members, queue, reviews
from curation.operations.batches import Share
from tests.factories import make_example, make_lease, make_member, make_project, make_rules

pytestmark = pytest.mark.django_db


@pytest.fixture
def project() -> Project:
    return make_project()


@pytest.fixture
def lead(project: Project) -> User:
    return make_member(project, "lead")


def examples(project: Project, count: int, **fields: object) -> list[int]:
    return [make_example(project, priority=-n, **fields).pk for n in range(count)]


def held(project: Project, user: User, wanted: int = 50) -> list[int]:
    return [lease.example_id for lease in queue.claim(project, user, wanted).leases]


def people(count: int) -> list[User]:
    return [User(pk=number, username=f"p{number}") for number in range(count)]


@pytest.mark.parametrize(
    ("items", "weights", "quotas", "expected"),
    [
        (10, [1, 1], [None, None], [5, 5]),
        (10, [3, 1], [None, None], [8, 2]),
        (10, [1, 1, 1], [None, None, None], [4, 3, 3]),
        (10, [1, 1], [2, None], [2, 8]),
        (10, [1, 1], [3, 4], [3, 4]),  # three stay in the pool
        (4, [1, 1], [9, None], [4, 0]),
    ],
)
def test_a_split_serves_quotas_first_and_the_rest_by_weight(
    items: int, weights: list[int], quotas: list[int | None], expected: list[int]
) -> None:
    shares = [Share(*row) for row in zip(people(len(weights)), weights, quotas, strict=True)]

    given = batches.split(items, shares)

    assert [sum(share.user in row for row in given) for share in shares] == expected
    assert all(len(row) == 1 for row in given)


def test_an_example_that_needs_two_verdicts_goes_to_two_different_people() -> None:
    shares = [Share(user) for user in people(3)]

    given = batches.split(9, shares, needed=2)

    assert all(len(set(row)) == 2 and None not in row for row in given)
    assert [sum(share.user in row for row in given) for share in shares] == [6, 6, 6]


def test_fewer_people_than_verdicts_leave_the_others_to_the_pool() -> None:
    (ana,) = people(1)

    assert batches.split(2, [Share(ana)], needed=3) == [[ana, None], [ana, None]]


def test_what_a_batch_gives_to_one_person_nobody_else_gets(project: Project, lead: User) -> None:
    ana, ben = make_member(project, "annotator"), make_member(project, "annotator")
    mine, others = examples(project, 3, origin="paraphrased"), examples(project, 2)

    batches.cut(project, lead, "for ana", {"origin": "paraphrased"}, [Share(ana)])

    assert set(held(project, ben)) == set(others)
    assert held(project, ana)[:3] == mine
    assert {lease.batch.name for lease in Lease.objects.filter(example__in=mine)} == {"for ana"}


def test_a_batch_in_the_pool_can_be_worked_on_by_its_name(project: Project, lead: User) -> None:
    inside, _ = examples(project, 2, language="de"), examples(project, 2)
    batch = batches.cut(project, lead, "german", {"language": "de"})

    hand = queue.claim(project, make_member(project, "annotator"), 10, batch)

    assert [lease.example_id for lease in hand.leases] == inside
    assert {lease.batch_id for lease in hand.leases} == {batch.pk}


def test_a_batch_may_ask_for_more_verdicts_than_the_project(project: Project, lead: User) -> None:
    make_rules(project, consensus="majority")
    (pk,) = examples(project, 1)
    batches.cut(project, lead, "double", {}, overlap=2)
    ana, ben = make_member(project, "annotator"), make_member(project, "annotator")

    assert held(project, ana) == held(project, ben) == [pk]
    reviews.judge(Example.objects.get(), ana, "accept")
    assert Example.objects.get().state == "queued"
    reviews.judge(Example.objects.get(), ben, "accept")
    assert Example.objects.get().state == "accepted"


def test_closing_a_batch_gives_what_is_left_back_to_the_pool(project: Project, lead: User) -> None:
    ana, ben = make_member(project, "annotator"), make_member(project, "annotator")
    ids = examples(project, 3)
    batch = batches.cut(project, lead, "for ana", {}, [Share(ana)])
    reviews.judge(Example.objects.get(pk=ids[0]), ana, "accept")

    assert held(project, ben) == []
    assert batches.close(batch, lead) == 2
    assert held(project, ben) == ids[1:]
    assert batches.close(batch, lead) == 0


def test_what_one_person_has_left_can_be_given_to_another(project: Project, lead: User) -> None:
    ana, ben = make_member(project, "annotator"), make_member(project, "annotator")
    ids = examples(project, 3)
    batch = batches.cut(project, lead, "for ana", {}, [Share(ana)])

    assert batches.reassign(batch, lead, ana, ben) == 3
    assert (held(project, ana), held(project, ben)) == ([], ids)


def test_an_example_is_in_one_open_batch_at_a_time(project: Project, lead: User) -> None:
    examples(project, 2)
    batches.cut(project, lead, "first", {})

    with pytest.raises(Refused, match="Nothing that waits"):
        batches.cut(project, lead, "second", {})


@pytest.mark.parametrize("filter", [{"project__name__startswith": "P"}, {"text": "x"}, {"_connector": "OR"}])
def test_a_filter_names_columns_of_a_closed_list_only(project: Project, lead: User, filter: dict[str, str]) -> None:
    examples(project, 1)

    with pytest.raises(Refused, match="cannot be cut by"):
        batches.cut(project, lead, "odd", filter)


def test_two_batches_do_not_share_a_name(project: Project, lead: User) -> None:
    examples(project, 4)
    batches.cut(project, lead, "one", {}, count=2)

    with pytest.raises(Refused, match="already"):
        batches.cut(project, lead, "one", {}, count=2)


def test_somebody_taken_off_the_project_leaves_what_they_held(project: Project, lead: User) -> None:
    ana = make_member(project, "annotator")
    ids = examples(project, 2)
    held(project, ana)

    members.remove(Membership.objects.get(user=ana), lead)

    assert held(project, make_member(project, "annotator")) == ids


# Pages


@pytest.fixture
def client(lead: User) -> Client:
    client = Client()
    client.force_login(lead)
    return client


def test_the_page_shows_who_holds_what_and_a_lead_releases_it(project: Project, client: Client) -> None:
    lease = make_lease(make_example(project), make_member(project, "annotator", "holder-of-one"))

    page = client.get(reverse("queue", args=[project.slug])).content.decode()
    client.post(reverse("queue-release", args=[project.slug]), {"lease": lease.pk})

    assert "holder-of-one" in page
    assert lease.example.text not in page
    lease.refresh_from_db()
    assert lease.ended == "released"


def test_a_lead_releases_all_of_one_person(project: Project, client: Client) -> None:
    ana = make_member(project, "annotator")
    for _ in range(2):
        make_lease(make_example(project), ana)
    other = make_lease(make_example(project), make_member(project, "annotator"))

    client.post(reverse("queue-release", args=[project.slug]), {"reviewer": ana.pk})

    assert list(Lease.objects.open()) == [other]


def test_a_lead_cuts_a_batch_by_form(project: Project, client: Client) -> None:
    ana = make_member(project, "annotator")
    examples(project, 4)

    form = {"name": "spring", "count": 3, f"weight-{ana.pk}": 1}
    answer = client.post(reverse("queue-cut", args=[project.slug]), form, follow=True)

    assert answer.status_code == 200
    assert "spring" in answer.content.decode()
    assert BatchItem.objects.filter(assignee=ana).count() == 3
    batch = BatchItem.objects.all()[0].batch
    assert (
        client.post(reverse("queue-batch-reassign", args=[project.slug, batch.pk]), {"from": ana.pk}).status_code == 302
    )
    assert client.post(reverse("queue-batch-close", args=[project.slug, batch.pk]), follow=True).status_code == 200


def test_a_bad_form_says_what_is_wrong_beside_the_field(project: Project, client: Client) -> None:
    answer = client.post(reverse("queue-cut", args=[project.slug]), {"name": "x", "count": 0})

    assert answer.status_code == 422
    assert "greater than or equal to 1" in answer.content.decode()


@pytest.mark.parametrize("role", ["annotator", "viewer", "adjudicator"])
def test_only_leads_see_who_holds_what(project: Project, role: str) -> None:
    client = Client()
    client.force_login(make_member(project, role))

    assert client.get(reverse("queue", args=[project.slug])).status_code == 404
    assert client.post(reverse("queue-release", args=[project.slug]), {"lease": 1}).status_code == 404
    assert "/queue/" not in client.get(reverse("overview", args=[project.slug])).content.decode()


def test_a_lead_retires_what_still_waits_and_whoever_holds_it_is_told(project: Project, client: Client) -> None:
    ana, example = make_member(project, "annotator"), make_example(project)
    lease = make_lease(example, ana)

    assert "Retire" in client.get(reverse("example", args=[project.slug, example.pk])).content.decode()
    client.post(reverse("example-retire", args=[project.slug, example.pk]))

    assert Example.objects.get().state == "retired"
    with pytest.raises(Refused, match="already decided"):
        reviews.submit(project, ana, example.pk, reviews.Answer("accept", lease=lease.pk))
    answer = client.post(reverse("example-retire", args=[project.slug, example.pk]), follow=True)
    assert "Only what still waits" in answer.content.decode()


def test_an_annotator_retires_nothing(project: Project) -> None:
    example, client = make_example(project), Client()
    client.force_login(make_member(project, "annotator"))

    assert client.post(reverse("example-retire", args=[project.slug, example.pk])).status_code == 404
    assert Example.objects.get().state == "queued"
