"""Signing in, and what a person chose for themselves."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from axes.models import AccessAttempt
from django.conf import settings as site
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.contrib.auth.models import User
from django.contrib.auth.views import LoginView, PasswordChangeView
from django.db.models import Max
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse, reverse_lazy
from django.utils import timezone
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext as _
from django.utils.translation import override
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods
from django.views.i18n import JavaScriptCatalog

from curation import keymap
from curation.forms.preferences import PreferencesForm
from curation.models import Preferences
from curation.operations import desk
from curation.people import address_of
from curation.views import access

YEAR = 365 * 24 * 3600  # seconds
# The scripts' words. The address names the language, so a browser may keep the answer for the visit.
words = JavaScriptCatalog.as_view(packages=["curation"])


class SignIn(LoginView):
    """Sign in, and let the browser know the person's language and theme."""

    redirect_authenticated_user = True

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        return super().get_context_data(**kwargs) | {"nobody": not User.objects.exists()}

    def form_valid(self, form: Any) -> HttpResponse:
        response = super().form_valid(form)
        _remember(response, desk.preferences_of(form.get_user()))
        return response


class Password(PasswordChangeView):
    """Change one's own password. Every other session of the person ends with the old one."""

    template_name = "account/password.html"
    success_url = reverse_lazy("settings")

    def get_form(self, form_class: Any = None) -> Any:
        form = super().get_form(form_class)
        for field in form.fields.values():
            field.widget.attrs["class"] = "form-control"
        return form

    def form_valid(self, form: Any) -> HttpResponse:
        messages.success(self.request, _("Your password is changed, and you are signed out everywhere else."))
        return super().form_valid(form)


def locked(request: HttpRequest, response: HttpResponse | None, credentials: Mapping[str, Any]) -> HttpResponse:
    """The sign-in page for whoever failed too often: when to try again. django-axes calls it in place of the view."""
    tried = AccessAttempt.objects.filter(username=credentials.get("username"), ip_address=address_of(request))
    last = tried.aggregate(last=Max("attempt_time"))["last"] or timezone.now()
    left = last + site.AXES_COOLOFF_TIME - timezone.now()
    seconds = max(1, math.ceil(left.total_seconds()))
    context = {"minutes": math.ceil(seconds / 60), "next": request.POST.get("next", "")}
    answer = render(request, "registration/login.html", context, status=429)
    answer["Retry-After"] = str(seconds)
    return answer


def _remember(response: HttpResponse, chosen: Preferences) -> None:
    """Keep theme and language in the browser: pages outside any project, and signed-out ones, follow them too."""
    theme = "" if chosen.theme == Preferences.Theme.SYSTEM else chosen.theme
    for name, value in (("theme", theme), (site.LANGUAGE_COOKIE_NAME, chosen.language)):
        if value:
            # The theme toggle writes its cookie from a script, so that one cannot be HttpOnly.
            response.set_cookie(name, value, max_age=YEAR, samesite="Lax", secure=site.BEHIND_TLS)
        else:
            response.delete_cookie(name, samesite="Lax")


@require_http_methods(["GET", "POST"])
@never_cache
@login_required
def settings(request: access.UserRequest) -> HttpResponse:
    """Keys, look, language and what one wants to read: for oneself, over what projects have as default."""
    chosen = desk.preferences_of(request.user)
    form = PreferencesForm(request.POST or None, instance=chosen, user=request.user)
    back = _back(request)
    if request.method == "POST" and form.is_valid():
        form.save()
        with override(chosen.language or None):
            messages.success(request, _("Your settings are saved."))
        response = redirect(f"{reverse('settings')}?next={quote(back)}")
        _remember(response, chosen)
        return response
    context = {"form": form, "back": back, "key_fields": form.key_lines(), "signs": " ".join(sorted(keymap.SIGNS))}
    return render(request, "account/settings.html", context, status=422 if form.errors else 200)


def _back(request: access.UserRequest) -> str:
    """Where the person came from; never another site."""
    wanted = request.GET.get("next", "")
    safe = url_has_allowed_host_and_scheme(wanted, {request.get_host()}, require_https=request.is_secure())
    return wanted if safe else reverse("home")
