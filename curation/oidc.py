"""Signing in through a company's own OpenID Connect: allauth speaks with the provider, here is said who gets in.

Whoever came this way before, whose confirmed address an account has, or who holds an invitation. Nobody else.
"""

from __future__ import annotations

import re
from typing import Any

from allauth.core.exceptions import ImmediateHttpResponse
from allauth.socialaccount.adapter import DefaultSocialAccountAdapter
from django.conf import settings
from django.contrib import messages
from django.contrib.auth import login
from django.contrib.auth.models import User
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext as _

from curation.models import Invitation
from curation.operations import Refused, invitations
from curation.people import BACKEND

INVITED = "invited"  # of the session: the invitation that a browser came with


def name() -> str:
    """What the provider is called; nothing where none is named."""
    providers: Any = settings.SOCIALACCOUNT_PROVIDERS
    apps = providers["openid_connect"]["APPS"]
    return str(apps[0]["name"]) if apps else ""


def expect(request: HttpRequest, invitation: Invitation) -> None:
    """Keep for this browser that it came with an invitation, where it could go in by the provider."""
    if name():
        request.session[INVITED] = invitation.pk


class Adapter(DefaultSocialAccountAdapter):  # type: ignore[misc]
    """Ends allauth's own way as soon as it knows whom the provider vouches for."""

    def pre_social_login(self, request: HttpRequest, sociallogin: Any) -> None:
        try:
            raise ImmediateHttpResponse(_enter(request, sociallogin))
        except Refused as no:
            raise ImmediateHttpResponse(_back(request, str(no))) from None

    def on_authentication_error(self, request: HttpRequest, *_args: Any, **_more: Any) -> None:
        words = _("%(name)s did not sign you in. Try again, or sign in with your password.") % {"name": name()}
        raise ImmediateHttpResponse(_back(request, words))


def _back(request: HttpRequest, words: str) -> HttpResponse:
    messages.error(request, words)
    return redirect("login")


def _enter(request: HttpRequest, sociallogin: Any) -> HttpResponse:
    invitation = Invitation.objects.open().filter(pk=request.session.pop(INVITED, None)).first()
    with transaction.atomic():
        known = sociallogin.user if sociallogin.is_existing else _known(sociallogin)
        user = known or _new(sociallogin, invitation)
        if not user.is_active:
            raise Refused(_("This account may not sign in any more."), _("Ask whoever runs this site."))
        if not sociallogin.is_existing:
            sociallogin.connect(request, user)
    login(request, user, backend=BACKEND)
    if known and invitation:
        _join(request, invitation, user)
    return redirect(_place(request, sociallogin, invitation))


def _join(request: HttpRequest, invitation: Invitation, user: User) -> None:
    try:
        invitations.join(invitation, user)
    except Refused as no:
        messages.error(request, str(no))


def _place(request: HttpRequest, sociallogin: Any, invitation: Invitation | None) -> str:
    if invitation and invitation.project:
        return f"/p/{invitation.project.slug}/"
    wanted = sociallogin.get_redirect_url(request) or ""
    safe = url_has_allowed_host_and_scheme(wanted, {request.get_host()}, require_https=request.is_secure())
    return wanted if safe else "/"


def _confirmed(sociallogin: Any) -> list[str]:
    return [one.email for one in sociallogin.email_addresses if one.verified and one.email]


def _known(sociallogin: Any) -> User | None:
    """The one account that has an address which the provider has confirmed."""
    found = [user for email in _confirmed(sociallogin) for user in User.objects.filter(email__iexact=email)]
    return found[0] if len(found) == 1 else None


def _new(sociallogin: Any, invitation: Invitation | None) -> User:
    """An account without a password for who was invited, under the name that the provider says or one like it.

    Raises:
        Refused: nobody invited them.
    """
    if invitation is None:
        raise Refused(_("You are known to %(name)s, but not here.") % {"name": name()}, _("Ask for an invitation."))
    email = next(iter(_confirmed(sociallogin)), "")
    user = User(username=_free(sociallogin.user.username or email.partition("@")[0]), email=email)
    user.set_unusable_password()
    invitations.register(invitation, user)
    return user


def _free(said: str) -> str:
    wanted = re.sub(r"[^\w.@+-]", "", said)[:140] or "person"
    like = User.objects.filter(username__istartswith=wanted).values_list("username", flat=True)
    taken = {username.lower() for username in like}
    names = (wanted, *(f"{wanted}{number}" for number in range(2, len(taken) + 2)))
    return next(one for one in names if one.lower() not in taken)
