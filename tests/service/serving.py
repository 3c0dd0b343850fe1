"""`cloche serve` as a process, and what talks to it."""

from __future__ import annotations

import gzip
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import msgspec
import requests
from tests.targets.described import PROJECT, described

from cloche.service import pool, tokens
from cloche.service.database import Database
from cloche.service.settings import DIRECTORY, State
from cloche.service.values import Judged, Package, Role, Target, Token
from cloche.targets.description import Description, digest, encode_description
from cloche.targets.levels import Environment, Level

SERVES = "cloche serves at "
ENTRY = "CPV: {cpv}\nEAPI: 8\nKEYWORDS: amd64\nSLOT: 0\nBUILD_TIME: 1700000000"


@dataclass
class Server:
    """A server: its project, its state, and where it listens."""

    place: Path
    command: list[str]
    url: str = ""
    process: subprocess.Popen[bytes] | None = None
    environment: Mapping[str, str] | None = None
    admin: str = ""

    @property
    def state(self) -> State:
        """Its state."""
        return State(self.place / DIRECTORY)

    @property
    def log(self) -> Path:
        """What it wrote to standard error."""
        return self.place / "serve.log"

    def start(self) -> None:
        """Start it, and wait until it listens."""
        with self.log.open("ab") as log:
            begun = log.tell()
            self.process = subprocess.Popen(
                self.command, cwd=self.place, stderr=log, env=self.environment
            )
        end = time.monotonic() + 60
        while time.monotonic() < end:
            text = self.log.read_bytes()[begun:].decode()
            for line in text.splitlines(keepends=True):
                if line.startswith(SERVES) and line.endswith("\n"):
                    self.url = line.removeprefix(SERVES).strip().rstrip("/")
                    return
            assert self.process.poll() is None, text
            time.sleep(0.02)
        raise AssertionError(f"it does not listen: {self.log.read_text()}")

    def stop(self, number: int = signal.SIGTERM) -> int:
        """End it by a signal."""
        assert self.process is not None
        self.process.send_signal(number)
        return self.process.wait(60)

    @contextmanager
    def database(self) -> Iterator[Database]:
        """Its database, from this process."""
        self.state.make()
        opened = Database(self.state.database)
        yield opened
        opened.close()

    def token(self, role: Role = Role.ADMIN, target: str | None = None, **more: Any) -> str:
        """A new token."""
        token, secret = tokens.new_token(f"test {role}", role, target=target, **more)
        with self.database() as database:
            database.add_token(token, tokens.digest_of(secret))
        return secret

    def ask(
        self, method: str, path: str, token: str | None = None, **more: Any
    ) -> requests.Response:
        """Send a request."""
        headers = {**more.pop("headers", {})}
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        return requests.request(
            method, self.url + path, headers=headers, timeout=60, allow_redirects=False, **more
        )

    def enrol(self, description: Description, token: str | None, **more: Any) -> dict[str, Any]:
        """Enrol a target."""
        data = {"description": json.loads(encode_description(description)), "name": "a target"}
        answer = self.ask("POST", "/api/v1/targets", token, json={**data, **more})
        assert answer.status_code == 201, answer.text
        return dict(answer.json())

    def follow(self, path: str, token: str, last: str | None = None) -> Iterator[dict[str, Any]]:
        """The events of a build, to the end of the stream; each with its ``id``."""
        headers = {} if last is None else {"Last-Event-ID": last}
        with self.ask("GET", path, token, headers=headers, stream=True) as answer:
            assert answer.status_code == 200, answer.text
            assert answer.headers["content-type"].startswith("text/event-stream")
            number = ""
            for line in answer.iter_lines():
                name, _, value = line.decode().partition(": ")
                if name == "id":
                    number = value
                elif name == "data":
                    yield {"id": number, **json.loads(value)}

    def build(self, target: dict[str, Any], *atoms: str, **more: Any) -> dict[str, Any]:
        """Ask for atoms, and wait for the last event."""
        path = f"/api/v1/targets/{target['id']}/wants"
        answer = self.ask("POST", path, target["token"], json={"atoms": atoms, **more})
        assert answer.status_code in (200, 202), answer.text
        asked = answer.json()
        if asked["build"] is None:
            return dict(asked)
        *_, last = self.follow(asked["events"], target["token"])
        assert last["event"] == "end"
        return {**last, **asked, "state": last["state"]}

    def index(self, target: dict[str, Any]) -> dict[str, dict[str, str]]:
        """The entries of a target's index by their CPVs; its header by ""."""
        answer = self.ask("GET", f"{target['binhost']}/Packages", target["token"])
        assert answer.status_code == 200, answer.text
        header, *entries = answer.text.strip().split("\n\n")
        found = {"": fields(header)}
        return found | {each["CPV"]: each for each in map(fields, entries)}


def fields(text: str) -> dict[str, str]:
    """The fields of an entry."""
    lines = (line.partition(": ") for line in text.splitlines())
    return {name: value for name, _, value in lines}


def server_of(place: Path, *words: str, store: Path | None = None) -> Server:
    """A server for a project, with an administrator's token; it is not started."""
    own = ("--store", str(store or place / "no-store"))
    command = [sys.executable, "-B", "-m", "cloche", *own, "serve", "--port", "0", *words]
    made = Server(place, command, environment={**os.environ, "PYTHONPATH": ":".join(sys.path)})
    made.admin = made.token()
    return made


@contextmanager
def served(server: Server) -> Iterator[Server]:
    """Run a server for a block."""
    server.start()
    try:
        yield server
    finally:
        if server.process is not None and server.process.poll() is None:
            server.stop()


def written_project(room: Path) -> Path:
    """A project that can build nothing: its seed is not made."""
    place = room / "project"
    place.mkdir()
    (place / "cloche.toml").write_text((PROJECT / "cloche.toml").read_text())
    (place / "repo").symlink_to(PROJECT / "repo")
    return place


def add_target(server: Server, id: str = "0" * 12, **more: Any) -> dict[str, Any]:
    """Put a target into the database of a server, with a token of its own."""
    description = more.pop("description", described())
    found = digest(description)
    target = Target(
        id, "a target", found, Level.ABI, None, "amd64", description.chost, "local:default",
        (), 1e9, 1e9,
    )  # fmt: skip
    target = replace(target, **more)
    server.state.make()
    file = server.state.description(found)
    file.write_bytes(gzip.compress(encode_description(description)))
    with server.database() as database:
        database.add_target(target)
    token = server.token(Role.REQUEST, id)
    return {"id": id, "token": token, "binhost": f"/t/{id}", "digest": found}


def add_package(
    server: Server,
    target: dict[str, Any],
    cpv: str,
    data: bytes = b"package",
    *,
    offer: bool = True,
    days: float = 0,
) -> str:
    """Put a package into the pool of a server, and offer it to a target; return its path.

    It was made and last used so many ``days`` ago.
    """
    made = time.time() - days * 24 * 3600
    with server.database() as database, database.transaction():
        number = database.next_number(cpv)
        source = server.state.path / "source"
        source.write_bytes(data)
        found = pool.publish(source, server.state.pool, cpv, number, ENTRY.format(cpv=cpv), None)
        package = Package(
            0, f"{cpv}-{number}".encode().hex(), cpv, "local", (), found.path, number, found.size,
            found.entry, "amd64", "x86_64-pc-linux-gnu", None, made, made,
        )  # fmt: skip
        id = database.add_package(package)
        environment = msgspec.json.encode(Environment(), order="deterministic")
        database.add_environment(id, environment, (), Level.ABI, target["digest"])
        (candidate,) = (
            each.id
            for each in database.candidates("amd64", "x86_64-pc-linux-gnu")
            if each.package == id
        )
        before = database.judged(target["digest"], Level.ABI)
        judged = [*before, Judged(candidate, offer, "" if offer else "no")]
        database.judge(target["digest"], Level.ABI, judged, f"{candidate}:test")
    return found.path


def add_offers(server: Server, target: dict[str, Any], count: int) -> None:
    """Put packages of a usual size of entry into the index of a target; they have no files."""
    more = "DEPEND: {0}\nRDEPEND: {0}\nIUSE: a b c d e\nUSE: a b\n".format("dev-libs/x:= " * 20)
    with server.database() as database, database.transaction():
        for number in range(count):
            cpv = f"app-{number % 30}/p{number}-1"
            text = more + ENTRY.format(cpv=cpv)
            package = Package(
                0, f"g{number}", cpv, "local", (), pool.path_of(cpv, 1), 1, 1, text, "amd64",
                "x86_64-pc-linux-gnu", None, time.time(), time.time(),
            )  # fmt: skip
            id = database.add_package(package)
            database.add_environment(id, b"{}", (), Level.ABI, target["digest"])
            place = server.state.pool / package.path
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(b"x")
        judged = [Judged(each.id, True, "") for each in database.candidates()]
        database.judge(
            target["digest"], Level.ABI, judged, f"{max(each.candidate for each in judged)}:all"
        )


def token_named(server: Server, secret: str) -> Token:
    """The token of a secret."""
    with server.database() as database:
        found = database.token(tokens.digest_of(secret))
    assert found is not None
    return found
