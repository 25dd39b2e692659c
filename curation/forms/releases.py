"""What a lead says about a release."""

from __future__ import annotations

from typing import Any

from django import forms

from curation.models import Example
from curation.operations.freezing import SOURCES, Selection
from curation.operations.releases import EXTRA
from pipeline.splits import DRAW, KEEP, NAMES, SplitImpossible, SplitRecipe

# Fields that belong together, under one heading with one sentence.
GROUPS = (
    ("What goes in", "What is accepted; whatever you leave open narrows nothing.",
     ("sources", "origins", "least_people", "least_agreement")),
    ("How it is split", "A seed and what was made from it stay together. The shares count where splits are drawn anew.",
     ("splits", "train", "validation", "test")),
    ("Files and card", "What else is written, and what the dataset's card says.", ("extra", "licence", "told")),
)  # fmt: skip
BOXES = forms.CheckboxSelectMultiple


class ReleaseForm(forms.Form):
    """Filter, agreement rule, splits and what the card says. What is left out is as the default has it."""

    sources = forms.MultipleChoiceField(
        label="Labels decided by", required=False, widget=BOXES,
        choices=[("person", "People"), ("machine", "Filters and judge"), ("seed", "The seed")],
    )  # fmt: skip
    origins = forms.MultipleChoiceField(
        label="Origins", required=False, widget=BOXES, choices=Example.Origin.choices, help_text="none takes all"
    )
    least_people = forms.IntegerField(
        label="People behind a label", required=False, min_value=0, max_value=5,
        help_text="at least so many; holds for labels that people decided"
    )  # fmt: skip
    least_agreement = forms.IntegerField(
        label="Their share (%)", required=False, min_value=0, max_value=100,
        help_text="at least, of all people who judged it",
    )  # fmt: skip
    splits = forms.ChoiceField(required=False, choices=[(KEEP, "As they are"), (DRAW, "Drawn anew, by family")])
    train = forms.IntegerField(label="Train (%)", required=False, min_value=0, max_value=100)
    validation = forms.IntegerField(label="Validation (%)", required=False, min_value=0, max_value=100)
    test = forms.IntegerField(
        label="Test (%)", required=False, min_value=0, max_value=100,
        help_text="families held out for measuring stay in test"
    )  # fmt: skip
    extra = forms.MultipleChoiceField(
        label="Also as", required=False, widget=BOXES, choices=list(EXTRA.items()),
        help_text="JSON lines and Parquet are always there",
    )  # fmt: skip
    licence = forms.CharField(required=False, max_length=120, help_text="its name, as CC-BY-4.0")
    told = forms.CharField(
        label="Where the texts come from", required=False, max_length=2000, widget=forms.Textarea(attrs={"rows": 3})
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for field in self.fields.values():
            if not isinstance(field.widget, BOXES):
                kind = "form-select" if isinstance(field.widget, forms.Select) else "form-control"
                field.widget.attrs["class"] = kind

    def groups(self) -> list[tuple[str, str, list[forms.BoundField]]]:
        """The fields as the page shows them."""
        return [(title, lede, [self[name] for name in names]) for title, lede, names in GROUPS]

    def clean(self) -> dict[str, Any]:
        values = super().clean() or self.cleaned_data
        if values.get("splits") == DRAW:
            try:
                self.recipe()
            except SplitImpossible as no:
                raise forms.ValidationError(f"{no.message} {no.remedy}") from None
        return values

    def selection(self) -> Selection:
        """The filter and the agreement rule."""
        values = self.cleaned_data
        return Selection(
            origins=tuple(values["origins"]), sources=tuple(values["sources"]) or SOURCES,
            least_people=values["least_people"] or 0, least_agreement=(values["least_agreement"] or 0) / 100,
        )  # fmt: skip

    def recipe(self) -> SplitRecipe:
        """How it is parted.

        Raises:
            SplitImpossible: the shares do not come to a whole.
        """
        if self.cleaned_data.get("splits") != DRAW:
            return SplitRecipe()
        parts = {name: share / 100 for name in NAMES if (share := self.cleaned_data.get(name))}
        return SplitRecipe(mode=DRAW, parts=parts)

    def about(self) -> dict[str, str]:
        """What the card says of licence and sources."""
        return {"licence": self.cleaned_data["licence"], "sources": self.cleaned_data["told"]}
