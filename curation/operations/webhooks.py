"""Telling other programs what happened: a row per event and address, in the transaction that makes it happen, and a job
that sends what is due.

A message is sent at least once, with a key that stays the same when it is sent again. It holds names and numbers, never
the text of an example. An address inside our own network is refused each time it is looked up, and the connection goes
to the very address that was looked at, so that a name cannot point elsewhere between the two.
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import json
import socket
import time
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import httpx
from django.conf import settings
from django.db import transaction
from django.db.models import F
from django.db.models.functions import Now
from django.utils import timezone

from curation.models import AuditEntry, Delivery, Job, Project, Webhook
from curation.operations import Refused
from curation.operations.jobs import Attempt, finish

if TYPE_CHECKING:
    from django.contrib.auth.models import User

PATIENCE = 10.0  # seconds for an answer
MOST = 20  # addresses of a project
INSIDE = "That address is inside the network of this site."
INSIDE_REMEDY = "Name a public one, or have WHETSTONE_WEBHOOK_NETWORKS allow its network."


# What happened


def tell(project: Project, event: str, **about: Any) -> None:
    """Leave word of an event for every address that wants its family, in the caller's transaction.

    `event` is family and what happened, as `guard.live`. Whether anybody is told changes nothing for the caller.
    """
    family = event.partition(".")[0]
    hooks = list(project.webhooks.on().filter(families__contains=[family]))
    if hooks:
        body = {"project": project.slug, **about}
        Delivery.objects.bulk_create(Delivery(webhook=hook, event=event, about=body) for hook in hooks)
        Job.objects.enqueue(Job.Kind.DELIVER, project)


def tell_failure(job: Job) -> None:
    """Leave word of a round that stands still because a job of it failed for good."""
    if job.has_failed and job.round is not None:
        tell(job.project, "round.failed", round=job.round.number, step=job.kind)


def ring_for_due() -> int:
    """Queue the sending of what is due and nobody sends; the reconciler calls it. Return how many projects."""
    due = Project.objects.filter(webhooks__deliveries__in=Delivery.objects.due()).distinct()
    for project in due:
        Job.objects.enqueue(Job.Kind.DELIVER, project)
    return len(due)


# Addresses


def make(project: Project, by: User, url: str, families: list[str]) -> Webhook:
    """Have an address told from now on.

    Raises:
        Refused: it cannot be reached from here, is told already, or there are too many.
    """
    look_up(url)
    with transaction.atomic():
        Project.objects.select_for_update().get(pk=project.pk)
        if project.webhooks.filter(url=url).exists():
            raise Refused("This address is told already.", "Change what it is told in its row.", field="url")
        if project.webhooks.count() >= MOST:
            raise Refused(f"A project tells at most {MOST} addresses.", "Delete one first.", field="url")
        hook = Webhook.objects.create(project=project, url=url, families=families, created_by=by)
        _note(hook, by, "webhook-made")
    return hook


def switch(hook: Webhook, by: User, *, on: bool) -> None:
    """Tell an address no more, or again; what it missed meanwhile is not told."""
    with transaction.atomic():
        hook.deliveries.filter(due_at__isnull=False).update(due_at=None, error="The address was switched off.")
        Webhook.objects.filter(pk=hook.pk).update(switched_off_at=None if on else Now())
        _note(hook, by, "webhook-switched-on" if on else "webhook-switched-off")


def delete(hook: Webhook, by: User) -> None:
    """Forget an address and what it was told."""
    with transaction.atomic():
        _note(hook, by, "webhook-deleted")
        hook.delete()


def _note(hook: Webhook, by: User, action: str) -> None:
    host = urlsplit(hook.url).hostname  # a path or query may hold a secret of the receiver's
    AuditEntry.objects.create(
        project=hook.project, actor=by, action=action, subject=hook.subject,
        detail={"host": host, "families": list(hook.families)},
    )  # fmt: skip


def try_out(hook: Webhook) -> Delivery:
    """Send a message that says nothing, so that the receiver can be tried."""
    return _queue(Delivery(webhook=hook, event="test", about={"project": hook.project.slug}))


def send_again(delivery: Delivery) -> Delivery:
    """Send a message once more, under its old key, with all its tries before it."""
    Delivery.objects.filter(pk=delivery.pk).update(due_at=Now(), arrived_at=None, tries=0, error="")
    return _queue(delivery)


def _queue(delivery: Delivery) -> Delivery:
    with transaction.atomic():
        if delivery.pk is None:
            delivery.save()
        Job.objects.enqueue(Job.Kind.DELIVER, delivery.webhook.project)
    return delivery


def look_up(url: str) -> str:
    """The IP address that a URL's host has now, if we may go there.

    Raises:
        Refused: it is no web address, has no IP address, or one inside our own network.
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port or (443 if parts.scheme == "https" else 80)
        if not host or parts.scheme not in ("http", "https") or parts.username or parts.password:
            raise ValueError
    except ValueError:
        raise Refused("Expected an address such as https://example.org/hook.", "Write it so.", field="url") from None
    try:
        found = [str(row[4][0]) for row in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]
    except (OSError, UnicodeError):
        raise Refused(f"The name {host[:100]} cannot be found.", "Check how it is spelt.", field="url") from None
    for address in found:
        if not _is_outside(address):
            raise Refused(INSIDE, INSIDE_REMEDY, field="url")
    return found[0]


def _is_outside(address: str) -> bool:
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address) and ip.ipv4_mapped:
        ip = ip.ipv4_mapped
    allowed = any(ip in network for network in settings.WEBHOOK_NETWORKS if network.version == ip.version)
    return allowed or (ip.is_global and not ip.is_multicast)


# Sending


def deliver(attempt: Attempt) -> None:
    """The job: send what is due for a project, one after the other, until nothing is."""
    sent = 0
    while (delivery := _next(attempt.job.project)) is not None:
        attempt.check()
        status, error = send(delivery)
        _record(delivery, status, error)
        sent += 1
        attempt.report(sent, sent, f"{sent} sent")
    with transaction.atomic():
        attempt.job.fence()
        finish(attempt)


def _next(project: Project) -> Delivery | None:
    return Delivery.objects.due().filter(webhook__project=project).select_related("webhook").first()


def send(delivery: Delivery) -> tuple[int | None, str]:
    """Post a message once; the status it was answered, and a word where that was not enough."""
    hook = delivery.webhook
    body = json.dumps(message(delivery), separators=(",", ":"), sort_keys=True).encode()
    try:
        address = look_up(hook.url)
    except Refused as no:
        return None, no.message
    url = httpx.URL(hook.url)
    headers = {
        "Host": url.netloc.decode(), "Content-Type": "application/json", "User-Agent": "Whetstone",
        "Whetstone-Delivery": str(delivery.key), **signature(hook, body),
    }  # fmt: skip
    try:
        # The certificate is checked against the name, the connection goes to the address. Nothing of the answer is read
        # but its status, and no redirect is followed: either could lead back inside.
        with (
            httpx.Client(timeout=PATIENCE, trust_env=False, follow_redirects=False) as client,
            client.stream(
                "POST", url.copy_with(host=address), content=body, headers=headers,
                extensions={"sni_hostname": url.host},
            ) as answer,
        ):  # fmt: skip
            status = answer.status_code
    except httpx.HTTPError as error:
        return None, f"It does not answer: {type(error).__name__}."
    return status, "" if answer.is_success else f"It answered {status}."


def message(delivery: Delivery) -> dict[str, Any]:
    """What is sent."""
    return {
        "id": str(delivery.key), "event": delivery.event, "at": delivery.created_at.isoformat(), **delivery.about
    }  # fmt: skip


def signature(hook: Webhook, body: bytes, now: int | None = None) -> dict[str, str]:
    """Headers by which a receiver knows us: HMAC-SHA256 over `timestamp.body`."""
    stamp = str(int(time.time()) if now is None else now)
    digest = hmac.new(hook.secret.encode(), stamp.encode() + b"." + body, hashlib.sha256).hexdigest()
    return {"Whetstone-Timestamp": stamp, "Whetstone-Signature": f"v1={digest}"}


def _record(delivery: Delivery, status: int | None, error: str) -> None:
    pauses = Delivery.PAUSES
    waits: timedelta | None = pauses[delivery.tries] if error and delivery.tries < len(pauses) else None
    Delivery.objects.filter(pk=delivery.pk).update(
        tries=F("tries") + 1, status=status, error=error[:200],
        arrived_at=None if error else timezone.now(), due_at=None if waits is None else Now() + waits,
    )  # fmt: skip
