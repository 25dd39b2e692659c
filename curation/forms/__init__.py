"""Forms of the site."""

from __future__ import annotations

from typing import Any

from django import forms
from django.conf import settings
from django.core.files.uploadedfile import UploadedFile

from curation.models import Example
from curation.models.example import Label, Split
from curation.operations import demo, imports, intake, recipes

SELECT = forms.Select(attrs={"class": "form-select"})


def _choices(values: Any) -> list[tuple[str, str]]:
    return [("", "All"), *values]


# What a row of the explorer may show beside number and text, and what it shows where nothing is chosen.
COLUMNS = {
    "label": "Label", "category": "Category", "origin": "Origin", "state": "State", "language": "Language",
    "split": "Split", "stage": "Made by", "family": "Family", "created_at": "Since",
}  # fmt: skip
USUAL = ("label", "category", "origin", "state")


class FilterForm(forms.Form):
    """Which examples to list. Only what somebody typed or chose is in the address, never the text of an example."""

    q = forms.CharField(
        label="Search", max_length=200, required=False,
        widget=forms.TextInput(attrs={"class": "form-control", "type": "search", "autocomplete": "off"}),
    )  # fmt: skip
    by = forms.ChoiceField(choices=[("", "Words"), ("meaning", "Meaning")], required=False, widget=SELECT)
    state = forms.ChoiceField(choices=_choices(Example.State.choices), required=False, widget=SELECT)
    label = forms.ChoiceField(choices=_choices(Label.choices), required=False, widget=SELECT)
    origin = forms.ChoiceField(choices=_choices(Example.Origin.choices), required=False, widget=SELECT)
    split = forms.ChoiceField(choices=_choices(Split.choices), required=False, widget=SELECT)
    language = forms.CharField(
        max_length=8, required=False, widget=forms.TextInput(attrs={"class": "form-control", "placeholder": "as en"})
    )
    category = forms.ChoiceField(choices=(), required=False, widget=forms.Select(attrs={"class": "form-select"}))
    flagged = forms.ChoiceField(choices=[("", "All"), ("yes", "Flagged")], label="Flags", required=False, widget=SELECT)
    source = forms.IntegerField(required=False, min_value=1, max_value=2**62, widget=forms.HiddenInput)
    columns = forms.MultipleChoiceField(
        choices=list(COLUMNS.items()),
        required=False,
        widget=forms.CheckboxSelectMultiple,
        help_text="none: the usual ones",
    )

    def __init__(self, *args: Any, categories: dict[str, str], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["category"].choices = _choices(categories.items())  # type: ignore[attr-defined]


class ImportForm(forms.Form):
    """A file of seeds."""

    file = forms.FileField(
        widget=forms.ClearableFileInput(attrs={"class": "form-control", "accept": ",".join(intake.FORMATS)})
    )
    purpose = forms.ChoiceField(
        choices=[(imports.PURPOSES[0], "Training seeds"), (imports.PURPOSES[1], "Held-out evaluation")], widget=SELECT
    )

    def clean_file(self) -> UploadedFile[bytes]:
        file: UploadedFile[bytes] = self.cleaned_data["file"]
        if (file.size or 0) > settings.MAX_IMPORT_BYTES:
            raise forms.ValidationError(
                f"This file has {(file.size or 0) / 2**20:.0f} MB; the browser takes up to "
                f"{settings.MAX_IMPORT_BYTES // 2**20} MB. Use manage.py import_seeds for larger ones."
            )
        return file


class RoundForm(forms.Form):
    """What a lead says about a round; everything else is the default recipe."""

    seeds = forms.IntegerField(
        label="Seeds to write from", min_value=0, max_value=100_000, initial=demo.SEEDS_A_ROUND, help_text="0 takes all"
    )
    copies = forms.IntegerField(
        label="Copies", min_value=1, max_value=20, initial=1, help_text="candidates per seed and stage"
    )
    review = forms.ChoiceField(
        choices=[("people", "People judge"), ("auto", "Filters and judge decide")],
        help_text="what a machine decides stays marked as such",
    )
    adversary = forms.ChoiceField(
        choices=[
            ("grpo", "GRPO: learns against the guard"),
            ("dpo", "DPO: learns from pairs of its own texts"),
            ("best-of-n", "Best of n: no training"),
            ("map-elites", "MAP-Elites: cell by cell, no training"),
            ("", "None"),
        ],
        required=False,
        initial="grpo",
        help_text="looks for what the new guard gets wrong",
    )
    generator = forms.ChoiceField(choices=[("local", "Packaged model"), ("endpoint", "OpenAI-compatible endpoint")])
    url = forms.URLField(
        label="Address of the endpoint", required=False, assume_scheme="https", help_text="up to /v1; else leave empty"
    )
    model = forms.CharField(
        label="Model at the endpoint", required=False, max_length=200, help_text="its name there; else leave empty"
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for field in self.fields.values():
            kind = "form-select" if isinstance(field.widget, forms.Select) else "form-control"
            field.widget.attrs["class"] = kind

    def clean(self) -> dict[str, Any]:
        values = super().clean() or self.cleaned_data
        if values.get("generator") == "endpoint" and not (values.get("url") and values.get("model")):
            raise forms.ValidationError("An endpoint needs its address and the name of a model.")
        return values

    def recipe(self) -> dict[str, Any]:
        """The default recipe with what was chosen."""
        values, body = self.cleaned_data, recipes.default()
        chosen: dict[str, Any] = {"key": values["generator"], "settings": {}}
        if values["generator"] == "endpoint":
            chosen["settings"] = {"url": values["url"], "model": values["model"]}
        body["generate"] |= {"generator": chosen, "seeds": values["seeds"]}
        for entry in (*body["generate"]["augmenters"], *body["generate"]["paraphrasers"]):
            entry["copies"] = values["copies"]
        if values["adversary"]:
            body["attack"]["method"] = {"key": values["adversary"], "settings": {}}
        else:
            body["attack"] = None
        return body
