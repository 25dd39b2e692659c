"""Where one is signed in, and ending it."""

from __future__ import annotations

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_POST

from curation import sessions
from curation.models import Session
from curation.views import access


@require_GET
@never_cache
@login_required
def index(request: access.UserRequest) -> HttpResponse:
    """One's own sessions, this one marked."""
    rows = list(Session.objects.of(request.user))
    context = {"rows": rows, "here": request.session.session_key}
    return render(request, "account/sessions.html", context)


@require_POST
@login_required
def end(request: access.UserRequest) -> HttpResponse:
    """Sign out one of one's own sessions, or all others."""
    sign = request.POST.get("session", "")
    count = sessions.end(request.user, sign=sign, but=request.session.session_key)
    if count:
        messages.success(request, ngettext("%d session is signed out.", "%d sessions are signed out.", count) % count)
    else:
        messages.info(request, _("There was nothing to sign out."))
    return redirect("sessions")
