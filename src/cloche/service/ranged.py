"""Files over HTTP: with ranges, so that a transfer that was cut off goes on (RFC 9110, 14)."""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import AsyncIterator, Mapping
from email.utils import formatdate
from pathlib import Path

from starlette.responses import Response, StreamingResponse

from cloche.service.problems import ProblemError

_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})", re.IGNORECASE)
_CHUNK = 1 << 20  # bytes; smaller ones cost time


def span_of(header: str | None, size: int) -> tuple[int, int] | None:
    """The first byte of a range, and the first after it; None for the whole file.

    What is malformed, or several ranges, are ignored, as the standard allows. Raises ProblemError
    where nothing of the file is in the range.
    """
    match = _RANGE.fullmatch(header.replace(" ", "")) if header is not None else None
    if match is None or not (match[1] or match[2]):
        return None
    if match[1] and match[2] and int(match[1]) > int(match[2]):
        return None
    first = int(match[1]) if match[1] else max(0, size - int(match[2]))
    end = min(size, int(match[2]) + 1) if match[1] and match[2] else size
    if first >= end:
        headers = {"Content-Range": f"bytes */{size}"}
        raise ProblemError(416, "the range is not in the file", headers=headers)
    return first, end


def file_response(path: Path, media: str, asked: Mapping[str, str], method: str) -> Response:
    """A file that never changes, or the part of it that is asked for; only GET has ranges.

    Raises ProblemError, OSError.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        status = os.fstat(descriptor)
        etag = f'"{status.st_mtime_ns:x}-{status.st_size:x}"'
        modified = formatdate(status.st_mtime, usegmt=True)
        headers = {"Accept-Ranges": "bytes", "ETag": etag, "Last-Modified": modified}
        if asked.get("if-none-match") in (etag, "*"):
            os.close(descriptor)
            return Response(None, 304, headers)
        fits = method == "GET" and asked.get("if-range") in (None, etag, modified)
        span = span_of(asked.get("range") if fits else None, status.st_size)
    except BaseException:
        os.close(descriptor)
        raise
    first, end = span or (0, status.st_size)
    headers["Content-Length"] = str(end - first)
    if span is not None:
        headers["Content-Range"] = f"bytes {first}-{end - 1}/{status.st_size}"
    if method == "HEAD":
        os.close(descriptor)
        return Response(None, 200, headers, media)
    return _Chunks(descriptor, (first, end), 206 if span else 200, headers, media)


class _Chunks(StreamingResponse):
    """A part of an open file, which is closed afterwards in any case."""

    def __init__(
        self,
        descriptor: int,
        span: tuple[int, int],
        status: int,
        headers: Mapping[str, str],
        media: str,
    ) -> None:
        super().__init__(_read(descriptor, *span), status, headers, media)
        self._descriptor = descriptor

    async def __call__(self, scope: object, receive: object, send: object) -> None:
        try:
            await super().__call__(scope, receive, send)  # type: ignore[arg-type]
        finally:
            os.close(self._descriptor)


async def _read(descriptor: int, first: int, end: int) -> AsyncIterator[bytes]:
    while first < end:
        chunk = await asyncio.to_thread(os.pread, descriptor, min(_CHUNK, end - first), first)
        if not chunk:
            raise OSError("the file was cut off")
        first += len(chunk)
        yield chunk
