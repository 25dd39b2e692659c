"""Forms of guards: the rules for going live, and reasons."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django import forms
from django.db import transaction

from curation.models import AuditEntry, PromotionRules
from curation.operations.guards import LONGEST_REASON

if TYPE_CHECKING:
    from django.contrib.auth.models import User

    OfRules = forms.ModelForm[PromotionRules]
else:
    OfRules = forms.ModelForm

LIMITS = ("sets_loss", "twins_gain", "recall_loss")
CHECKS = ("check_sets", "check_twins", "check_recall")
LABELS = {
    "check_sets": "Not worse on its own set and those of earlier rounds",
    "check_twins": "Not worse on harmless twins of harmful texts",
    "check_recall": "Not worse at 1 % false alarms",
    "sets_loss": "Average precision that it may lose, in points of a hundred",
    "twins_gain": "More harmless twins that it may block, in percentage points",
    "recall_loss": "Harm that it may find less, in percentage points",
}


class PromotionForm(OfRules):
    """The rules of the gate; shares are typed in percent."""

    class Meta:
        model = PromotionRules
        fields = (*CHECKS, *LIMITS)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name in LIMITS:
            widget = forms.NumberInput(attrs={"class": "form-control", "step": "any"})
            self.fields[name] = forms.FloatField(min_value=0, max_value=100, widget=widget)
            self.initial[name] = f"{100 * self.initial[name]:g}"
        for name in CHECKS:
            self.fields[name].widget.attrs["class"] = "form-check-input"
        for name, words in LABELS.items():
            self.fields[name].label = words

    def pairs(self) -> list[tuple[forms.BoundField, forms.BoundField]]:
        """Each rule with how much it allows."""
        return [(self[check], self[limit]) for check, limit in zip(CHECKS, LIMITS, strict=True)]

    def clean(self) -> dict[str, Any]:
        values = super().clean() or self.cleaned_data
        for name in LIMITS:
            if values.get(name) is not None:
                values[name] = values[name] / 100
        return values

    def keep(self, by: User) -> None:
        """Save the rules, and note who changed what from what."""
        before = PromotionRules.objects.get(pk=self.instance.pk)
        names = (*CHECKS, *LIMITS)
        detail = {name: [old, new] for name in names
                  if (old := getattr(before, name)) != (new := getattr(self.instance, name))}  # fmt: skip
        with transaction.atomic():
            self.instance.changed_by = by
            self.save()
            if detail:
                action = "promotion-rules-changed"
                AuditEntry.objects.create(project=before.project, actor=by, action=action, detail=detail)


class ReasonForm(forms.Form):
    """Why, in a person's words."""

    reason = forms.CharField(
        required=False, max_length=LONGEST_REASON,
        widget=forms.Textarea(attrs={"class": "form-control", "rows": 3, "maxlength": LONGEST_REASON}),
    )  # fmt: skip
