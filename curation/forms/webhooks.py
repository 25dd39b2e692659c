"""Forms of the page about webhooks."""

from __future__ import annotations

from django import forms

from curation.models import Webhook


class WebhookForm(forms.Form):
    """A new address."""

    url = forms.URLField(
        label="Address", max_length=500, assume_scheme="https", help_text="public, such as https://example.org/hook",
        widget=forms.URLInput(attrs={"class": "form-control", "autocomplete": "off"}),
    )  # fmt: skip
    families = forms.MultipleChoiceField(
        label="What it is told", choices=Webhook.Family.choices, initial=list(Webhook.Family.values),
        widget=forms.CheckboxSelectMultiple,
    )  # fmt: skip
