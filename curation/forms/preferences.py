"""What a person chooses for the desk. Empty means: as the project has it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django import forms
from django.conf import settings
from django.utils.translation import gettext_lazy as _

from curation import keymap
from curation.models import OptOut, Preferences, Project

if TYPE_CHECKING:
    from django.contrib.auth.models import User
    from django_stubs_ext import StrPromise

    OfPreferences = forms.ModelForm[Preferences]
else:
    OfPreferences = forms.ModelForm  # Django's own class takes no parameter

SELECT = {"class": "form-select"}
NUMBER = {"class": "form-control", "inputmode": "numeric", "placeholder": _("As the project has it")}


@dataclass(frozen=True)
class KeyLine:
    """One act on the settings page: its words and the field of its key."""

    label: str | StrPromise
    field: forms.BoundField


class PreferencesForm(OfPreferences):
    """One field a key, one a category that the person does not want to read, and the choices of the model."""

    class Meta:
        model = Preferences
        fields = (
            "key_mode", "theme", "language", "veil_severity", "mask_words", "muted", "spacious", "break_after_minutes",
            "daily_budget_minutes", "severe_in_row", "severe_per_day",
        )  # fmt: skip
        widgets = {
            "break_after_minutes": forms.NumberInput(attrs=NUMBER | {"min": 0, "max": 480}),
            "daily_budget_minutes": forms.NumberInput(attrs=NUMBER | {"min": 0, "max": 1440}),
            "severe_in_row": forms.NumberInput(attrs=NUMBER | {"min": 0, "max": 100}),
            "severe_per_day": forms.NumberInput(attrs=NUMBER | {"min": 0, "max": 10_000}),
        }

    key_mode = forms.ChoiceField(
        label=_("Keys"), widget=forms.Select(attrs=SELECT),
        choices=[("letters", _("Letters alone")), ("alt", _("Letters together with Alt")), ("off", _("Off"))],
    )  # fmt: skip
    theme = forms.ChoiceField(
        label=_("Theme"), widget=forms.Select(attrs=SELECT),
        choices=[("system", _("As the system has it")), ("light", _("Light")), ("dark", _("Dark")),
                 ("contrast", _("High contrast"))],
    )  # fmt: skip
    language = forms.ChoiceField(
        label=_("Language"), required=False, widget=forms.Select(attrs=SELECT),
        choices=[("", _("As the browser asks")), *settings.LANGUAGES],
    )  # fmt: skip
    veil_severity = forms.TypedChoiceField(
        label=_("Veil texts"), required=False, coerce=int, empty_value=None, widget=forms.Select(attrs=SELECT),
        choices=[("", _("As the project has it")), (1, _("All of a category")), (2, _("From severity 2")),
                 (3, _("From severity 3")), (4, _("Severity 4 only")), (5, _("Never"))],
    )  # fmt: skip

    def __init__(self, *args: Any, user: User, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.user = user
        ours = keymap.keys(self.instance.keymap)
        for act in keymap.ACTS:
            self.fields[f"key-{act.name}"] = forms.CharField(
                label=act.label, required=False, max_length=1, initial=ours[act.name].upper(), widget=_key_input(act),
            )  # fmt: skip
        self.projects = list(Project.objects.reviewed_by(user).select_related("policy_version").order_by("name"))
        out = set(OptOut.objects.filter(user=user).values_list("project", "category"))
        for project in self.projects:
            self.fields[f"skip-{project.pk}"] = forms.MultipleChoiceField(
                label=project.name, required=False, choices=list(project.category_names().items()),
                widget=forms.CheckboxSelectMultiple, initial=[key for pk, key in out if pk == project.pk],
            )  # fmt: skip

    def key_lines(self) -> list[KeyLine]:
        """The fields of the keys, in the order of the help sheet."""
        return [KeyLine(act.label, self[f"key-{act.name}"]) for act in keymap.ACTS]

    def opt_out_fields(self) -> list[forms.BoundField]:
        """One field a project: categories that do not come up."""
        return [self[f"skip-{project.pk}"] for project in self.projects]

    def clean(self) -> dict[str, Any]:
        values = super().clean() or self.cleaned_data
        chosen = {act.name: str(values.get(f"key-{act.name}", "")).strip() for act in keymap.ACTS}
        try:
            self.instance.keymap = keymap.check(chosen)
        except keymap.BadKeymap as bad:
            self.add_error(f"key-{bad.act}", str(bad))
        return values

    def save(self, commit: bool = True) -> Preferences:
        self.instance.user = self.user
        preferences = super().save(commit)
        for project in self.projects:
            _opt_out(self.user, project, self.cleaned_data[f"skip-{project.pk}"])
        return preferences


def _key_input(act: keymap.Act) -> forms.TextInput:
    return forms.TextInput(
        attrs={
            "class": "form-control", "size": 1, "autocomplete": "off", "autocapitalize": "none", "spellcheck": "false",
            "data-key-for": act.name, "data-ours": act.key,
        }
    )  # fmt: skip


def _opt_out(user: User, project: Project, categories: list[str]) -> None:
    """Make the person's opt-outs of one project what the form says."""
    mine = OptOut.objects.filter(user=user, project=project)
    mine.exclude(category__in=categories).delete()
    new = [OptOut(user=user, project=project, category=category) for category in categories]
    OptOut.objects.bulk_create(new, ignore_conflicts=True)
