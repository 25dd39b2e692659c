"""Recipes: what is refused and how it is said, versions, YAML; and the forms made of the stages."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from django import forms
from django.core.management import CommandError, call_command

from curation.forms.stages import RecipeForm, fields_of
from curation.operations import Refused, recipes
from pipeline.filters import filters
from pipeline.generators import generators
from tests.factories import make_project


def changed(**parts: Any) -> dict[str, Any]:
    return {**recipes.default(), **parts}


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (changed(generate={"augmenters": [{"key": "telepathy"}]}), "no stage 'telepathy'; there are: chat-spelling"),
        (changed(filter={"filters": [{"key": "length", "settings": {"colour": 1}}]}), "no setting 'colour'; it has"),
        (changed(filter={"filters": [{"key": "length", "settings": {"most_words": "many"}}]}), "a whole number"),
        (changed(filter={"filters": [{"key": "shape", "settings": {"printable": True}}]}), "should be a number"),
        (changed(generate={"sedes": 5}), "no setting 'sedes'"),
        (changed(colour="red"), "a recipe has no setting 'colour'"),
        (changed(train={"epochs": 0}), "epochs should be between 1 and 1000"),
        (changed(train={"epochen": 3}), "train has no setting 'epochen'"),
        (changed(generate={"augmenters": [{"key": "persona", "copies": 9000}]}), "from 1 to 20"),
        (changed(generate={"source": {"label": "maybe"}}), "safe, unsafe or nothing"),
        (["a", "list"], "names with values, found list"),
        (changed(filter={"filters": ["length"]}), "names with values, found str"),
        (changed(attack={"judge": {"kind": "oracle"}}), "a judge's kind should be one of probe, guards, both, found"),
        (changed(attack={"judge": {"folds": 1}}), "a judge's folds should be a whole number from 2 to 10, found 1"),
        (changed(attack={"judge": {"epochs": "8"}}), "epochs of attack.judge should be a whole number, found '8'"),
        (changed(attack={"judge": {"colour": 1}}), "attack.judge has no setting 'colour'; it has: backbone, epochs"),
        (changed(attack={"judge": "guards"}), "attack.judge should be names with values, found str"),
        (changed(filter={"filters": [{"key": "label-judge", "settings": {"kind": "oracle"}}]}), "a judge's kind"),
    ],
)
def test_what_cannot_be_run_is_said_in_a_sentence(body: Any, message: str) -> None:
    with pytest.raises(Refused, match=message):
        recipes.checked(body)


def test_a_recipe_survives_yaml() -> None:
    body = recipes.checked(recipes.default())

    assert recipes.from_yaml(recipes.to_yaml(body)) == body


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name: [", "This is not YAML: line"),
        ("a: &a [x, x]\nb: [*a, *a]", "no references"),
        ("!!python/object/apply:os.system ['true']", "This is not YAML"),
        ("x" * 300_000, "up to 256 KB"),
        ("", "names with values, found NoneType"),
    ],
)
def test_yaml_that_is_no_recipe_is_refused(text: str, message: str) -> None:
    with pytest.raises(Refused, match=message):
        recipes.from_yaml(text)


@pytest.mark.django_db
def test_a_change_is_a_new_version_and_a_copy_another_name() -> None:
    project = make_project()
    first = recipes.save(project, recipes.default(), None)
    same = recipes.save(project, recipes.default(), None)
    second = recipes.save(project, changed(train={"epochs": 3}), None)
    copy = recipes.clone(second, "shorter", None)

    assert first == same
    assert (second.version, second.parent) == (2, first)
    assert (copy.name, copy.version, copy.parent) == ("shorter", 1, second)
    assert ("train.epochs", 8, 3) in recipes.differences(first.body, second.body)
    with pytest.raises(Refused, match="already"):
        recipes.clone(first, "shorter", None)


def test_a_stage_that_talks_to_an_endpoint_has_a_field_with_a_remark_for_each_setting() -> None:
    for registry, key in ((generators, "endpoint"), (filters, "endpoint-judge")):
        fields = fields_of(registry.stages[key])

        assert isinstance(fields["price_in"], forms.FloatField)
        assert isinstance(fields["most_tokens"], forms.IntegerField)
        assert "0 sets no bound" in fields["budget"].help_text
        assert "up to and with /v1" in fields["url"].help_text


def test_prices_typed_into_the_form_reach_the_recipe() -> None:
    typed = posted(RecipeForm(None, recipes.default())) | {
        "generator": "endpoint", "generator-endpoint-price_in": "0.15", "generator-endpoint-budget": "2.5",
        "generator-endpoint-url": "https://localhost/v1", "generator-endpoint-model": "m",
    }  # fmt: skip
    form = RecipeForm(typed, recipes.default())

    assert form.is_valid()
    settings = recipes.checked(form.body())["generate"]["generator"]["settings"]
    assert (settings["price_in"], settings["budget"], settings["price_out"]) == (0.15, 2.5, 0.0)


def test_a_budget_without_a_price_is_refused() -> None:
    writer = {"key": "endpoint", "settings": {"budget": 1.0}}

    with pytest.raises(Refused, match="needs price_in or price_out"):
        recipes.checked(changed(generate={"paraphrasers": [{"key": "paraphrase"}], "generator": writer}))


def test_a_stage_that_was_taken_out_is_a_difference() -> None:
    fewer = changed(filter={"filters": [{"key": "length"}], "languages": ["en"]})

    paths = {path for path, _, _ in recipes.differences(recipes.default(), fewer)}

    assert "filter.filters.shape.used" in paths
    assert not [path for path in paths if ".length" in path]


@pytest.mark.django_db
@pytest.mark.parametrize("content", ["generate: {augmenters: [{key: telepathy}]}", "name: ["])
def test_the_shell_refuses_a_bad_recipe_and_starts_nothing(tmp_path: Path, content: str) -> None:
    project = make_project()
    file = tmp_path / "recipe.yaml"
    file.write_text(content)

    with pytest.raises(CommandError, match=r"telepathy|not YAML"):
        call_command("run_round", project=project.slug, recipe=file)

    assert not project.rounds.exists()


def test_every_setting_has_a_field_of_its_kind_with_the_reason_from_the_source() -> None:
    made = fields_of(filters.stages["near-duplicate"])

    assert {name: type(field).__name__ for name, field in made.items()} == {
        "threshold": "FloatField", "shingle": "IntegerField", "permutations": "IntegerField",
    }  # fmt: skip
    assert "keeps paraphrases" in str(made["threshold"].help_text)


@pytest.mark.parametrize(("method", "setting"), [("map-elites", "patience"), ("dpo", "iterations")])
def test_every_method_of_attack_has_its_form_and_its_help(method: str, setting: str) -> None:
    cards = {card.key: card for card in RecipeForm(None, recipes.default()).method}

    assert set(cards) == set(recipes.STAGES["method"].stages)
    assert cards[method].help.endswith(".")
    assert cards[method].form.fields[setting].help_text


def test_a_form_that_nobody_touched_gives_the_recipe_back() -> None:
    body = recipes.checked(recipes.default())
    form = RecipeForm(posted(RecipeForm(None, body)), body)

    assert form.is_valid()
    assert recipes.differences(recipes.default(), recipes.checked(form.body())) == []


def test_the_judge_of_an_attack_is_chosen_in_the_form_and_kept_by_it() -> None:
    body = recipes.checked(recipes.default())
    data = posted(RecipeForm(None, body)) | {"judge-kind": "both", "judge-folds": "3"}
    form = RecipeForm(data, body)

    assert form.is_valid()
    chosen = recipes.checked(form.body())
    assert chosen["attack"]["judge"] == {"kind": "both", "backbone": "all-MiniLM-L6-v2", "folds": 3, "epochs": 8}
    assert recipes.differences(recipes.default(), chosen) == [
        ("attack.judge.folds", 2, 3), ("attack.judge.kind", "probe", "both"),
    ]  # fmt: skip
    again = RecipeForm(posted(RecipeForm(None, chosen)), chosen)
    assert again.is_valid()
    assert recipes.checked(again.body()) == chosen


@pytest.mark.parametrize("wrong", [{"judge-kind": "oracle"}, {"judge-folds": "1"}, {"judge-epochs": "many"}])
def test_a_judge_that_cannot_be_is_marked_in_the_form(wrong: dict[str, str]) -> None:
    body = recipes.checked(recipes.default())
    form = RecipeForm(posted(RecipeForm(None, body)) | wrong, body)

    assert not form.is_valid()
    assert list(form.judge.errors) == [next(iter(wrong)).removeprefix("judge-")]


def test_a_setting_of_a_few_words_is_a_choice_among_them() -> None:
    kind = fields_of(filters.stages["label-judge"])["kind"]

    assert isinstance(kind, forms.ChoiceField)
    assert [value for value, _ in kind.choices] == ["probe", "guards", "both"]
    assert kind.initial == "probe"


def posted(form: RecipeForm) -> dict[str, Any]:
    """What a browser sends for a form as it stands."""
    data: dict[str, Any] = {}
    for part in (form.options, form.train, form.judge):
        data |= {field.html_name: field.value() for field in part}
    for kind, cards in form.many.items():
        for card in cards:
            data |= {field.html_name: field.value() for field in card.form if field.value() is not None}
            if card.used:
                data[f"use-{kind}-{card.key}"] = "on"
            data[f"copies-{kind}-{card.key}"] = card.copies or ""
    for cards in (form.generator, form.method):
        for card in cards:
            data |= {field.html_name: field.value() for field in card.form if field.value() is not None}
            if card.used:
                data[card.kind] = card.key
    return {name: value for name, value in data.items() if value is not False}


def test_a_stage_that_is_left_out_is_one_difference() -> None:
    fewer = recipes.default()
    fewer["filter"]["filters"] = [one for one in fewer["filter"]["filters"] if one["key"] != "fidelity"]

    assert recipes.differences(recipes.default(), fewer) == [("filter.filters.fidelity.used", True, None)]
    assert len(recipes.differences(fewer, recipes.default())) > 1  # what is new is told with its settings
