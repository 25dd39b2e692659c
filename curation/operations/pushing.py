"""Releases on their way to somewhere else: a folder, an object store, a hub, by whatever fsspec knows.

Keys and tokens come from the environment, as the library of each store wants them; none is taken from an address.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.db import transaction

from curation.models import AuditEntry, Release
from curation.operations import Refused, releases


def push(release: Release, url: str) -> Iterator[tuple[int, int, str]]:
    """Copy every file of a release to `url`, a folder of its own there; yields files done, of how many, and the last.

    What lies there already in the same size is not sent again, so that a push which broke off goes on. The checksums
    come last: where they are, everything is.

    Raises:
        Refused: the release is damaged, the address is none that can be written to, or the store says no.
    """
    if broken := releases.broken_files(release):
        raise Refused(f"{broken[0]} of {release} is missing or damaged here.", "Restore it from the backup first.")
    store, root = _store(url)
    files = sorted(release.files, key=lambda entry: (entry["name"] == releases.CHECKSUMS, entry["name"]))
    for number, entry in enumerate(files, 1):
        _send(store, settings.ARTIFACTS_DIR / release.path / entry["name"], f"{root}/{entry['name']}", entry["bytes"])
        yield number, len(files), entry["name"]
    with transaction.atomic():
        AuditEntry.objects.create(
            project=release.project, action="release-pushed", subject=f"release:{release.pk}",
            detail={"to": f"{urlsplit(url).scheme or 'file'}://{urlsplit(url).netloc}", "digest": release.digest},
        )  # fmt: skip


def _store(url: str) -> tuple[Any, str]:
    import fsspec

    parts = urlsplit(url)
    if parts.password or parts.query:
        raise Refused("An address should hold no password and no key.", "Put them into the environment.", field="url")
    try:
        store, root = fsspec.core.url_to_fs(url)
    except (ValueError, ImportError) as error:
        raise Refused(f"{parts.scheme or url}: {error}", "Use a folder, or install what that store needs.") from None
    return store, str(root).rstrip("/")


def _send(store: Any, source: Any, target: str, size: int) -> None:
    try:
        if store.exists(target) and store.size(target) == size:
            return
        store.makedirs(target.rpartition("/")[0], exist_ok=True)
        store.put_file(str(source), target)
        store.invalidate_cache()
        arrived = store.size(target)
    except OSError as error:
        raise Refused(f"The store said: {error.strerror or error}.", "Look at the address and the rights.") from None
    if arrived != size:
        raise Refused(f"{target} has {arrived} bytes there, not {size}.", "Push again.")
