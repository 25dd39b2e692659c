"""A secret on its way from the form that made it to the page that shows it, once.

It travels in the browser's own cookie, signed, for that page alone and a minute at most: no session, no cache and no
address ever holds it, and reloading the page neither makes another nor shows it again.
"""

from __future__ import annotations

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect

NAME = "made"
SECONDS = 60


def show(address: str, key: int, secret: str) -> HttpResponse:
    """Send the browser to the page that shows the secret of a row."""
    response = redirect(address)
    response.set_signed_cookie(
        NAME, f"{key}:{secret}", salt=address, max_age=SECONDS, path=address, httponly=True, samesite="Strict",
        secure=bool(settings.SESSION_COOKIE_SECURE),
    )  # fmt: skip
    return response


def take(request: HttpRequest) -> tuple[int, str] | None:
    """The row's key and its secret, where this page is to show one."""
    kept = request.get_signed_cookie(NAME, "", salt=request.path, max_age=SECONDS) or ""
    key, _, secret = kept.partition(":")
    return (int(key), secret) if secret else None


def forget(request: HttpRequest, response: HttpResponse) -> HttpResponse:
    """Let the page that showed it be the last to hold it."""
    if NAME in request.COOKIES:
        response.delete_cookie(NAME, path=request.path, samesite="Strict")
    return response
