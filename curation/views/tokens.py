from __future__ import annotations

from datetime import timedelta
from typing import Any

from django import forms
from django.contrib.auth.decorators import login_required
from django.db.models.functions import Now
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST

from curation.models import PersonalToken
from curation.views import access, once


class TokenForm(forms.Form):
    """A token's name, for whoever reads the list later, and how long it is good."""

    name = forms.CharField(
        max_length=80, widget=forms.TextInput(attrs={"class": "form-control", "autocomplete": "off"})
    )
    days = forms.IntegerField(
        min_value=1, max_value=365, initial=90, label="Days", widget=forms.NumberInput(attrs={"class": "form-control"})
    )
    scopes = forms.MultipleChoiceField(
        label="What it may do", choices=PersonalToken.Scope.choices, initial=[PersonalToken.Scope.REVIEW],
        widget=forms.CheckboxSelectMultiple,
    )  # fmt: skip


@require_http_methods(["GET", "POST"])
@never_cache
@login_required
def index(request: access.UserRequest) -> HttpResponse:
    """One's own tokens. A new one is shown once and never again: only its hash is kept."""
    form = TokenForm(request.POST or None)
    context: dict[str, Any] = {"form": form}
    if request.method == "POST" and form.is_valid():
        until = timezone.now() + timedelta(days=form.cleaned_data["days"])
        values = form.cleaned_data
        secret, made = PersonalToken.objects.issue(request.user, values["name"], values["scopes"], until)
        return once.show(reverse("tokens"), made.pk, secret)
    context["tokens"] = PersonalToken.objects.filter(user=request.user, revoked_at=None)
    if (new := once.take(request)) and (found := context["tokens"].filter(pk=new[0]).first()):
        context |= {"made": found, "secret": new[1]}
    answer = render(request, "account/tokens.html", context, status=422 if form.errors else 200)
    return once.forget(request, answer)


@require_POST
@login_required
def revoke(request: access.UserRequest, pk: int) -> HttpResponse:
    """End one of one's own tokens at once; another's is not there."""
    PersonalToken.objects.filter(user=request.user, pk=pk, revoked_at=None).update(revoked_at=Now())
    return redirect("tokens")
