"""Where a fetch may connect to, and the proxy that keeps to it: real sockets on loopback."""

from __future__ import annotations

import contextlib
import ipaddress
import socket
import threading
from collections.abc import Iterator

import pytest
from tests.mirrors import served

from cloche.fetching import forward
from cloche.fetching.forward import Forwarder
from cloche.fetching.reach import Place, mirror_uris, place_of, places_of, refusal


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "127.9.9.9", "0.0.0.0", "0.1.2.3", "169.254.169.254", "169.254.1.1",
        "255.255.255.255", "224.0.0.1", "100.100.100.200", "::1", "::", "fe80::1", "ff02::1",
        "fd00:ec2::254", "::ffff:127.0.0.1", "::ffff:169.254.169.254", "::127.0.0.1",
        "64:ff9b::7f00:1", "64:ff9b:1::7f00:1", "::ffff:0:127.0.0.1", "2002:7f00:1::",
        "2001::80ff:fffe",
    ],
)  # fmt: skip
def test_what_leads_to_this_host_is_refused(address: str) -> None:
    assert refusal(ipaddress.ip_address(address), own=False)


@pytest.mark.parametrize("address", ["1.1.1.1", "10.1.2.3", "192.168.0.7", "2606:4700::1111"])
def test_other_networks_may_be_reached_but_not_this_hosts_own_addresses(address: str) -> None:
    assert refusal(ipaddress.ip_address(address), own=False) is None
    assert refusal(ipaddress.ip_address(address), own=True) == "an address of this host"


def test_places() -> None:
    assert place_of("HTTP://Mirror.Example./a") == Place("mirror.example", 80)
    assert place_of("https://[::1]:8443/a") == Place("::1", 8443)
    assert [place_of(uri) for uri in ("http://", "file:///a", "http://a:99999/", "a")] == [None] * 4
    text = "# none\nlocal http://a:81 /srv/files # why\ngnu https://b/gnu\n"
    assert mirror_uris(text) == ("http://a:81", "/srv/files", "https://b/gnu")
    assert places_of(mirror_uris(text)) == {Place("a", 81), Place("b", 443)}


@contextlib.contextmanager
def proxied(proxy: Forwarder) -> Iterator[tuple[str, int]]:
    listener = socket.create_server(("127.0.0.1", 0))
    address = listener.getsockname()
    with proxy.listening(listener):
        yield address


def asked(address: tuple[str, int], request: str) -> str:
    """Send a request, and give all that comes back."""
    with socket.create_connection(address, 10) as sock:
        sock.sendall(request.encode())
        answer = b""
        while piece := sock.recv(4096):
            answer += piece
    return answer.decode()


def get(address: tuple[str, int], uri: str) -> str:
    return asked(address, f"GET {uri} HTTP/1.1\r\nHost: ignored\r\n\r\n")


def test_only_what_the_user_names_is_reached_on_loopback() -> None:
    with served({"file": b"content"}) as mirror, served({"file": b"other"}) as other:
        proxy = Forwarder(places_of([mirror.address]))
        with proxied(proxy) as address:
            assert get(address, f"{mirror.address}/file").endswith("\r\n\r\ncontent")
            assert get(address, f"{other.address}/file").startswith("HTTP/1.1 403 refused")
            port = other.address.rpartition(":")[2]
            for host in ("localhost", "2130706433", "0x7f000001", "0", "[::ffff:127.0.0.1]"):
                assert " 403 " in get(address, f"http://{host}:{port}/file"), host
                tunnel = asked(address, f"CONNECT {host}:{port} HTTP/1.1\r\n\r\n")
                assert " 403 " in tunnel, host
        assert other.asked == []
        assert proxy.refused[0] == (f"{other.address}/file", "it is the loopback of this host")
        assert (f"localhost:{port}", "it leads to 127.0.0.1") in [
            (target, reason.partition(",")[0].replace("::1", "127.0.0.1"))
            for target, reason in proxy.refused
        ]


def test_this_hosts_own_addresses_are_known() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        try:
            sock.connect(("192.0.2.1", 9))
        except OSError:
            pytest.skip("this host has no route: it has no address but the loopback's")
        assert forward._is_own(sock.getsockname()[0])
    assert not forward._is_own("192.0.2.1")


def test_a_name_is_resolved_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that leads elsewhere the next time: cloche connects to what it looked at."""
    with served({"file": b"secret"}) as inner:
        port = int(inner.address.rpartition(":")[2])
        answers = iter(["192.0.2.1", "127.0.0.1", "127.0.0.1"])
        reached: list[str] = []
        plain = socket.create_connection

        def resolve(place: Place) -> list[str]:
            return [next(answers)]

        def connect(where: tuple[str, int], *more: float) -> socket.socket:
            if where[0] == "192.0.2.1":
                reached.append(where[0])
                raise ConnectionRefusedError(111, "Connection refused")
            return plain(where, *more)

        monkeypatch.setattr(forward, "_resolved", resolve)
        monkeypatch.setattr(forward.socket, "create_connection", connect)
        with proxied(Forwarder(frozenset())) as address:
            told = get(address, f"http://rebinding.example:{port}/file")
            assert told.startswith("HTTP/1.1 502 Connection refused")
            assert " 403 " in get(address, f"http://rebinding.example:{port}/file")
        assert reached == ["192.0.2.1"]
        assert inner.asked == []


def test_a_tunnel_and_the_users_own_proxy() -> None:
    echo = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        with echo, echo.accept()[0] as client:
            while data := client.recv(100):
                client.sendall(data.upper())

    threading.Thread(target=serve, daemon=True).start()
    port = echo.getsockname()[1]
    upstream = Forwarder(frozenset({Place("127.0.0.1", port)}))
    with proxied(upstream) as (host, outer):
        own = {"https_proxy": f"http://user:word@{host}:{outer}", "no_proxy": "elsewhere"}
        proxy = Forwarder(frozenset({Place("127.0.0.1", port)}), own)
        with proxied(proxy) as address, socket.create_connection(address, 10) as sock:
            sock.sendall(f"CONNECT 127.0.0.1:{port} HTTP/1.1\r\n\r\n".encode())
            assert sock.recv(100).startswith(b"HTTP/1.1 200")
            sock.sendall(b"words")
            assert sock.recv(100) == b"WORDS"


@pytest.mark.parametrize("request_", ["nonsense\r\n\r\n", "GET / HTTP/1.1\r\n\r\n", "\r\n\r\n"])
def test_what_is_not_a_request_gets_an_answer(request_: str) -> None:
    with proxied(Forwarder(frozenset())) as address:
        assert asked(address, request_).startswith("HTTP/1.1 400")
