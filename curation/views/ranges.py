"""A file as a download that goes on where it broke off: one range of bytes, named by the checksum of the whole."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from django.http import FileResponse, HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.utils.http import content_disposition_header

RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})")
BLOCK = 1 << 18


def serve(request: HttpRequest, file: Path, name: str, checksum: str) -> HttpResponseBase:
    """Send a file, or the part of it that `Range` asks for while `If-Range` still names this content."""
    size, tag = file.stat().st_size, f'"{checksum}"'
    found = RANGE.fullmatch(request.headers.get("Range", ""))
    same = request.headers.get("If-Range", tag) == tag
    span = _span(found.group(1), found.group(2), size) if found and same else None
    response: HttpResponseBase
    if span is None:
        response = FileResponse(file.open("rb"), as_attachment=True, filename=name)
    elif span[0] >= span[1]:
        response = HttpResponse(status=416, headers={"Content-Range": f"bytes */{size}"})
    else:
        headers = {"Content-Range": f"bytes {span[0]}-{span[1] - 1}/{size}", "Content-Length": str(span[1] - span[0])}
        response = StreamingHttpResponse(_part(file, *span), status=206, headers=headers)
        response["Content-Disposition"] = content_disposition_header(True, name) or "attachment"
        response["Content-Type"] = "application/octet-stream"
    response["Accept-Ranges"], response["ETag"] = "bytes", tag
    return response


def _span(first: str, last: str, size: int) -> tuple[int, int] | None:
    """Start and end of what is wanted; None for what is no range, which means everything."""
    if first:
        return int(first), min(size, int(last) + 1) if last else size
    return (max(0, size - int(last)), size) if last else None


def _part(file: Path, start: int, end: int) -> Iterator[bytes]:
    with file.open("rb") as handle:
        handle.seek(start)
        while start < end and (block := handle.read(min(BLOCK, end - start))):
            start += len(block)
            yield block
