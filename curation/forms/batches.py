"""The form that cuts a batch."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib.auth.models import User

from curation.models import Example, Project, ReviewRules
from curation.models.example import Label
from curation.models.project import REVIEWERS
from curation.operations import batches


class BatchForm(forms.Form):
    """Which part of the queue, and for whom. A person with neither weight nor number gets nothing."""

    name = forms.CharField(max_length=120)
    count = forms.IntegerField(
        label="At most", min_value=1, max_value=batches.LARGEST, initial=500, help_text="the first in the queue's order"
    )
    round = forms.TypedChoiceField(required=False, coerce=int, empty_value=None)
    origin = forms.ChoiceField(required=False, choices=[("", "Any"), *Example.Origin.choices])
    label = forms.ChoiceField(required=False, choices=[("", "Any"), *Label.choices], label="Proposed label")
    category = forms.ChoiceField(required=False, label="Proposed category")
    language = forms.CharField(required=False, max_length=8, help_text="as en; empty takes any")
    overlap = forms.IntegerField(
        required=False, min_value=1, max_value=5, label="Verdicts each", help_text="empty: as the project's rules say"
    )
    order = forms.ChoiceField(required=False, choices=[("", "As the project's rules say"), *ReviewRules.Order.choices])

    def __init__(self, *args: Any, project: Project, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        rounds = project.rounds.order_by("-number").values_list("number", flat=True)
        self.fields["round"].choices = [("", "Any"), *((n, f"Round {n}") for n in rounds)]  # type: ignore[attr-defined]
        self.fields["category"].choices = [("", "Any"), *project.category_names().items()]  # type: ignore[attr-defined]
        for field in self.fields.values():
            kind = "form-select" if isinstance(field.widget, forms.Select) else "form-control"
            field.widget.attrs["class"] = kind
        self.people = list(
            User.objects.filter(memberships__project=project, memberships__role__in=REVIEWERS, is_active=True)
            .order_by("username").distinct()
        )  # fmt: skip
        for person in self.people:
            self._add(f"weight-{person.pk}", f"Weight of {person.username}", 100)
            self._add(f"quota-{person.pk}", f"Number for {person.username}", batches.LARGEST)

    def _add(self, name: str, label: str, most: int) -> None:
        widget = forms.NumberInput(attrs={"class": "form-control", "aria-label": label})
        self.fields[name] = forms.IntegerField(required=False, min_value=1, max_value=most, label=label, widget=widget)

    def rows(self) -> list[tuple[User, Any, Any]]:
        """Each person with their two fields."""
        return [(person, self[f"weight-{person.pk}"], self[f"quota-{person.pk}"]) for person in self.people]

    def filter(self) -> dict[str, Any]:
        """The columns that were chosen."""
        return {name: value for name in batches.COLUMNS if (value := self.cleaned_data.get(name))}

    def shares(self) -> list[batches.Share]:
        """What each person gets; a number goes before a weight."""
        values, found = self.cleaned_data, []
        for person in self.people:
            weight, quota = values[f"weight-{person.pk}"], values[f"quota-{person.pk}"]
            if weight or quota:
                found.append(batches.Share(person, weight or 1, quota))
        return found
