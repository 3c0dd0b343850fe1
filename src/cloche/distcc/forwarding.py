"""The way of a sandbox's compiles to other hosts: a socket that is bound into it.

What comes from the sandbox is not looked at: the host that compiles it does so in a sandbox, too.
"""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path

import msgspec

from cloche.distcc.hosts import BUSY, LONGEST, OK, Hello, Host, host_of, line_of
from cloche.fetching.listening import Held, relay, served, unix_listener

CONNECTING = 5.0  # seconds until a host counts as silent
IDLE = 900.0  # seconds without a byte: a compile may take long
LEFT_ALONE = 60.0  # seconds for which a host is not asked that did not answer


class Hosts:
    """Which hosts compile what. Safe to use from several threads."""

    def __init__(self, hosts: Sequence[Host]) -> None:
        self._hosts = tuple(hosts)
        self._lock = threading.Lock()
        self._busy = dict.fromkeys(self._hosts, 0)
        self._until: dict[tuple[Host, Hello | None], float] = {}  # None: whatever is asked for
        self._refusals: dict[Host, str] = {}  # the last reason of each
        self._told: dict[Host, str] = {}

    @contextlib.contextmanager
    def connected(self, hello: Hello) -> Iterator[socket.socket | None]:
        """A connection to a host that is free and has this toolchain; None if none is."""
        tried: set[Host] = set()
        while (host := self._taken(hello, tried)) is not None:
            tried.add(host)
            try:
                with contextlib.ExitStack() as stack:
                    server = self._greeted(host, hello)
                    if server is not None:
                        yield stack.enter_context(server)
                        return
            finally:
                with self._lock:
                    self._busy[host] -= 1
        yield None

    def news(self) -> list[tuple[str, str]]:
        """Hosts that did not compile, and why, each reason once."""
        with self._lock:
            found = self._refusals.items() - self._told.items()
            self._told |= dict(found)
        return sorted((host.text, reason) for host, reason in found)

    def _taken(self, hello: Hello, tried: set[Host]) -> Host | None:
        """The host with the most free places, of which one is taken."""
        now = time.monotonic()
        with self._lock:
            free = {
                host: host.limit - self._busy[host]
                for host in self._hosts
                if host not in tried
                and all(self._until.get((host, each), now) <= now for each in (hello, None))
            }
            host = max(free, key=lambda each: free[each], default=None)
            if host is None or free[host] <= 0:
                return None
            self._busy[host] += 1
            return host

    def _greeted(self, host: Host, hello: Hello) -> socket.socket | None:
        try:
            server = host.connected(CONNECTING)
        except OSError as error:
            self._refused(host, None, error.strerror or str(error))
            return None
        try:
            server.sendall(msgspec.json.encode(hello) + b"\n")
            answer = line_of(server, LONGEST, CONNECTING)
            if answer == BUSY:
                server.close()
                return None
            if answer != OK:
                server.close()
                self._refused(host, hello, answer.decode(errors="replace").strip())
                return None
            server.settimeout(IDLE)
        except (OSError, EOFError) as error:
            server.close()
            self._refused(host, None, getattr(error, "strerror", None) or "it broke off")
            return None
        return server

    def _refused(self, host: Host, hello: Hello | None, reason: str) -> None:
        """Leave a host alone, for one toolchain or for all."""
        with self._lock:
            self._refusals[host] = reason
            self._until[host, hello] = time.monotonic() + LEFT_ALONE


@cache
def hosts_of(texts: tuple[str, ...]) -> Hosts:
    """The hosts of this process, which all its builds share."""
    return Hosts([host for text in texts if (host := host_of(text)) is not None])


@contextlib.contextmanager
def forwarding(hosts: Hosts, layers: Sequence[str], path: Path) -> Iterator[None]:
    """Listen at a path, while a sandbox runs, for its compiles by compilers of these layers."""
    hello, held = Hello(tuple(layers)), Held()

    def serve(client: socket.socket) -> None:
        with hosts.connected(hello) as server:
            if server is None:
                return
            client.settimeout(IDLE)
            with held.hold(server), contextlib.suppress(OSError):
                relay(client, server, IDLE)

    with served(unix_listener(path), serve, held):
        yield
