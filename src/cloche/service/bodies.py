"""Bodies of requests: bounded in size and time, perhaps gzip (RFC 1952)."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import AsyncIterator
from typing import TypeVar

import msgspec
from starlette.requests import Request

from cloche.decoding import NOT_DECODABLE
from cloche.service.problems import ProblemError

T = TypeVar("T")
_GZIP = 16 + zlib.MAX_WBITS


async def body_of(request: Request, most: int, seconds: float) -> bytes:
    """The body of a request, unpacked. Raises ProblemError, ClientDisconnect."""
    coding = request.headers.get("content-encoding", "identity").strip().lower()
    if coding not in ("identity", "gzip", "x-gzip"):
        headers = {"Accept-Encoding": "gzip"}
        raise ProblemError(415, "the content coding is not gzip", headers=headers)
    try:
        async with asyncio.timeout(seconds):
            chunks = request.stream()
            return await (_plain(chunks, most) if coding == "identity" else _gunzip(chunks, most))
    except TimeoutError:
        raise ProblemError(408, f"the body did not arrive within {seconds:.0f} s") from None


async def _plain(chunks: AsyncIterator[bytes], most: int) -> bytes:
    body = bytearray()
    async for chunk in chunks:
        body += chunk
        if len(body) > most:
            raise _too_large(most)
    return bytes(body)


async def _gunzip(chunks: AsyncIterator[bytes], most: int) -> bytes:
    unpacker, body = zlib.decompressobj(_GZIP), bytearray()
    try:
        async for chunk in chunks:
            body += unpacker.decompress(chunk, most + 1 - len(body))
            if len(body) > most or unpacker.unconsumed_tail:
                raise _too_large(most)
            if unpacker.unused_data:
                raise ProblemError(400, "data follow the end of the body's gzip stream")
    except zlib.error as error:
        raise ProblemError(400, f"the body is not gzip: {error}") from error
    if not unpacker.eof:
        raise ProblemError(400, "the body's gzip stream is cut off")
    return bytes(body)


def _too_large(most: int) -> ProblemError:
    return ProblemError(413, f"the body is larger than {most >> 10} KiB")


def decoded(body: bytes, kind: type[T]) -> T:
    """JSON as a value. Raises ProblemError: 400 for what is not JSON, 422 for another value."""
    try:
        return msgspec.json.decode(body, type=kind)
    except msgspec.ValidationError as error:
        raise ProblemError(422, str(error)) from error
    except NOT_DECODABLE as error:
        raise ProblemError(400, f"the body is not JSON: {error}") from error
