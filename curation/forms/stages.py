"""Forms that are made of the stages' own dataclasses: a new stage has its form by being registered."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, is_dataclass
from functools import lru_cache
from typing import Any, Literal, get_args, get_origin

from django import forms

from classifier.config import BOUNDS, TrainSettings
from curation.models import Plan, Project
from curation.models.example import Label
from curation.operations import plans, recipes
from curation.operations.recipes import MOST_COPIES, MOST_SEEDS, MOST_WANTED
from pipeline.judging import LIMITS, Judging
from pipeline.registry import Registry

COMMENT = re.compile(r"^ {4}(\w+)\s*:[^#\n]*#\s*(.+)$", re.MULTILINE)
FIRST = ("epochs", "folds", "learning_rate", "batch_size", "max_length", "budget_minutes", "target_fpr")  # of training
LABELS = {"kind": "Judged by"}  # where the setting's own name says too little to a lead
MANY = {"augmenters": "generate", "paraphrasers": "generate", "filters": "filter"}
Fields = dict[str, forms.Field]


@lru_cache(maxsize=64)
def remarks(stage: type) -> dict[str, str]:
    """What stands beside each setting in the source of a stage or of what it is made from: the reason for its value."""
    sources = [inspect.getsource(one) for one in reversed(stage.__mro__) if is_dataclass(one)]
    return dict(pair for source in sources for pair in COMMENT.findall(source))


def fields_of(stage: type, bounds: Mapping[str, tuple[float, float]] = {}) -> Fields:
    """A form field for each setting of a stage that has one of the simple types, or is one of a few words."""
    made: Fields = {}
    start = recipes.defaults(stage)
    for name, kind in recipes.kinds(stage).items():
        if kind in recipes.WORDS or get_origin(kind) is Literal:
            help_text = remarks(stage).get(name, "")
            made[name] = _field(kind, start.get(name), help_text, bounds.get(name, (None, None)))
            made[name].label = LABELS.get(name) or name.replace("_", " ").capitalize()
    return made


def _field(kind: Any, initial: Any, help_text: str, bounds: tuple[Any, Any]) -> forms.Field:
    common: dict[str, Any] = {"initial": initial, "help_text": help_text, "required": False}
    if kind is bool:
        return forms.BooleanField(**common, widget=forms.CheckboxInput(attrs={"class": "form-check-input"}))
    if kind is str:
        return forms.CharField(**common, max_length=300, widget=forms.TextInput(attrs={"class": "form-control"}))
    if get_origin(kind) is Literal:
        choices = [(one, one) for one in get_args(kind)]
        return forms.ChoiceField(**common, choices=choices, widget=forms.Select(attrs={"class": "form-select"}))
    low, high = bounds
    widget = forms.NumberInput(attrs={"class": "form-control", "step": "1" if kind is int else "any"})
    number = forms.IntegerField if kind is int else forms.FloatField
    return number(**common, min_value=low, max_value=high, widget=widget)


class StageForm(forms.Form):
    """The settings of one stage. What is left empty stays as the stage has it."""

    def __init__(self, data: Any, stage: type, *, prefix: str, given: Mapping[str, Any], **more: Any) -> None:
        super().__init__(data, prefix=prefix, initial=dict(given))
        self.stage = stage
        self.fields.update(fields_of(stage, more.get("bounds", {})))

    def settings(self) -> dict[str, Any]:
        """What was typed, with the defaults for what was left empty."""
        start = recipes.defaults(self.stage)
        return {name: start.get(name) if value in (None, "") else value for name, value in self.cleaned_data.items()}


@dataclass
class Card:
    """One stage as the page shows it: whether it is used, how often, and its settings."""

    kind: str
    key: str
    help: str
    used: bool
    copies: int | None
    form: StageForm

    @property
    def name(self) -> str:
        return f"{self.kind}-{self.key}"


class RecipeForm:
    """All stages of a recipe with their forms; `body()` gives the recipe back."""

    def __init__(self, data: Any, body: dict[str, Any]) -> None:
        self.data, self.before = data, body
        parts = {kind: (body.get(part) or {}).get(kind) or [] for kind, part in MANY.items()}
        self.many = {kind: self._cards(kind, {one["key"]: one for one in given}) for kind, given in parts.items()}
        writer = (body.get("generate") or {}).get("generator") or {"key": "local"}
        method = (body.get("attack") or {}).get("method") or {}
        self.generator = self._cards("generator", {writer["key"]: writer})
        self.method = self._cards("method", {method["key"]: method} if method else {})
        self.train = StageForm(data, TrainSettings, prefix="train", given=body.get("train") or {}, bounds=BOUNDS)
        judge = (body.get("attack") or {}).get("judge") or {}
        self.judge = StageForm(data, Judging, prefix="judge", given=judge, bounds=LIMITS)
        self.options = Options(data, initial=_options(body))

    def _cards(self, kind: str, given: Mapping[str, dict[str, Any]]) -> list[Card]:
        registry: Registry = recipes.STAGES[kind]
        return [self._card(kind, registry, key, given.get(key)) for key in registry.stages]

    def _card(self, kind: str, registry: Registry, key: str, entry: dict[str, Any] | None) -> Card:
        form = StageForm(
            self.data, registry.stages[key], prefix=f"{kind}-{key}", given=(entry or {}).get("settings") or {}
        )
        used, copies = entry is not None, int((entry or {}).get("copies", 1))
        if self.data is not None:
            used = self.data.get(kind) == key if kind not in MANY else f"use-{kind}-{key}" in self.data
            typed = str(self.data.get(f"copies-{kind}-{key}", ""))
            copies = int(typed) if re.fullmatch(r"\d{1,4}", typed) else 1
        return Card(kind, key, registry.help(key), used, copies if MANY.get(kind) == "generate" else None, form)

    @property
    def attacks(self) -> bool:
        """Whether a method of attack is chosen."""
        return any(card.used for card in self.method)

    def train_fields(self) -> tuple[list[forms.BoundField], list[forms.BoundField]]:
        """Those that one sets often, and the rest."""
        return [self.train[name] for name in FIRST], [field for field in self.train if field.name not in FIRST]

    def _every(self) -> Iterator[Card]:
        for cards in (*self.many.values(), self.generator, self.method):
            yield from (card for card in cards if card.used)

    def is_valid(self) -> bool:
        """Whether every stage that is used has values of the right kind."""
        every = [self.options, self.train, self.judge, *(card.form for card in self._every())]
        return not [form for form in every if not form.is_valid()]  # every one, so that all faults are marked

    def body(self) -> dict[str, Any]:
        """The recipe as it was chosen. Whether it can be run is for `recipes.checked` to say."""
        chosen = {kind: [_entry(card) for card in cards if card.used] for kind, cards in self.many.items()}
        writer = next((_entry(card) for card in self.generator if card.used), {"key": "local"})
        method = next((_entry(card) for card in self.method if card.used), None)
        typed, old = self.options.cleaned_data, self.before
        writes = {**(old.get("generate") or {}), **{kind: chosen[kind] for kind in ("augmenters", "paraphrasers")}}
        attack = {**(old.get("attack") or {}), "method": method, "generator": writer, "judge": self.judge.settings()}
        attack |= {name: typed[name] for name in ("wanted", "pairs")}
        languages = typed["languages"].replace(",", " ").split() or ["en"]
        trained = self.train.settings()
        extra = {name: value for name, value in (old.get("train") or {}).items() if name not in trained}
        return {
            "name": typed["name"].strip(),
            "generate": {**writes, "generator": writer} if writes["augmenters"] or writes["paraphrasers"] else None,
            "filter": {**(old.get("filter") or {}), "filters": chosen["filters"], "languages": languages},
            "train": {**extra, **trained}, "attack": attack if method else None,
        }  # fmt: skip


def _entry(card: Card) -> dict[str, Any]:
    return {"key": card.key, "settings": card.form.settings()} | ({"copies": card.copies} if card.copies else {})


def _options(body: dict[str, Any]) -> dict[str, Any]:
    languages = (body.get("filter") or {}).get("languages") or ["en"]
    attack = body.get("attack") or recipes.default()["attack"]
    chosen = {"wanted": attack.get("wanted", 40), "pairs": attack.get("pairs", 0)}
    return {"name": body.get("name", ""), "languages": " ".join(languages), **chosen}


class Options(forms.Form):
    """What a recipe says beside its stages."""

    name = forms.CharField(max_length=80, widget=forms.TextInput(attrs={"class": "form-control"}))
    languages = forms.CharField(
        required=False, max_length=120, help_text="codes such as en de",
        widget=forms.TextInput(attrs={"class": "form-control"}),
    )  # fmt: skip
    wanted = forms.IntegerField(
        label="Finds wanted", min_value=1, max_value=MOST_WANTED, widget=forms.NumberInput({"class": "form-control"})
    )
    pairs = forms.IntegerField(
        label="Contrast pairs wanted", min_value=0, max_value=MOST_WANTED, help_text="of the catalogue, 0 for none",
        widget=forms.NumberInput({"class": "form-control"}),
    )  # fmt: skip


class SourceForm(forms.Form):
    """What a round writes from."""

    seeds = forms.IntegerField(
        label="Seeds to write from", min_value=0, max_value=MOST_SEEDS, help_text="0 takes all that fit",
        widget=forms.NumberInput(attrs={"class": "form-control"}),
    )  # fmt: skip
    label = forms.ChoiceField(
        choices=[("", "Both labels"), *Label.choices], required=False,
        widget=forms.Select(attrs={"class": "form-select"}),
    )  # fmt: skip
    languages = forms.CharField(
        required=False, max_length=120, help_text="codes such as en de; empty takes any",
        widget=forms.TextInput(attrs={"class": "form-control"}),
    )  # fmt: skip
    categories = forms.MultipleChoiceField(
        required=False, help_text="none takes all", widget=forms.CheckboxSelectMultiple
    )

    def __init__(self, *args: Any, project: Project, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        forbidden = set(project.policy_version.forbidden_keys())
        allowed = [(key, name) for key, name in project.category_names().items() if key not in forbidden]
        self.fields["categories"].choices = allowed  # type: ignore[attr-defined]

    def into(self, plan: Plan) -> None:
        """Put the source into a plan's recipe."""
        values = self.cleaned_data
        source = {
            "label": values["label"],
            "categories": values["categories"],
            "languages": values["languages"].split(),
        }
        part = {**plan.recipe["generate"], "seeds": values["seeds"], "source": source}
        plans.change(plan, {**plan.recipe, "generate": part})


class LaunchForm(forms.ModelForm):  # type: ignore[type-arg]
    """Who reviews, and what an hour costs."""

    class Meta:
        model = Plan
        fields = ("review", "machine_price", "person_price")
        widgets = {
            "review": forms.Select(attrs={"class": "form-select"}),
            "machine_price": forms.NumberInput(attrs={"class": "form-control", "step": "any", "min": 0}),
            "person_price": forms.NumberInput(attrs={"class": "form-control", "step": "any", "min": 0}),
        }
        labels = {"machine_price": "An hour of the machine costs", "person_price": "An hour of a reviewer costs"}


class FileForm(forms.Form):
    """A recipe as YAML."""

    file = forms.FileField(
        widget=forms.ClearableFileInput(attrs={"class": "form-control", "accept": ".yaml,.yml,.json"})
    )


__all__ = ["MOST_COPIES", "FileForm", "LaunchForm", "RecipeForm", "SourceForm"]
