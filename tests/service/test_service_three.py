"""Three machines, each in a network namespace of its own: everybody gets exactly what fits.

They differ in USE, CFLAGS and an installed library. Nothing of cloche but its client is in them.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.client.target_root import ISOLATION, Target, make_target
from tests.cluster.networks import Network, network
from tests.service.serving import Server, served, server_of
from tests.support import Store, project
from tests.targets.described import PROJECT

from cloche.service.values import Role

pytestmark = pytest.mark.real
ASK = """
import sys, urllib.error, urllib.request
address, token = sys.argv[1:]
request = urllib.request.Request(address, headers={"Authorization": f"Bearer {token}"})
try:
    with urllib.request.urlopen(request, timeout=60) as answer:
        print(answer.status, answer.read().decode())
except urllib.error.HTTPError as error:
    print(error.status)
"""
REPOS = "[DEFAULT]\nmain-repo = local\n\n[local]\nlocation = /var/db/repos/local\n"


@dataclass(frozen=True)
class Machine(Target):
    """A root that runs on a host of the network."""

    network: Network
    host: str
    server: str

    def command(self, *words: str, **environment: str) -> list[str | Path]:
        """The command line that runs a program in the root."""
        return [*self.network.inside(self.host), *super().command(*words, **environment)]

    def ask(self, path: str) -> tuple[int, str]:
        """The status and the body of an answer to this machine."""
        told = self.place / "upper/etc/cloche-client.json"
        token = json.loads(told.read_text())["token"]
        words = [*self.network.inside(self.host), sys.executable, "-c", ASK]
        done = subprocess.run(
            [*words, self.server + path, token], capture_output=True, text=True, check=True
        )
        status, _, body = done.stdout.partition(" ")
        return int(status), body

    def see(self, path: str) -> Any:
        """The JSON of an answer."""
        status, body = self.ask(path)
        assert status == 200, body
        return json.loads(body)

    @property
    def id(self) -> str:
        """The id that it has at the service."""
        (target,) = self.see("/api/v1/targets")["targets"]
        return str(target["id"])

    def set_flags(self, use: str, cflags: str) -> None:
        """Write make.conf."""
        text = f'FEATURES="{ISOLATION}"\nUSE="{use}"\nCFLAGS="{cflags}"\n'
        self.write("etc/portage/make.conf", text)

    def want(self, *words: str) -> Counter[str]:
        """Have packages built; how many of each name were really built for that."""
        known = {each["id"] for each in self.see("/api/v1/builds")["builds"]}
        told = self.client("want", *words)
        assert "All is ready" in told
        builds = [b for b in self.see("/api/v1/builds")["builds"] if b["id"] not in known]
        found = [self.see(f"/api/v1/builds/{each['id']}") for each in builds]
        return Counter(p["cpv"] for build in found for p in build["packages"] if p["built"])

    def emerge(self, *words: str) -> int:
        """Install with a stock emerge, from the service alone; the number of packages."""
        return self.run("emerge", "--getbinpkg", "--usepkgonly", *words).count("Emerging binary")

    def index(self) -> set[str]:
        """The packages that its index has."""
        status, body = self.ask(f"/t/{self.id}/Packages")
        assert status == 200
        return set(re.findall("^PATH: (.*)$", body, re.MULTILINE))


@pytest.fixture(scope="module")
def hosts(root_seeded: Store) -> Iterator[Network]:
    """The network: the service's host, and those of the machines."""
    assert root_seeded.path.exists()
    with network("service", "old", "new", "other") as made:
        yield made


@pytest.fixture(scope="module")
def server(root_seeded: Store, ground: Path, hosts: Network) -> Iterator[Server]:
    """The service, on a host of its own."""
    room = Path(tempfile.mkdtemp(prefix="three-", dir=ground))
    store = root_seeded.copy(room / "store")
    server = server_of(
        project(store, PROJECT), "--host", hosts.address("service"), store=store.path
    )
    server.command[:0] = hosts.inside("service")
    with served(server) as running:
        yield running
    shutil.rmtree(room)


@pytest.fixture(scope="module")
def machines(
    root_seeded: Store, ground: Path, hosts: Network, server: Server
) -> Iterator[dict[str, Machine]]:
    """The machines, enrolled; the library was built on each."""
    room = Path(tempfile.mkdtemp(prefix="machines-", dir=ground))
    made = {}
    for host, leaf, use, cflags in (
        ("old", "1.0", "fruit", "-O1"),
        ("new", "2.0", "fruit", "-O1"),
        ("other", "1.1", "moss", "-O2"),
    ):
        make_target(root_seeded.seed_layer, room / host, {})
        machine = Machine(root_seeded.seed_layer, room / host, hosts, host, server.url)
        etc = room / host / "upper/etc/portage"
        shutil.copytree(PROJECT / "repo", room / host / "upper/var/db/repos/local")
        (etc / "make.profile").unlink()
        (etc / "make.profile").symlink_to("../../var/db/repos/local/profiles/default")
        machine.write("etc/portage/repos.conf", REPOS)
        machine.set_flags(use, cflags)
        machine.run("emerge", f"=dev-libs/leaf-{leaf}")
        token = server.token(Role.REQUEST)
        machine.client("enrol", "--allow-http", "--server", server.url, CLOCHE_TOKEN=token)
        made[host] = machine
    yield made
    shutil.rmtree(room)


def test_each_gets_what_fits(machines: dict[str, Machine]) -> None:
    old, new, other = machines["old"], machines["new"], machines["other"]
    atoms = ("app-misc/tree", "app-misc/stone")
    tree, stone = "app-misc/tree-1", "app-misc/stone-1"

    assert old.want(*atoms) == {tree: 1, stone: 1}
    assert new.want(*atoms) == {tree: 1}, "the other library; nothing else differs"
    assert other.want(*atoms) == {tree: 1, stone: 1}, "other flags"
    for machine in machines.values():
        assert machine.emerge(*atoms) == len(atoms)
    assert old.run("tree") == "leaf 1, fruit\n"
    assert new.run("tree") == "leaf 2, fruit\n"
    assert other.run("tree") == "leaf 1\n"
    assert old.run("stone") == new.run("stone") == "-O1\n"
    assert other.run("stone") == "-O2 moss\n"
    assert len(old.index() & new.index()) == 1, "stone alone is for both"
    assert not other.index() & (old.index() | new.index())


def test_nothing_of_another_machine_is_seen(machines: dict[str, Machine]) -> None:
    old, new = machines["old"], machines["new"]
    assert new.want("dev-libs/leaf", "--update") == {}, "there is no newer one"
    (theirs,) = (path for path in old.index() if path.startswith("app-misc/tree/"))
    (build, *_) = old.see("/api/v1/builds")["builds"]
    assert build["id"] not in {each["id"] for each in new.see("/api/v1/builds")["builds"]}
    for path in (
        f"/t/{old.id}/Packages",
        f"/t/{old.id}/{theirs}",
        f"/t/{new.id}/{theirs}",
        f"/api/v1/targets/{old.id}",
        f"/api/v1/builds/{build['id']}",
        f"/api/v1/builds/{build['id']}/events",
    ):
        assert new.ask(path)[0] == 404, path
    assert old.ask(f"/t/{old.id}/{theirs}".replace("tree-1", "tree-2"))[0] == 404


def test_the_level_decides_what_is_handed_over(machines: dict[str, Machine]) -> None:
    old, other = machines["old"], machines["other"]
    assert old.want("app-misc/wood", "--level", "1")["app-misc/wood-1"] == 1
    assert other.want("app-misc/wood", "--level", "1") == {}, "CFLAGS do not count"

    other.set_flags("fruit", "-O1")
    assert other.want("app-misc/tree", "--newuse") == {}, "another version with the same ABI"
    assert other.emerge("--newuse", "app-misc/tree") == 1
    assert other.run("tree") == "leaf 1, fruit\n"
    assert not built_at_3b(other, "app-misc/tree"), "it was built with just that version"
    assert built_at_3b(old, "app-misc/tree"), "it was not, though for this machine"


def built_at_3b(machine: Machine, atom: str) -> bool:
    """Whether a package is built if a machine asks for it at the level 3b."""
    status, body = machine.ask(f"/api/v1/targets/{machine.id}/wants?want={atom}&level=3b")
    build = f"/api/v1/builds/{json.loads(body)['build']}"
    assert (status, machine.ask(f"{build}/events")[0]) == (202, 200), "to the end of its events"
    (made,) = (p for p in machine.see(build)["packages"] if p["cpv"].startswith(f"{atom}-"))
    return bool(made["built"])
