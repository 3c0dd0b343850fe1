"""Connections: how many there are, and how long one may wait with its request.

uvicorn bounds neither. A connection that waits with a request, between two, or with a body makes
room for a new one: one of the address that has most of these. Only if all are busy is the new one
refused.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import resource
import time
from collections import Counter
from collections.abc import Iterable
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from cloche.service.problems import ProblemError
from cloche.service.settings import Limits

_FILES = 4096  # that may be open, where the host allows it: a connection may have a package open
_OTHERS = 32  # open files of the process itself
_QUIET = 60.0  # seconds between two lines in the log that say the same
_SHORT = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
_log = logging.getLogger("cloche.service")


def guarded(limits: Limits) -> type[Guarded]:
    """The connections of a server with these limits. Raises OSError."""
    most = min(limits.connections, _possible())
    return type("Connection", (Guarded,), {"most": most, "headers_within": limits.headers})


def _possible() -> int:
    """How many connections there may be with the files that this process may open.

    It is allowed more, if the host does so. Raises OSError.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < _FILES:
        soft = _FILES if hard == resource.RLIM_INFINITY else min(_FILES, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    files = _FILES if soft == resource.RLIM_INFINITY else soft
    return max(8, (files - _OTHERS) // 2)


class Guarded(H11Protocol):
    """A connection. ``most`` are served at once; times in seconds."""

    most = 1000
    headers_within = 20.0

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._since = 0.0
        self._timer: asyncio.TimerHandle | None = None

    @property
    def address(self) -> str:
        """Who is connected."""
        return self.client[0] if self.client else ""

    @property
    def waits(self) -> bool:
        """Whether no request is being answered."""
        return self.cycle is None or self.cycle.response_complete

    @property
    def can_go(self) -> bool:
        """Whether no whole request is being answered: it waits, or a body has not arrived."""
        return self.waits or self.conn.their_state is h11.SEND_BODY

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Somebody connects."""
        super().connection_made(transport)
        self._since = self.loop.time()
        self._watch()
        if len(self.connections) > self.most:
            others = {each for each in self.connections if isinstance(each, Guarded)} - {self}
            if (found := _first_to_go(others)) is not None:
                found._close()
            else:
                self._refuse()

    def data_received(self, data: bytes) -> None:
        """Part of a request came."""
        super().data_received(data)
        self._since = self.loop.time()
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is closed."""
        self._unwatch()
        super().connection_lost(exc)

    def _watch(self) -> None:
        """Give a request that begins its time, which ends when it is whole."""
        if not self.waits:
            self._unwatch()
        elif self._timer is None:
            self._timer = self.loop.call_later(self.headers_within, self._give_up)

    def _unwatch(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _give_up(self) -> None:
        self._timer = None
        if self.waits:
            self._close()

    def _close(self) -> None:
        self.connections.discard(self)
        self.transport.abort()

    def _refuse(self) -> None:
        problem = ProblemError(503, "too many connections", todo="try again in a minute")
        body = bytes(problem.response().body)
        head = (
            "HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/problem+json\r\n"
            f"Content-Length: {len(body)}\r\nRetry-After: 60\r\nConnection: close\r\n\r\n"
        )
        self.connections.discard(self)
        self.transport.write(head.encode() + body)
        self.transport.close()


def _first_to_go(connections: Iterable[Guarded]) -> Guarded | None:
    """The connection that makes room for a new one; None if all are busy.

    It is of the address with most that can go: waiting ones first, then the one silent for longest.
    """
    found = [each for each in connections if each.can_go]
    of_address = Counter(each.address for each in found)
    return min(
        found,
        key=lambda each: (-of_address[each.address], not each.waits, each._since),
        default=None,
    )


def quieten(loop: asyncio.AbstractEventLoop) -> None:
    """Let the log say once in a while that no file can be opened, not at each attempt."""
    last = float("-inf")

    def handle(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        nonlocal last
        error = context.get("exception")
        if not (isinstance(error, OSError) and error.errno in _SHORT):
            loop.default_exception_handler(context)
        elif time.monotonic() - last > _QUIET:
            last = time.monotonic()
            _log.error("connections wait", extra={"error": error.strerror})

    loop.set_exception_handler(handle)
