"""Many connections, and slow ones: others are served."""

from __future__ import annotations

import asyncio
import shutil
import socket
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import requests
import uvicorn
from tests.service.serving import Server, add_target, served, server_of, written_project
from tests.service.test_service_decisions import WORK
from tests.support import cannot
from uvicorn.server import ServerState

from cloche.service import connections
from cloche.service.settings import Limits
from cloche.service.values import Role

REQUEST = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


async def app(scope: Any, receive: Any, send: Any) -> None:
    """Answers after as long as the path says."""
    await asyncio.sleep(float(scope["path"].strip("/") or 0))
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"done"})


@asynccontextmanager
async def listening(most: int = 5, headers: float = 0.3) -> AsyncIterator[int]:
    """A server with a limit; its port."""
    config = uvicorn.Config(app, log_config=None, lifespan="off", timeout_keep_alive=60)
    config.load()
    kind = connections.guarded(Limits(connections=most, headers=headers))
    state, loop = ServerState(), asyncio.get_running_loop()
    server = await loop.create_server(lambda: kind(config, state, {}), "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


async def ask(port: int, path: str = "/") -> bytes:
    """The answer to a request, to the end of the connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
    answer = await reader.read()
    writer.close()
    return answer


def test_a_request_that_never_ends_is_given_up() -> None:
    async def run() -> None:
        async with listening() as port:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(REQUEST)
            assert b"done" in await asyncio.wait_for(reader.readuntil(b"done"), 60)
            began = time.monotonic()
            for byte in REQUEST[:-2] * 24:  # another one on the same connection
                writer.write(bytes([byte]))
                await asyncio.sleep(0.05)
                if reader.at_eof() or reader.exception():
                    break
            assert 0.2 < time.monotonic() - began < 20
            assert b"done" in await ask(port, "/0.6"), "an answer may take longer"

    asyncio.run(run())


def test_idle_connections_make_room_and_busy_ones_do_not() -> None:
    async def run() -> None:
        async with listening(most=3) as port:
            idle = [await asyncio.open_connection("127.0.0.1", port) for _ in range(10)]
            assert b"200 OK" in await ask(port)
            busy = [asyncio.create_task(ask(port, "/1")) for _ in range(3)]
            await asyncio.sleep(0.3)
            refused = await ask(port)
            assert b"503 Service Unavailable" in refused
            assert b"Retry-After" in refused
            assert b"too many connections" in refused
            assert all(b"200 OK" in each for each in await asyncio.gather(*busy))
            for _, writer in idle:
                writer.close()

    asyncio.run(run())


def is_closed(reader: asyncio.StreamReader) -> bool:
    """Whether the other side has closed a connection."""
    return reader.at_eof() or reader.exception() is not None


def test_bodies_that_never_arrive_make_room() -> None:
    async def run() -> None:
        async with listening(most=3) as port:
            slow = [await asyncio.open_connection("127.0.0.1", port) for _ in range(3)]
            for _, writer in slow:
                writer.write(b"POST /9 HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n")
                await asyncio.sleep(0.1)
            assert b"200 OK" in await ask(port)
            await asyncio.sleep(0.1)
            assert [is_closed(reader) for reader, _ in slow] == [True, False, False]
            for _, writer in slow:
                writer.close()

    asyncio.run(run())


def test_who_has_most_connections_makes_room() -> None:
    async def run() -> None:
        async with listening(most=4, headers=60) as port:
            idle = []
            for source in ("127.0.0.2", "127.0.0.3", "127.0.0.3", "127.0.0.3"):
                found = await asyncio.open_connection("127.0.0.1", port, local_addr=(source, 0))
                idle.append(found)
                await asyncio.sleep(0.05)
            assert b"200 OK" in await ask(port)
            await asyncio.sleep(0.1)
            assert [is_closed(reader) for reader, _ in idle] == [False, True, False, False]
            for _, writer in idle:
                writer.close()

    asyncio.run(run())


@pytest.fixture
def poor(tmp_path: Path) -> Iterator[Server]:
    """A server that may open 200 files."""
    if shutil.which("prlimit") is None:
        cannot("prlimit: not installed")
    server = server_of(written_project(tmp_path))
    server.command[:0] = ["prlimit", "--nofile=200:200"]
    with served(server) as running:
        yield running


def test_250_idle_connections_keep_nobody_out(poor: Server) -> None:
    host, port = poor.url.removeprefix("http://").split(":")
    with ExitStack() as stack:
        for _ in range(250):
            stack.enter_context(socket.create_connection((host, int(port)), 5))
        slowest = 0.0
        for _ in range(20):
            began = time.monotonic()
            assert poor.ask("GET", "/health").status_code == 200
            slowest = max(slowest, time.monotonic() - began)
    assert slowest < 2
    assert "out of system resource" not in poor.log.read_text()


def test_the_log_is_not_flooded(caplog: pytest.LogCaptureFixture) -> None:
    async def run() -> None:
        loop = asyncio.get_running_loop()
        connections.quieten(loop)
        for _ in range(512):
            loop.call_exception_handler({"message": "x", "exception": OSError(24, "too many")})
        loop.call_exception_handler({"message": "another", "exception": OSError(5, "i/o")})

    asyncio.run(run())
    assert [each.message for each in caplog.records].count("connections wait") == 1
    assert len(caplog.records) == 2


def test_who_leaves_while_sending_is_not_a_bug(poor: Server) -> None:
    host, port = poor.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), 5) as sock:
        sock.sendall(b"POST /login HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\ntoken=")
        time.sleep(0.2)
    end = time.monotonic() + 10
    while '"/login"' not in poor.log.read_text():
        assert time.monotonic() < end
        time.sleep(0.05)
    log = poor.log.read_text()
    assert "a bug" not in log
    assert "Traceback" not in log


def test_streams_are_counted_for_an_account_before_they_begin(tmp_path: Path) -> None:
    with served(server_of(written_project(tmp_path), "--limit", "streams=2")) as server:
        ids = ["1" * 12, "2" * 12, "3" * 12, "4" * 12]
        for id in ids:
            add_target(server, id)
        with server.database() as database:
            for id in ids:
                database.add_build(id, WORK, ("a/b",), 1.0, "r")
                database.ask(id, id, "none")
                database.start(id, "r", 1.0)
        secrets = [server.token(Role.REQUEST, id, account="one") for id in ids[:3]]
        secrets.append(server.token(Role.REQUEST, ids[3], account="another"))

        def follow(number: int) -> requests.Response:
            path = f"/api/v1/builds/{ids[number]}/events"
            return stack.enter_context(server.ask("GET", path, secrets[number], stream=True))

        with ExitStack() as stack:
            assert [follow(each).status_code for each in (0, 1, 2, 3)] == [200, 200, 429, 200]
            assert follow(0).headers["Retry-After"]
        end = time.monotonic() + 20  # until all are gone
        while "\ncloche_streams 0" not in server.ask("GET", "/metrics").text:
            assert time.monotonic() < end
            time.sleep(0.1)
        with ExitStack() as stack:
            assert follow(2).status_code == 200


def test_a_form_has_a_few_seconds(poor: Server) -> None:
    host, port = poor.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), 30) as sock:
        began = time.monotonic()
        sock.sendall(b"POST /login HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\ntoken=")
        assert b" 408 " in sock.recv(100)
        assert 4 < time.monotonic() - began < 60
