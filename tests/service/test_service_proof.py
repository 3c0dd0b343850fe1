"""The service under load, killed, and beside nginx: `make proof-service`."""

from __future__ import annotations

import hashlib
import http.client
import os
import random
import re
import shutil
import signal
import statistics
import subprocess
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from tests.cluster.running import free_port, wait_for
from tests.service.serving import (
    Server,
    add_offers,
    add_package,
    add_target,
    served,
    server_of,
    written_project,
)
from tests.support import Store, cannot, project
from tests.targets.described import PROJECT, described, entry

from cloche.service.values import Role
from cloche.targets.levels import Level

pytestmark = [pytest.mark.real, pytest.mark.proof(name="service")]

PACKAGES, CLIENTS, KILLS = 40, 200, int(os.environ.get("CLOCHE_PROOF_KILLS", "100"))
MEMORY = 250 << 20
NEW = {"dev-libs/leaf-2.0": entry("0/2", iuse="veins")}
OLD = {"dev-libs/leaf-1.0": entry("0/1", iuse="veins")}
TARGETS = (  # the last one needs packages of its own
    described(OLD, {"CFLAGS": "-O1"}),
    described(OLD, {"CFLAGS": "-O1"}, world=("app-misc/stone",)),
    described(NEW, {"CFLAGS": "-O1"}),
    described(NEW, {"CFLAGS": "-O2"}),
)
DISTINCT = 2  # builds of a package that depends on nothing, for all of these targets


@pytest.fixture
def server(root_seeded: Store, tmp_path: Path) -> Server:
    """A server for a project with 40 small packages; it is not started."""
    place = project(root_seeded, PROJECT)
    ebuild = place / "repo/app-misc/stone/stone-1.ebuild"
    for number in range(PACKAGES):
        copy = place / f"repo/app-misc/stone{number}x/stone{number}x-1.ebuild"
        copy.parent.mkdir()
        shutil.copy(ebuild, copy)
    return server_of(place, store=root_seeded.copy(tmp_path / "store").path)


def atom(number: int) -> str:
    """The name of a package."""
    return f"app-misc/stone{number}x"


def enrolled(server: Server) -> list[dict[str, Any]]:
    """All targets, enrolled."""
    token = server.token(Role.REQUEST)
    return [server.enrol(each, token, name=f"machine {n}") for n, each in enumerate(TARGETS)]


def memory(pid: int) -> int:
    """The largest resident size that a process has had, in bytes."""
    status = Path(f"/proc/{pid}/status").read_text()
    (kib,) = re.findall(r"^VmHWM:\s+(\d+) kB$", status, re.MULTILINE)
    return int(kib) << 10


def descendants(pid: int) -> list[int]:
    """The processes that a process has started, and what these have started."""
    found: list[int] = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        with suppress(OSError):  # it ends
            children = [int(word) for word in task.read_text().split()]
            found += [each for child in children for each in (child, *descendants(child))]
    return found


def load() -> str:
    """The load of this machine, for those who read the figures."""
    return f"load {os.getloadavg()[0]:.1f}"


def test_200_clients_ask_for_40_packages(server: Server) -> None:
    with served(server):
        targets = enrolled(server)
        assert server.process is not None

        def client(number: int) -> tuple[str, str]:
            """Ask for a package, wait for it, fetch it; the build and the digest of the file."""
            target, wanted = targets[number % len(targets)], atom(number // len(TARGETS) % PACKAGES)
            built = server.build(target, wanted)
            assert built["state"] == "done", built
            found = server.index(target)[f"{wanted}-1"]
            path = f"{target['binhost']}/{found['PATH']}"
            answer = server.ask("GET", path, target["token"])
            assert (answer.status_code, str(len(answer.content))) == (200, found["SIZE"])
            assert hashlib.sha1(answer.content).hexdigest() == found["SHA1"]
            return built["build"], found["PATH"]

        began = time.monotonic()
        with ThreadPoolExecutor(CLIENTS) as pool:
            results = list(pool.map(client, range(CLIENTS)))
        seconds, most = time.monotonic() - began, memory(server.process.pid)
        built: Counter[str] = Counter()
        for build in {build for build, _ in results}:
            events = server.follow(f"/api/v1/builds/{build}/events", server.admin)
            built.update(
                e["package"] for e in events if e["event"] == "done" and e["how"] == "built"
            )
        print(
            f"{CLIENTS} clients: {seconds:.1f} s, {len({b for b, _ in results})} builds,"
            f" {sum(built.values())} packages built, {most >> 20} MiB, {load()}"
        )
        assert len(built) == PACKAGES
        assert set(built.values()) == {DISTINCT}, built
        assert most <= MEMORY


def test_kills_lose_nothing(server: Server) -> None:
    number = os.environ.get("CLOCHE_TESTS_SEED") or str(time.time_ns())
    print(f"CLOCHE_TESTS_SEED={number}, {KILLS} kills")
    chance, killed = random.Random(number), Counter[str]()
    asked: set[str] = set()
    with served(server):
        targets = enrolled(server)
        for number in range(KILLS):
            target = targets[number % len(targets)]
            path = f"/api/v1/targets/{target['id']}/wants"
            atoms = [atom(chance.randrange(PACKAGES)) for _ in range(3)]
            answer = server.ask("POST", path, target["token"], json={"atoms": atoms})
            assert answer.status_code in (200, 202), answer.text
            asked |= {answer.json()["build"]} - {None}
            time.sleep(chance.random() * 3)
            killed[kill(server, chance)] += 1
            check_offers(server, targets)
        for build in asked:
            assert ended(server, build) == "done"
        check_offers(server, targets)
        with server.database() as database:
            assert database.check() == "ok"
            made = {each.path for each in database.packages()}
    print(f"killed: {dict(killed)}; {len(asked)} builds ended, {len(made)} packages, {load()}")
    pool = server.state.pool
    assert {str(path.relative_to(pool)) for path in pool.rglob("*") if path.is_file()} == made
    assert list(server.state.builds.glob("*/into")) == []


def kill(server: Server, chance: random.Random) -> str:
    """Kill the server, or one of the processes that work for it; return which."""
    assert server.process is not None
    workers = descendants(server.process.pid)
    if workers and chance.random() < 0.4:
        with suppress(ProcessLookupError):
            os.kill(chance.choice(workers), signal.SIGKILL)
        return "worker"
    server.stop(signal.SIGKILL)
    server.start()
    return "server"


def check_offers(server: Server, targets: list[dict[str, Any]]) -> None:
    """See that everything in the indexes can be fetched as it is described."""
    for target in targets:
        for cpv, fields in server.index(target).items():
            if cpv:
                path = f"{target['binhost']}/{fields['PATH']}"
                content = server.ask("GET", path, target["token"]).content
                assert hashlib.sha1(content).hexdigest() == fields["SHA1"], cpv


def ended(server: Server, build: str) -> str:
    """How a build ends; one that was killed too often is repeated."""
    path, end = f"/api/v1/builds/{build}", time.monotonic() + 600
    while time.monotonic() < end:
        found = server.ask("GET", path, server.admin).json()
        why = " ".join(str(found[each]) for each in ("error", "refused") if found[each])
        killed = any(word in why for word in ("ended", "attempts", "killed"))
        if found["state"] == "failed" and killed:
            assert server.ask("POST", f"{path}/repeat", server.admin).status_code == 202
        elif found["state"] not in ("queued", "running"):
            return f"{found['state']}: {why}" if why else str(found["state"])
        time.sleep(0.5)
    raise AssertionError("it does not end")


SIZE = 100 << 20
NGINX = """
daemon off; pid {room}/pid; error_log {room}/log; user root; worker_processes 1;
events {{}}
http {{
  access_log off; sendfile on; client_body_temp_path {room}/a; proxy_temp_path {room}/b;
  fastcgi_temp_path {room}/c; uwsgi_temp_path {room}/d; scgi_temp_path {room}/e;
  server {{ listen 127.0.0.1:{port}; root {pool}; }}
}}
"""


def test_the_index_and_files_are_fast(tmp_path: Path) -> None:
    nginx = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin")
    if nginx is None:
        cannot("nginx is not installed")
    server = server_of(written_project(tmp_path))
    target = add_target(server)
    content = os.urandom(SIZE)
    large = add_package(server, target, "app-misc/large-1", content)
    add_offers(server, target, 600)
    room, port = tmp_path / "nginx", free_port()
    room.mkdir()
    file = room / "conf"
    file.write_text(NGINX.format(room=room, pool=server.state.pool, port=port))
    beside = subprocess.Popen([nginx, "-c", file, "-p", room])
    try:
        with served(server):
            address = server.url.removeprefix("http://")
            connection = http.client.HTTPConnection(address, timeout=60)
            path, token = f"{target['binhost']}/Packages", target["token"]
            new = [changed_index(server, target, connection) for _ in range(9)]
            warm = [timed(lambda: asked(connection, path, token)) for _ in range(50)]
            tag = str(asked(connection, path, token).headers["etag"])
            same = [timed(lambda: asked(connection, path, token, tag)) for _ in range(50)]
            ours, theirs = [], []
            for _ in range(9):
                ours.append(fetched(f"{server.url}{target['binhost']}/{large}", target["token"]))
                theirs.append(fetched(f"http://127.0.0.1:{port}/{large}", ""))
            resumed(f"{server.url}{target['binhost']}/{large}", token, tmp_path / "part", content)
    finally:
        beside.terminate()
        beside.wait()
    ratio = statistics.median(ours) / statistics.median(theirs)
    first, unmodified = statistics.median(new), statistics.median(same)
    print(
        f"index {first * 1e3:.0f} ms, again {statistics.median(warm) * 1e3:.1f} ms,"
        f" not modified {unmodified * 1e3:.1f} ms,"
        f" 100 MiB {statistics.median(ours):.3f} s, nginx {statistics.median(theirs):.3f} s:"
        f" {ratio:.2f}, {load()}"
    )
    assert first <= 0.1
    assert unmodified <= 0.005
    assert ratio <= 1.2


def changed_index(
    server: Server, target: dict[str, Any], connection: http.client.HTTPConnection
) -> float:
    """Seconds that an index takes after it has changed, as emerge asks for it."""
    with server.database() as database:
        database.raise_index(target["digest"], Level.ABI, time.time())
    path = f"{target['binhost']}/Packages.gz"
    return timed(lambda: asked(connection, path, target["token"]))


def asked(
    connection: http.client.HTTPConnection, path: str, token: str, tag: str = ""
) -> http.client.HTTPResponse:
    """An answer, on a connection that stays open."""
    headers = {"Authorization": f"Bearer {token}", **({"If-None-Match": tag} if tag else {})}
    connection.request("GET", path, headers=headers)
    answer = connection.getresponse()
    assert answer.status == (304 if tag else 200)
    answer.read()
    return answer


def timed(what: Callable[[], object]) -> float:
    """Seconds that something takes."""
    began = time.perf_counter()
    what()
    return time.perf_counter() - began


def fetched(url: str, token: str) -> float:
    """Seconds that wget takes for a file, as Portage calls it."""
    words = ("wget", "-q", "-O", "/dev/null", f"--header=Authorization: Bearer {token}", url)
    return timed(lambda: subprocess.run(words, check=True))


def resumed(url: str, token: str, file: Path, content: bytes) -> None:
    """A transfer that is cut off goes on where it was, with what wget is told by Portage."""
    words = ["wget", "-q", "-c", "-O", file, f"--header=Authorization: Bearer {token}", url]
    cut = subprocess.Popen([*words, "--limit-rate=40m"])
    wait_for(lambda: file.exists() and file.stat().st_size > SIZE // 10)
    cut.kill()
    cut.wait()
    there = file.stat().st_size
    assert there < SIZE
    with file.open("r+b") as part:
        part.write(bytes(4))  # which only a transfer from the beginning would overwrite
    subprocess.run(words, check=True)
    assert file.read_bytes() == bytes(4) + content[4:]
