"""A forwarding proxy (RFC 9110) for sandboxes: their only way to the network.

It listens on a socket that is bound into a sandbox without a network. It resolves a name once,
checks the addresses (`reach`), and connects to one of the checked ones. HTTP is forwarded; HTTPS
and rsync tunnel with CONNECT; FTP is answered as HTTP, as other proxies do.
"""

from __future__ import annotations

import contextlib
import ipaddress
import shutil
import socket
from base64 import b64encode
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from urllib.parse import unquote, urlsplit

from cloche.fetching.listening import Held, relay, served
from cloche.fetching.reach import Place, place_of, refusal

CONNECTING = 60.0  # seconds until a server counts as silent
IDLE = 600.0  # seconds without a byte either way
_HEAD = 1 << 16  # bytes of a request's head, at most
_HOP = ("proxy-", "connection:", "keep-alive:")  # hop-by-hop headers


class _RefusedError(Exception):
    """An error answer of the proxy itself: a status and a reason."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status, self.reason = status, reason


@dataclass
class Forwarder:
    """The proxy. ``configured`` are servers that the user names, ``proxies`` the user's own.

    ``proxies`` has values of ``http_proxy``, ``https_proxy``, ``ftp_proxy`` and ``no_proxy``.
    ``refused`` has a URI, or HOST:PORT of a tunnel, and the reason, for each refused request;
    ``failed`` likewise for each request whose server could not be reached.
    """

    configured: frozenset[Place]
    proxies: Mapping[str, str] = field(default_factory=dict)
    refused: list[tuple[str, str]] = field(default_factory=list)
    failed: list[tuple[str, str]] = field(default_factory=list)
    _held: Held = field(default_factory=Held)

    @contextlib.contextmanager
    def listening(self, listener: socket.socket) -> Iterator[None]:
        """Serve a listening socket while the context lasts; all connections end with it."""
        with served(listener, self._serve, self._held):
            yield

    def _serve(self, client: socket.socket) -> None:
        target = ""
        try:
            client.settimeout(IDLE)
            method, target, headers, rest = _request(client)
            self._answer(client, method, target, headers, rest)
        except _RefusedError as error:
            _reply(client, error.status, error.reason)
        except (OSError, EOFError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            self.failed.append((target, reason))
            _reply(client, 502, reason)

    def _answer(
        self, client: socket.socket, method: str, target: str, headers: list[str], rest: bytes
    ) -> None:
        tunnel = method == "CONNECT"
        scheme = "https" if tunnel else target.partition(":")[0].lower()
        place = place_of(f"https://{target}" if tunnel else target)
        if place is None or scheme not in ("http", "https", "ftp"):
            raise _RefusedError(400, "not a request for a proxy")
        upstream = self._upstream(scheme, place)
        addresses = self._addresses(place, target, elsewhere=upstream is not None)
        if scheme == "ftp" and upstream is None:
            _ftp(client, target, headers, addresses[0], place.port)
            return
        with contextlib.ExitStack() as stack:
            if upstream is not None:
                server_place, authorization = upstream
                server = _connected(_resolved(server_place), server_place.port)
            else:
                authorization, server = [], _connected(addresses, place.port)
            stack.enter_context(server)
            stack.enter_context(self._held.hold(server))
            server.settimeout(IDLE)
            if tunnel and upstream is None:
                client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
            else:
                path = target if upstream is not None else _path(target)
                own = [] if tunnel else ["Connection: close"]
                kept = [h for h in headers if not h.lower().startswith(_HOP)]
                lines = [f"{method} {path} HTTP/1.1", *kept, *authorization, *own, "", ""]
                server.sendall("\r\n".join(lines).encode("latin-1"))
            server.sendall(rest)
            relay(client, server, IDLE)

    def _upstream(self, scheme: str, place: Place) -> tuple[Place, list[str]] | None:
        """The user's proxy for a request, with the header that it needs; None without one."""
        uri = self.proxies.get(f"{scheme}_proxy")
        if not uri or _is_direct(place, self.proxies.get("no_proxy", "")):
            return None
        uri = uri if "://" in uri else f"http://{uri}"
        proxy, parts = place_of(uri), urlsplit(uri)
        if proxy is None:
            raise _RefusedError(502, f"{scheme}_proxy is not the address of a proxy")
        if parts.username is None:
            return proxy, []
        words = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        return proxy, [f"Proxy-Authorization: Basic {b64encode(words.encode()).decode()}"]

    def _addresses(self, place: Place, target: str, *, elsewhere: bool) -> list[str]:
        """The addresses of a server to which a connection is allowed. Raises _RefusedError.

        With ``elsewhere`` the user's proxy resolves the name, which this host may not be able to.
        """
        try:
            found = _resolved(place)
        except OSError:
            if elsewhere and not place.host.endswith("localhost"):
                return []
            raise
        if place in self.configured:
            return found
        reasons = {a: refusal(ipaddress.ip_address(a), own=_is_own(a)) for a in found}
        allowed = [address for address, reason in reasons.items() if reason is None]
        if allowed and not (elsewhere and len(allowed) < len(found)):
            return allowed
        address, reason = next((a, r) for a, r in reasons.items() if r is not None)
        named = "it" if address == place.host else f"it leads to {address}, which"
        self.refused.append((target, f"{named} is {reason}"))
        raise _RefusedError(403, f"refused: {reason}")


def _request(client: socket.socket) -> tuple[str, str, list[str], bytes]:
    """Method, target, header lines, and what came after them."""
    data = b""
    while b"\r\n\r\n" not in data:
        piece = client.recv(_HEAD)
        data += piece
        if not piece or len(data) > _HEAD:
            raise _RefusedError(400, "not a request")
    head, _, rest = data.partition(b"\r\n\r\n")
    first, *headers = head.decode("latin-1").split("\r\n")
    words = first.split(" ")
    if len(words) != 3 or any(ord(c) < 32 for line in (first, *headers) for c in line if c != "\t"):
        raise _RefusedError(400, "not a request")
    return words[0], words[1], headers, rest


def _reply(client: socket.socket, status: int, reason: str) -> None:
    reason = "".join(c if 32 <= ord(c) < 127 else "?" for c in reason) or HTTPStatus(status).phrase
    with contextlib.suppress(OSError):
        client.sendall(
            f"HTTP/1.1 {status} {reason}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode()
        )


def _resolved(place: Place) -> list[str]:
    try:
        found = socket.getaddrinfo(place.host, place.port, type=socket.SOCK_STREAM)
    except (socket.gaierror, UnicodeError) as error:
        raise OSError(0, f"unable to resolve {place.host}: {error}") from error
    return list(dict.fromkeys(str(entry[4][0]).partition("%")[0] for entry in found))


def _is_own(address: str) -> bool:
    """True for an address of this host: packets to it have it as their source."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sock:
        try:
            sock.connect((address, 9))  # sends nothing
        except OSError:
            return False
        return str(sock.getsockname()[0]) == address


def _connected(addresses: list[str], port: int) -> socket.socket:
    last: OSError = OSError(0, "no address")
    for address in addresses:
        try:
            return socket.create_connection((address, port), CONNECTING)
        except OSError as error:
            last = error
    raise last


def _is_direct(place: Place, no_proxy: str) -> bool:
    """True for a server that ``no_proxy`` names: a host, a domain, one with a port, or ``*``."""
    for word in no_proxy.lower().replace(",", " ").split():
        name = word.removeprefix("*").removeprefix(".").removesuffix(f":{place.port}")
        if word == "*" or place.host == name or place.host.endswith(f".{name}"):
            return True
    return False


def _path(target: str) -> str:
    parts = urlsplit(target)
    return (parts.path or "/") + (f"?{parts.query}" if parts.query else "")


def _ftp(client: socket.socket, uri: str, headers: list[str], address: str, port: int) -> None:
    """Answer with a file of an FTP server; data connections go to the same address."""
    import ftplib  # imports TLS, which takes longer to load than all of this room

    parts = urlsplit(uri)
    try:
        with ftplib.FTP(timeout=CONNECTING) as ftp:  # noqa: S321 - Manifests say what is right
            ftp.connect(address, port)
            ftp.login(unquote(parts.username or ""), unquote(parts.password or ""))
            ftp.voidcmd("TYPE I")
            path = unquote(parts.path)
            size = ftp.size(path) or 0
            ranges = [h.partition("bytes=")[2] for h in headers if h.lower().startswith("range:")]
            first = int(ranges[0].rstrip("-")) if ranges and ranges[0].rstrip("-").isdigit() else 0
            status = (
                f"206 Partial\r\nContent-Range: bytes {first}-{size - 1}/{size}"
                if first
                else "200 OK"
            )
            data = ftp.transfercmd(f"RETR {path}", first or None)
            with data, data.makefile("rb") as source, client.makefile("wb") as target:
                target.write(
                    f"HTTP/1.1 {status}\r\nContent-Length: {size - first}\r\n"
                    "Connection: close\r\n\r\n".encode()
                )
                shutil.copyfileobj(source, target)
    except ftplib.Error as error:
        raise OSError(0, str(error)) from error
