"""Forms about who is here: invitations, accounts, projects."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib.auth.forms import UserCreationForm
from django.contrib.auth.models import User
from django.core.files.uploadedfile import UploadedFile

from curation.models import PolicyVersion, Project
from curation.operations import invitations, members, policies

CONTROL = {"class": "form-control"}
SHIPPED, UPLOADED = "shipped", "file"


class InvitationForm(forms.Form):
    """For whom, as what, for how long."""

    name = forms.CharField(
        label="Whom", max_length=80, widget=forms.TextInput(attrs={**CONTROL, "autocomplete": "off"}),
        help_text="a name that you know them by; no mail is sent",
    )  # fmt: skip
    role = forms.ChoiceField(label="As", widget=forms.Select(attrs={"class": "form-select"}))
    days = forms.IntegerField(
        label="Good for, in days", min_value=1, max_value=invitations.MOST_DAYS, initial=invitations.DAYS,
        widget=forms.NumberInput(attrs=CONTROL),
    )  # fmt: skip

    def __init__(self, *args: Any, project: Project, by: User, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        roles = [(role.value, role.label) for role in members.grantable(project, by)]
        self.fields["role"].choices = roles  # type: ignore[attr-defined]
        self.fields["role"].initial = "annotator"


class AccountForm(UserCreationForm):  # type: ignore[type-arg]
    """A name and a password for somebody who was invited."""

    class Meta(UserCreationForm.Meta):
        model = User
        fields = ("username",)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for field in self.fields.values():
            field.widget.attrs["class"] = "form-control"


class ProjectForm(forms.Form):
    """A name, and the policy that says what counts as harm."""

    name = forms.CharField(max_length=120, widget=forms.TextInput(attrs={**CONTROL, "autocomplete": "off"}))
    description = forms.CharField(required=False, max_length=500, widget=forms.TextInput(attrs=CONTROL))
    policy = forms.ChoiceField(widget=forms.Select(attrs={"class": "form-select"}))
    file = forms.FileField(
        label="Policy file", required=False,
        widget=forms.ClearableFileInput(attrs={**CONTROL, "accept": ".json,application/json"}),
    )  # fmt: skip
    content_note = forms.CharField(
        label="Note on content", required=False, max_length=2000, widget=forms.Textarea(attrs={**CONTROL, "rows": 3}),
        help_text="shown before the first review: what one will read, and where support is",
    )  # fmt: skip

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        newest = PolicyVersion.objects.select_related("policy").order_by("policy__name", "-number")
        there = [(str(version.pk), str(version)) for version in newest.distinct("policy__name")]
        choices = [*there, (SHIPPED, "The example that comes with Whetstone"), (UPLOADED, "A file of mine")]
        self.fields["policy"].choices = choices  # type: ignore[attr-defined]

    def clean(self) -> dict[str, Any]:
        values = super().clean() or self.cleaned_data
        file: UploadedFile[bytes] | None = values.get("file")
        if values.get("policy") == UPLOADED and file is None and "file" not in self.errors:
            self.add_error("file", "Choose the file that holds your policy.")
        elif file is not None and (file.size or 0) > policies.LARGEST_FILE:
            self.add_error("file", f"A policy file has up to {policies.LARGEST_FILE // 2**20} MB.")
        elif file is not None:
            values["policy"] = UPLOADED  # who chose a file means it
        return values

    def version(self, by: User) -> PolicyVersion:
        """The policy that was chosen, taken in where it is new.

        Raises:
            Refused: the file is no policy.
        """
        chosen = self.cleaned_data["policy"]
        if chosen == SHIPPED:
            return policies.load(policies.SHIPPED)
        if chosen == UPLOADED:
            file = self.cleaned_data["file"]
            return policies.take(file.read(), file.name, by)
        return PolicyVersion.objects.get(pk=chosen)
