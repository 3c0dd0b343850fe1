"""Bodies of requests: bounded in size and time, perhaps gzip (RFC 1952)."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

import msgspec
from starlette.requests import Request

from cloche.decoding import NOT_DECODABLE
from cloche.service.problems import ProblemError, too_many

T = TypeVar("T")
_GZIP = 16 + zlib.MAX_WBITS
_LARGE = 1 << 20  # bytes, as they come: descriptions of real machines are smaller


@dataclass(frozen=True, slots=True)
class Packed:
    """A body as it came, perhaps gzip; it has at most ``most`` bytes."""

    data: bytes
    is_gzip: bool
    most: int

    def unpacked(self) -> bytes:
        """The body. For a thread if it may be large. Raises ProblemError."""
        return _gunzipped(self.data, self.most) if self.is_gzip else self.data


async def body_of(request: Request, most: int, seconds: float) -> bytes:
    """The body of a request, unpacked. Raises ProblemError, ClientDisconnect."""
    packed = await received(request, most, seconds)
    return await asyncio.to_thread(packed.unpacked)


async def received(
    request: Request,
    most: int,
    seconds: float,
    turn: Callable[[], Awaitable[None]] | None = None,
) -> Packed:
    """The body of a request as it comes; one that is large waits for its ``turn`` to do so.

    Raises ProblemError, ClientDisconnect.
    """
    coding = request.headers.get("content-encoding", "identity").strip().lower()
    if coding not in ("identity", "gzip", "x-gzip"):
        headers = {"Accept-Encoding": "gzip"}
        raise ProblemError(415, "the content coding is not gzip", headers=headers)
    body = bytearray()
    try:
        async with asyncio.timeout(seconds) as end:
            async for chunk in request.stream():
                body += chunk
                if len(body) > most:
                    raise _too_large(most)
                if turn is not None and len(body) > _LARGE:
                    end.reschedule(None)
                    await _within(turn, seconds)
                    end.reschedule(asyncio.get_running_loop().time() + seconds)
                    turn = None
    except TimeoutError:
        raise ProblemError(408, f"the body did not arrive within {seconds:.0f} s") from None
    return Packed(bytes(body), coding != "identity", most)


async def _within(turn: Callable[[], Awaitable[None]], seconds: float) -> None:
    """Wait for a turn. Raises ProblemError."""
    try:
        async with asyncio.timeout(seconds):
            await turn()
    except TimeoutError:
        raise too_many("too many large bodies arrive", seconds) from None


def _gunzipped(data: bytes, most: int) -> bytes:
    unpacker = zlib.decompressobj(_GZIP)
    try:
        body = unpacker.decompress(data, most + 1)
    except zlib.error as error:
        raise ProblemError(400, f"the body is not gzip: {error}") from error
    if len(body) > most:
        raise _too_large(most)
    if unpacker.unused_data:
        raise ProblemError(400, "data follow the end of the body's gzip stream")
    if not unpacker.eof:
        raise ProblemError(400, "the body's gzip stream is cut off")
    return body


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
