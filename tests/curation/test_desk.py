"""The shell of the desk: its keymap, a person's settings, and the words in another language."""

from __future__ import annotations

import ast
import gettext
import json
import re
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import translation

from curation import keymap
from curation.models import OptOut, Preferences, Project, Verdict
from curation.operations import desk
from tests.factories import make_example, make_member, make_project, make_user

ROOT = Path(__file__).resolve().parents[2]
WORDS = ROOT / "curation" / "locale" / "de" / "LC_MESSAGES"


# The keymap


def test_our_own_keys_do_not_collide() -> None:
    assert keymap.check({}) == {}
    assert len({act.key for act in keymap.ACTS}) == len(keymap.ACTS)


@pytest.mark.parametrize(
    ("chosen", "said"),
    [
        ({"approve": "r"}, "taken twice"),
        ({"approve": "é", "skip": "É"}, "taken twice"),
        ({"approve": "1"}, "one letter"),
        ({"approve": " "}, "one letter"),
        ({"approve": "?"}, "one letter"),
        ({"approve": "ab"}, "one letter"),
        ({"approve": "Backspace"}, "one letter"),
        ({"fly": "y"}, "no act"),
    ],
)
def test_a_keymap_that_would_not_work_is_refused(chosen: dict[str, str], said: str) -> None:
    with pytest.raises(keymap.BadKeymap, match=said):
        keymap.check(chosen)


def test_keys_may_be_swapped_taken_away_and_of_any_alphabet() -> None:
    chosen = {"approve": "R", "reject": "a", "skip": "", "hold": "ж", "flag": "f"}

    assert keymap.check(chosen) == {"approve": "r", "reject": "a", "skip": "", "hold": "ж"}


def test_no_act_is_on_a_key_that_edits() -> None:
    for act in keymap.ACTS:
        assert act.key.isalpha() and len(act.key) == 1, act.name


# Settings


@pytest.fixture
def project() -> Project:
    return make_project(content_note="")


def values(**changed: Any) -> dict[str, Any]:
    """What the form sends where somebody changes nothing, with changes."""
    keys = {f"key-{act.name}": act.key for act in keymap.ACTS}
    return {"key_mode": "letters", "theme": "system", "language": "", **keys} | changed


@pytest.mark.django_db
def test_settings_are_ones_own(client: Client, project: Project) -> None:
    mine, other = make_member(project, "annotator"), make_member(project, "annotator")
    client.force_login(mine)

    client.post(reverse("settings"), values(theme="dark", spacious="on", **{f"skip-{project.pk}": ["hate"]}))

    assert desk.preferences_of(mine).theme == "dark"
    assert desk.preferences_of(mine).spacious
    assert list(OptOut.objects.values_list("user", "category")) == [(mine.pk, "hate")]
    assert desk.preferences_of(other).pk is None


@pytest.mark.django_db
def test_a_category_of_another_project_is_refused_beside_its_field(client: Client, project: Project) -> None:
    client.force_login(make_member(project, "annotator"))

    response = client.post(reverse("settings"), values(**{f"skip-{project.pk}": ["no-such"]}))

    assert response.status_code == 422
    assert not OptOut.objects.exists()


@pytest.mark.django_db
def test_settings_lead_back_to_where_one_came_from_and_nowhere_else(client: Client, project: Project) -> None:
    client.force_login(make_member(project, "annotator"))

    assert client.get(reverse("settings"), {"next": "/p/x/review/"}).context["back"] == "/p/x/review/"
    for foreign in ("https://evil.example/", "//evil.example", "javascript:alert(1)"):
        assert client.get(reverse("settings"), {"next": foreign}).context["back"] == "/"


@pytest.mark.django_db
def test_settings_are_for_whoever_signed_in(client: Client) -> None:
    assert client.get(reverse("settings")).status_code == 302
    client.force_login(make_user())
    assert client.get(reverse("settings")).status_code == 200
    assert client.delete(reverse("settings")).status_code == 405


@pytest.mark.django_db
def test_signing_in_puts_on_the_chosen_theme_and_language(client: Client) -> None:
    Preferences.objects.create(user=make_user("mo"), theme="contrast", language="de")

    response = client.post(reverse("login"), {"username": "mo", "password": "a long enough password"})

    assert response.cookies["theme"].value == "contrast"
    assert response.cookies["django_language"].value == "de"
    assert 'data-theme="contrast"' in client.get(reverse("settings")).content.decode()
    assert "Deine Einstellungen" in client.get(reverse("settings")).content.decode()


@pytest.mark.django_db
def test_a_theme_that_nobody_offers_is_not_put_on(client: Client) -> None:
    client.force_login(make_user())
    client.cookies["theme"] = '"><script>'

    assert "data-theme" not in client.get(reverse("settings")).content.decode().split("<body")[0]


# What the desk is told


@pytest.mark.django_db
def test_the_desk_is_told_keys_policy_and_recent_decisions_but_no_text(client: Client, project: Project) -> None:
    person = make_member(project, "annotator")
    Preferences.objects.create(user=person, keymap={"approve": "j"}, break_after_minutes=20)
    judged = make_example(project, text="a very peculiar sentence")
    Verdict.objects.create(
        example=judged, reviewer=person, maker="person", decision="reject", policy_version=project.policy_version
    )
    client.force_login(person)

    body = client.get(reverse("review", args=[project.slug])).content.decode()
    config = json.loads(re.search(r'<script id="desk-config"[^>]*>(.*?)</script>', body, re.S)[1])  # type: ignore[index]

    assert config["keys"]["keys"]["approve"] == "j"
    assert config["wellbeing"]["break_after_minutes"] == 20
    assert [category["key"] for category in config["categories"]] == project.policy_version.keys()
    assert [(row["example"], row["decision"]) for row in config["recent"]] == [(judged.pk, "reject")]
    assert "peculiar" not in json.dumps(config)


@pytest.mark.django_db
def test_the_bulk_page_is_for_reviewers_of_projects_that_allow_it(client: Client, project: Project) -> None:
    address = reverse("review-bulk", args=[project.slug])
    client.force_login(make_member(project, "viewer"))
    assert client.get(address).status_code == 404

    client.force_login(make_member(project, "annotator"))
    assert client.get(address).status_code == 200
    rules = project.review_rules
    rules.bulk_allowed = False
    rules.save()
    assert client.get(address).status_code == 404


@pytest.mark.django_db
def test_the_page_without_scripts_veils_what_the_desk_veils(client: Client, project: Project) -> None:
    project.policy_version.categories.filter(key="hate").update(severity=4)
    make_example(project, proposed_label="unsafe", proposed_categories=["hate"])
    client.force_login(make_member(project, "annotator"))

    assert "<details><summary" in client.get(reverse("review", args=[project.slug])).content.decode()


# Words


def catalogue(domain: str) -> dict[str, str]:
    with (WORDS / f"{domain}.mo").open("rb") as file:
        return dict(gettext.GNUTranslations(file)._catalog)  # type: ignore[attr-defined]


def strings(pattern: str, *files: Path) -> set[str]:
    found = {match for file in files for match in re.findall(pattern, file.read_text())}
    return {ast.literal_eval(match) for match in found}


def test_every_word_of_the_desk_is_translated() -> None:
    scripts = strings(r'\bn?gettext\(("(?:[^"\\]|\\.)*")', *(ROOT / "curation/static/js/desk").glob("*.js"))
    known = {key[0] if isinstance(key, tuple) else key for key in catalogue("djangojs")}
    assert scripts
    assert scripts - known == set()

    places = [*(ROOT / "templates/review").glob("*.html"), *(ROOT / "templates/account").glob("*.html")]
    pages = strings(r"""\{% translate ("[^"]*"|'[^']*')""", *places)
    assert pages
    assert pages - set(catalogue("django")) == set()


@pytest.mark.parametrize("domain", ["django", "djangojs"])
def test_what_is_compiled_is_what_is_written(domain: str) -> None:
    written = (WORDS / f"{domain}.po").read_text()
    compiled = catalogue(domain)

    assert "fuzzy" not in written
    for block in re.split(r"\n\n", written)[1:]:
        joined = {
            name: "".join(map(ast.literal_eval, re.findall(r'".*"', value)))
            for name, value in re.findall(r'^(msgid|msgstr)((?: ".*"\n?)(?:".*"\n?)*)', block, re.M)
        }
        if joined.get("msgid") and "msgstr" in joined:
            assert compiled[joined["msgid"]] == joined["msgstr"]


def test_labels_of_keys_follow_the_language() -> None:
    with translation.override("de"):
        assert str(keymap.ACTS[0].label) == "Annehmen: Text und Einordnung stimmen"
    assert str(keymap.ACTS[0].label) == "Approve: text and label are right"
