"""The service as a client sees it: a package that is ready, enrolment, a change.

Clients are chroots of the Debian seed in which their own Python and Portage run.
"""

from __future__ import annotations

import functools
import http.server
import json
import os
import random
import re
import select
import shutil
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.client.handed_out import TEXT
from tests.client.target_root import ISOLATION, Target, make_target
from tests.service.serving import Server, served, server_of
from tests.targets.described import PROJECT

from bench.place import BenchError, Place, settle
from bench.table import Aim, Row, median_row
from cloche.service.values import Role

PACKAGE = "app-misc/stone"
INSTALLED = 600
FLAGS = 'FEATURES="{isolation}"\nUSE="moss"\nCFLAGS="-O2 -pipe"\n'
REPOS = """[DEFAULT]
main-repo = local

[local]
location = /var/db/repos/local
"""
BINHOST = "[static]\nsync-uri = {address}\nverify-signature = false\n"
MEGABYTE = 1e6
OLD = 1.7e9  # when the packages were installed: the client reads again what was written just now
LOADED = {
    "BDEPEND": "virtual/pkgconfig >=dev-build/meson-1.2.1\n",
    "IUSE": "doc examples +nls selinux static-libs test\n",
    "KEYWORDS": "amd64 ~arm64\n",
    "LICENSE": "GPL-2\n",
    "CFLAGS": "-O2 -pipe\n",
    "CHOST": "x86_64-pc-linux-gnu\n",
    "CONTENTS": "".join(f"obj /usr/share/x/{n} {'0' * 32} 1700000000\n" for n in range(200)),
}


def rows(place: Place, seed: Path, runs: int) -> list[Row]:
    """All rows."""
    project = place.directory / "service"
    shutil.copytree(PROJECT, project)
    with served(server_of(project, store=place.store)) as server:
        return [*want_rows(place, seed, server, runs), *enrol_rows(place, seed, server, runs)]


def want_rows(place: Place, seed: Path, server: Server, runs: int) -> list[Row]:
    """`want -e` of a package that is ready, and a plain emerge of the same file, in turns."""
    client, plain = (_target(place, seed, name) for name in ("client", "plain"))
    _enrol(client, server, server.url)
    client.client("want", PACKAGE)
    client.write("client.py", TEXT)
    taken: dict[str, list[float]] = {"client": [], "plain": []}
    with _static(_copied(place, client, server)) as address:
        plain.write("etc/portage/binrepos.conf/static.conf", BINHOST.format(address=address))
        commands = {
            "client": (client, ("python3", "/client.py", "want", "-e", PACKAGE)),
            "plain": (plain, ("emerge", "--getbinpkgonly", PACKAGE)),
        }
        for turn in range(runs + 1):  # the first fills caches
            for name in sorted(commands, reverse=bool(turn % 2)):
                target, words = commands[name]
                settle()
                taken[name].append(_seconds(target, *words))
                if "moss" not in target.run("stone"):
                    raise BenchError(f"{PACKAGE} is not the one that was asked for")
                target.run("emerge", "--unmerge", "--quiet", PACKAGE, CLEAN_DELAY="0")
                for cache in ("binhost", "binpkgs"):
                    shutil.rmtree(target.place / "upper/var/cache" / cache, ignore_errors=True)
    what = "`cloche-client want -e` of one package that is ready, to the end of emerge"
    beside = "`emerge --getbinpkgonly` of the same file from a static directory"
    return [
        median_row(what, taken["client"][1:], "s", (taken["plain"][1:], beside), Aim(1.5)),
    ]


def enrol_rows(place: Place, seed: Path, server: Server, runs: int) -> list[Row]:
    """Enrolment of a machine with many packages, and a change of it: time, and bytes both ways."""
    enrolled, changed = Measured(), Measured()
    with counted(server.url) as relay:
        for turn in range(runs):
            target = _target(place, seed, f"many-{turn}")
            for number in range(INSTALLED):
                cpv = f"app-{number % 30}/package{number}-1.{number}"
                target.install(cpv, **LOADED, **_dependencies(number))
                os.utime(target.place / "upper/var/db/pkg" / cpv, (OLD, OLD))
            settle()
            with relay.measured(enrolled):
                _enrol(target, server, relay.address)
            _wait_until_proven(target, server)  # which takes a core for a while
            target.write("etc/portage/package.use/local", f"app-1/package1 doc\n# {turn}\n")
            with relay.measured(changed):
                target.client("refresh")
            shutil.rmtree(target.place)
    what = f"enrolment of a machine with {INSTALLED} packages"
    change = "`cloche-client refresh` after a change in /etc/portage"
    return [
        median_row(what, enrolled.seconds, "s", aim=Aim(5, of="value")),
        median_row(f"{what}: on the wire", enrolled.megabytes, "MB", aim=Aim(2, of="value")),
        median_row(change, changed.seconds, "s", aim=Aim(0.5, of="value")),
        median_row(f"{change}: on the wire", changed.megabytes, "MB", aim=Aim(0.02, of="value")),
    ]


def _dependencies(number: int) -> dict[str, str]:
    """Dependencies that no other package has, so that they cannot be compressed away."""
    chance = random.Random(number)
    names = [f"dev-libs/lib{chance.randbytes(4).hex()}" for _ in range(chance.randrange(2, 16))]
    return {
        "DEPEND": " ".join(f">={name}-{chance.randrange(9)}:=[a?]" for name in names) + "\n",
        "RDEPEND": " ".join(f"{name}:0/{chance.randrange(9)}=" for name in names) + "\n",
    }


def _target(place: Place, seed: Path, name: str) -> Target:
    """A machine with the repository of the project."""
    target = make_target(seed, place.directory / name, {})
    upper = target.place / "upper"
    shutil.copytree(PROJECT / "repo", upper / "var/db/repos/local")
    link = upper / "etc/portage/make.profile"
    link.unlink()
    link.symlink_to("../../var/db/repos/local/profiles/default")
    target.write("etc/portage/repos.conf", REPOS)
    target.write("etc/portage/make.conf", FLAGS.format(isolation=ISOLATION))
    return target


def _enrol(target: Target, server: Server, address: str) -> None:
    target.client("enrol", "--server", address, CLOCHE_TOKEN=server.token(Role.REQUEST))


def _access(target: Target) -> tuple[str, str]:
    """The id of a target, and its token."""
    told = json.loads((target.place / "upper/etc/cloche-client.json").read_text())
    return told["target"], told["token"]


def _wait_until_proven(target: Target, server: Server) -> None:
    """Wait until the service knows what an enrolled target takes. Raises BenchError."""
    id, token = _access(target)
    end = time.monotonic() + 120
    while not server.ask("GET", f"/api/v1/targets/{id}", token).json()["proven"]:
        if time.monotonic() > end:
            raise BenchError("nothing was proven")
        time.sleep(0.1)


def _seconds(target: Target, *words: str) -> float:
    began = time.monotonic()
    target.run(*words)
    return time.monotonic() - began


def _copied(place: Place, client: Target, server: Server) -> Path:
    """The client's index and packages as files."""
    directory = place.directory / "static"
    id, token = _access(client)
    base = f"/t/{id}"
    index = server.ask("GET", f"{base}/Packages", token).text
    directory.mkdir()
    (directory / "Packages").write_text(index)
    for path in re.findall("^PATH: (.*)$", index, re.MULTILINE):
        file = directory / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(server.ask("GET", f"{base}/{path}", token).content)
    return directory


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@contextmanager
def _static(directory: Path) -> Iterator[str]:
    """A server of files; its address."""
    handler = functools.partial(_Quiet, directory=str(directory))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@dataclass
class Measured:
    """Seconds, and bytes in both directions, of several runs."""

    seconds: list[float] = field(default_factory=list)
    megabytes: list[float] = field(default_factory=list)


@dataclass
class Relay:
    """Passes connections on, and counts their bytes."""

    address: str
    bytes: int = 0

    @contextmanager
    def measured(self, into: Measured) -> Iterator[None]:
        """Measure a block."""
        before, began = self.bytes, time.monotonic()
        yield
        into.seconds.append(time.monotonic() - began)
        into.megabytes.append((self.bytes - before) / MEGABYTE)

    def pass_on(self, client: socket.socket, server: socket.socket) -> None:
        """Pass on all of a connection."""
        other = {client: server, server: client}
        with client, server:
            while True:
                for each in select.select(list(other), [], [])[0]:
                    try:
                        data = each.recv(1 << 16)
                        other[each].sendall(data)
                    except OSError:
                        return
                    if not data:
                        return
                    self.bytes += len(data)


@contextmanager
def counted(url: str) -> Iterator[Relay]:
    """A relay before a server."""
    host, port = url.removeprefix("http://").split(":")
    with socket.create_server(("127.0.0.1", 0)) as listening:
        relay = Relay(f"http://127.0.0.1:{listening.getsockname()[1]}")

        def accept() -> None:
            while True:
                try:
                    client, _ = listening.accept()
                except OSError:
                    return
                server = socket.create_connection((host, int(port)))
                threading.Thread(target=relay.pass_on, args=(client, server), daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()
        try:
            yield relay
        finally:
            listening.shutdown(socket.SHUT_RDWR)
