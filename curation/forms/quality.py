"""Forms of adjudication and of known questions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django import forms

from curation.models import Adjudication, Example, GoldQuestion, Project
from curation.models.example import MAX_TEXT, Label
from curation.operations import gold

if TYPE_CHECKING:
    from django.contrib.auth.models import User

ANSWERS = (("safe", "Safe"), ("unsafe", "Unsafe"), ("reject", "Reject: should not be in the dataset"))
CONFIDENCE = ((1, "Unsure"), (2, "Fairly sure"), (3, "Sure"))


class SettleForm(forms.Form):
    """The verdict that settles a case, and why people disagreed, where they did."""

    label = forms.ChoiceField(choices=ANSWERS, widget=forms.RadioSelect, label="What holds")
    categories = forms.MultipleChoiceField(required=False, widget=forms.CheckboxSelectMultiple)
    cause = forms.ChoiceField(choices=Adjudication.Cause.choices, widget=forms.RadioSelect, label="Why they disagreed")
    confidence = forms.TypedChoiceField(
        choices=CONFIDENCE, coerce=int, initial=2, widget=forms.RadioSelect, label="How sure you are"
    )
    note = forms.CharField(
        required=False, max_length=500, label="Note for the reviewers",
        widget=forms.Textarea(attrs={"class": "form-control", "rows": 2}),
    )  # fmt: skip

    def __init__(self, *args: Any, categories: dict[str, str], disagreed: bool = True, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if not disagreed:
            del self.fields["cause"]
        self.fields["categories"].choices = list(categories.items())  # type: ignore[attr-defined]

    def clean(self) -> dict[str, Any]:
        values = super().clean() or self.cleaned_data
        values["label"] = _meant(values.get("label"))
        if values["label"] == Label.UNSAFE and not values.get("categories"):
            self.add_error("categories", "An unsafe example needs at least one category.")
        return values


def _meant(answer: str | None) -> str:
    """A label; nothing where the text is to be rejected."""
    return answer if answer in Label.values else ""


class TakeForm(forms.Form):
    """How many known questions to make of agreed examples."""

    wanted = forms.IntegerField(
        label="How many", min_value=1, max_value=500, initial=20,
        widget=forms.NumberInput(attrs={"class": "form-control"}),
    )  # fmt: skip


class GoldForm(forms.Form):
    """A known question: of an example, or of a text that the lead writes."""

    example = forms.IntegerField(
        required=False, min_value=1, max_value=2**62, label="Number of an example",
        widget=forms.NumberInput(attrs={"class": "form-control"}), help_text="a decided one; or write a text below",
    )  # fmt: skip
    text = forms.CharField(
        required=False, max_length=MAX_TEXT, widget=forms.Textarea(attrs={"class": "form-control", "rows": 3}),
        help_text="a short question or a mild remark is enough to see whether somebody reads",
    )  # fmt: skip
    shown_label = forms.ChoiceField(
        choices=Label.choices, label="What the desk proposes", widget=forms.RadioSelect, initial=Label.SAFE,
        help_text="for a written text; a wrong proposal shows who approves without reading",
    )  # fmt: skip
    shown_categories = forms.MultipleChoiceField(
        required=False, widget=forms.CheckboxSelectMultiple, label="Categories"
    )
    label = forms.ChoiceField(choices=ANSWERS, label="The right answer", widget=forms.RadioSelect)
    categories = forms.MultipleChoiceField(required=False, widget=forms.CheckboxSelectMultiple, label="Categories")
    explanation = forms.CharField(
        required=False, max_length=1000, widget=forms.Textarea(attrs={"class": "form-control", "rows": 2}),
        help_text="told after the answer, where the project gives feedback, and after an exam",
    )  # fmt: skip

    def __init__(self, *args: Any, project: Project, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.project = project
        for name in ("categories", "shown_categories"):
            self.fields[name].choices = list(project.category_names().items())  # type: ignore[attr-defined]

    def clean_example(self) -> Example | None:
        wanted = self.cleaned_data["example"]
        found = self.project.examples.filter(pk=wanted).first() if wanted else None
        if wanted and found is None:
            raise forms.ValidationError(f"This project has no example {wanted}.")
        return found

    def clean(self) -> dict[str, Any]:
        values = super().clean() or self.cleaned_data
        if "example" in values and bool(values["example"]) == bool(values.get("text")):
            self.add_error("text", "Give the number of an example or write a text, one of the two.")
        for label, categories in (("label", "categories"), ("shown_label", "shown_categories")):
            if values.get(label) == Label.UNSAFE and not values.get(categories):
                self.add_error(categories, "An unsafe text needs at least one category.")
        return values

    def save(self, by: User) -> GoldQuestion:
        """Make the question.

        Raises:
            Refused: the example cannot be one, or the text is there already.
        """
        values = self.cleaned_data
        label = _meant(values["label"])
        right = (label, values["categories"] if label == Label.UNSAFE else [])
        if values["example"]:
            return gold.add(self.project, by, values["example"], *right, values["explanation"])
        shown = (values["shown_label"], values["shown_categories"] if values["shown_label"] == Label.UNSAFE else [])
        return gold.write(self.project, by, values["text"], shown, right, values["explanation"])
