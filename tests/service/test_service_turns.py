"""Large bodies and slow questions: one client does not hold up the others."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from starlette.requests import ClientDisconnect, Request
from tests.service.serving import Server, served, server_of, written_project
from tests.targets.described import described

from cloche.service.bodies import received
from cloche.service.problems import ProblemError
from cloche.service.tokens import new_token
from cloche.service.turns import Client, Turns, client_of
from cloche.service.values import Role
from cloche.targets.description import encode_description

ONE, TWO, THREE = (Client(name, name, 3) for name in ("one", "two", "three"))


def test_an_account_has_one_turn_and_others_do_not_wait_for_it() -> None:
    async def run() -> None:
        turns, seen, go_on = Turns(2), list[str](), asyncio.Event()

        async def work(client: Client) -> None:
            async with turns.of(client):
                seen.append(client.name)
                await go_on.wait()

        tasks = [asyncio.create_task(work(each)) for each in (ONE, ONE, ONE, TWO, THREE)]
        await asyncio.sleep(0.01)
        assert seen == ["one", "two"], "two places, and one of an account"
        with pytest.raises(ProblemError) as caught:
            await work(ONE)
        assert caught.value.document.status == 429
        assert caught.value.headers["Retry-After"]
        go_on.set()
        await asyncio.gather(*tasks)
        assert sorted(seen) == ["one", "one", "one", "three", "two"]
        await work(ONE)
        assert not turns._waiting
        assert not turns._accounts

    asyncio.run(run())


def test_targets_share_the_turn_of_the_token_that_enrolled_them() -> None:
    one, other = (
        client_of(new_token("x", Role.REQUEST, target=id, account="fleet")[0]) for id in "ab"
    )
    assert (one.account, one.name, one.most) == ("fleet", "a", 2)
    assert (other.account, other.name) == ("fleet", "b")
    owner = new_token("x", Role.REQUEST)[0]
    assert client_of(owner, "unused") == Client(owner.id, owner.id, 32)
    assert client_of(None, "open 127.0.0.1") == Client("open 127.0.0.1", "open 127.0.0.1", 32)


def sent(*chunks: bytes, pause: float = 0.0, leaves: bool = False) -> Request:
    """A request whose body comes in parts."""

    async def parts() -> AsyncIterator[dict[str, Any]]:
        for number, chunk in enumerate(chunks):
            await asyncio.sleep(pause)
            more = leaves or number + 1 < len(chunks)
            yield {"type": "http.request", "body": chunk, "more_body": more}
        yield {"type": "http.disconnect"}

    return Request({"type": "http", "method": "POST", "headers": []}, parts().__anext__)


MIB = 1 << 20


def test_only_a_large_body_waits_for_its_turn() -> None:
    async def run() -> None:
        waited = list[int]()

        async def turn() -> None:
            waited.append(1)

        small = await received(sent(bytes(MIB)), 9 * MIB, 5, turn)
        assert (len(small.unpacked()), waited) == (MIB, [])
        large = await received(sent(*[bytes(MIB)] * 4), 9 * MIB, 5, turn)
        assert (len(large.unpacked()), waited) == (4 * MIB, [1])

    asyncio.run(run())


def test_a_body_without_a_turn_is_refused_and_its_time_is_for_arriving() -> None:
    async def run() -> None:
        async def turn(seconds: float) -> None:
            await asyncio.sleep(seconds)

        chunks = [bytes(MIB)] * 4
        body = await received(sent(*chunks, pause=0.06), 9 * MIB, 0.4, lambda: turn(0.3))
        assert len(body.data) == 4 * MIB, "0.54 s, of which it waited 0.3 s"
        for request, status in (
            (sent(*chunks), 429),
            (sent(*chunks, pause=0.5), 408),
            (sent(*chunks * 3), 413),
        ):
            most, seconds = (0.5, 0.2) if status == 429 else (0.0, 0.3)
            with pytest.raises(ProblemError) as caught:
                await received(request, 9 * MIB, seconds, lambda most=most: turn(most))  # type: ignore[misc]
            assert caught.value.document.status == status
        with pytest.raises(ClientDisconnect):
            await received(sent(b"x", leaves=True), MIB, 5)

    asyncio.run(run())


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server without a seed."""
    with served(server_of(written_project(tmp_path_factory.mktemp("turns")))) as running:
        yield running


def test_large_descriptions_at_once_hold_nobody_up(server: Server) -> None:
    files = {f"package.use/{n}": "#" * (MIB - 1) for n in range(30)}
    data = json.loads(encode_description(described(files=files)))
    body = json.dumps({"description": data, "name": "large"}).encode()
    tokens = [server.token(Role.REQUEST) for _ in range(3)]
    slowest, done = 0.0, False

    def enrol(token: str) -> int:
        return server.ask("POST", "/api/v1/targets", token, data=body).status_code

    with ThreadPoolExecutor(8) as threads:
        futures = [threads.submit(enrol, token) for token in tokens * 2]
        while not done:
            done = all(each.done() for each in futures)
            began = time.monotonic()
            assert server.ask("GET", "/health").status_code == 200
            slowest = max(slowest, time.monotonic() - began)
        statuses = {each.result() for each in futures}
    assert statuses <= {422, 500, 503}, "there is no seed; each one was looked at"
    assert slowest < 3
    assert server.process is not None
    status = Path(f"/proc/{server.process.pid}/status").read_text()
    peak = int(status.partition("VmHWM:")[2].split()[0]) >> 10
    assert peak < 900, f"{peak} MiB"
