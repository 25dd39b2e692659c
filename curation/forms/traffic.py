"""Forms of the page about live traffic."""

from __future__ import annotations

from typing import Any

from django import forms

from curation.models import Guard, Project, Traffic
from curation.models.traffic import DEFAULT_QUOTA

CONTROL = {"class": "form-control"}


class KeyForm(forms.Form):
    """A new key."""

    name = forms.CharField(
        label="What will use it", max_length=80, widget=forms.TextInput(attrs={**CONTROL, "autocomplete": "off"})
    )
    quota = forms.IntegerField(
        label="Texts a minute", min_value=1, max_value=1_000_000, initial=DEFAULT_QUOTA,
        widget=forms.NumberInput(attrs=CONTROL),
    )  # fmt: skip


class TrafficForm(forms.Form):
    """What is kept of live traffic."""

    shadow = forms.ModelChoiceField(
        queryset=Guard.objects.none(),
        required=False,
        empty_label="None",
        widget=forms.Select(attrs={"class": "form-select"}),
    )
    percent = forms.FloatField(
        label="Sample, in percent",
        min_value=0,
        max_value=100,
        widget=forms.NumberInput(attrs={**CONTROL, "step": "any"}),
    )
    daily_limit = forms.IntegerField(
        label="At most, a day", min_value=0, max_value=100_000, widget=forms.NumberInput(attrs=CONTROL)
    )

    def __init__(self, data: Any = None, *, project: Project, traffic: Traffic) -> None:
        initial = {
            "shadow": traffic.shadow_id,
            "percent": f"{traffic.sample * 100:g}",
            "daily_limit": traffic.daily_limit,
        }
        super().__init__(data, initial=initial)
        may = project.guards.exclude(state__in=[Guard.State.ACTIVE, Guard.State.TRAINED])
        self.fields["shadow"].queryset = may.order_by("-number")  # type: ignore[attr-defined]
