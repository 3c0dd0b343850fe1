"""A target over ssh, composed and mounted: `python -m bench.over_ssh --store DIR`, as root.

Prints the table in docs/targets.md. The target is the Debian seed of the store with a VDB whose
packages own all of its files, as Gentoo's do, in a network namespace with sshd; bytes are counted
by the interface between. ``--store`` is a store with that seed; it is copied, not changed.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.support import Store as TestedStore
from tests.support import User
from tests.targets.described import PROJECT
from tests.targets.sshd import SshTarget, ssh_target

from bench import facts
from bench.place import ROOT, BenchError, say
from cloche.layers import commit
from cloche.seeds.directory import NOT_OF_A_SYSTEM
from cloche.store import Store

OURS, THEIRS = "10.211.55.1", "10.211.55.2"
DELAYS = (0, 10)  # milliseconds there and back
ATOM = "app-misc/tree"
_RELAY = """\
import os, select, socket, sys, time
delay, there = float(sys.argv[1]) / 2000, socket.create_connection((sys.argv[2], sys.argv[3]))
ends = {0: there.fileno(), there.fileno(): 1}
waiting = []
while ends:
    now = time.monotonic()
    while waiting and waiting[0][0] <= now:
        _, end, data = waiting.pop(0)
        while data:
            data = data[os.write(end, data):]
    timeout = max(0, waiting[0][0] - now) if waiting else None
    for fd in select.select(list(ends), [], [], timeout)[0]:
        data = os.read(fd, 1 << 18)
        if not data:
            sys.exit()
        waiting.append((time.monotonic() + delay, ends[fd], data))
"""


@dataclass(frozen=True)
class Result:
    """A run: what, seconds in all, megabytes over the link, and what its parts took."""

    what: str
    seconds: float
    megabytes: float
    said: str = ""


def main() -> None:
    """Measure everything, and print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--store", type=Path, required=True)
    options = parser.parse_args()
    if os.geteuid() != 0:
        raise BenchError("run it as root")
    room = Path(tempfile.mkdtemp(prefix="cloche-bench-"))
    try:
        with network() as (name, within):
            measure(room, options.store, name, within)
    finally:
        subprocess.run(["rm", "-rf", room], check=True)


@contextmanager
def network() -> Iterator[tuple[str, list[str]]]:
    """A network namespace behind a pair of interfaces: ours, and what enters it."""
    name = f"cl{os.getpid() % 100000}"
    run("ip", "netns", "add", name)
    try:
        run("ip", "link", "add", f"{name}a", "type", "veth", "peer", f"{name}b", "netns", name)
        run("ip", "addr", "add", f"{OURS}/30", "dev", f"{name}a")
        run("ip", "link", "set", f"{name}a", "up")
        within = ["ip", "netns", "exec", name]
        run(*within, "ip", "addr", "add", f"{THEIRS}/30", "dev", f"{name}b")
        run(*within, "ip", "link", "set", f"{name}b", "up")
        run(*within, "ip", "link", "set", "lo", "up")
        yield f"{name}a", within
    finally:
        run("ip", "netns", "del", name)


def run(*words: str | Path) -> None:
    """Run a program, which must not fail."""
    subprocess.run(words, check=True)


def owned_root(store: Path, place: Path) -> Path:
    """The seed with a VDB entry that owns its files, as the target's root and a layer here."""
    tree = place / "tree"
    with Store.open(store) as opened:
        (seed,) = (tree.path for tree in opened.trees() if tree.kind == "seed")
        run("cp", "-a", seed, tree)
        entry = tree / "var/db/pkg/sys-apps/all-1"
        entry.mkdir(parents=True)
        for name, text in {"SLOT": "0\n", "EAPI": "8\n", "PF": "all-1\n"}.items():
            (entry / name).write_text(text)
        lines = []
        for path in sorted(tree.rglob("*")):
            if path.is_file() and not path.is_symlink():
                with path.open("rb") as file:
                    digest = hashlib.file_digest(file, "md5").hexdigest()
                lines.append(f"obj /{path.relative_to(tree)} {digest} {int(path.stat().st_mtime)}")
        (entry / "CONTENTS").write_text("\n".join(lines) + "\n")
        with opened.workspace("bench") as room:
            run("cp", "-a", tree, room / "tree")
            commit(opened, room / "tree", kind="seed", label="all owned")
    return tree


def measure(room: Path, source: Path, interface: str, within: list[str]) -> None:
    """Measure over each kind of link, and print the tables."""
    user = User("root", room, sys.executable, ROOT / "src")
    full = TestedStore(source, user).copy(room / "full", linked=False)
    root = owned_root(full.path, room)
    add_configuration(root)
    place = room / "target"
    place.mkdir()
    load = os.getloadavg()[0]
    with ssh_target(place, [root], address=THEIRS, within=within) as target:
        target.copy(PROJECT / "repo", "/var/db/repos/local")
        for delay in DELAYS:
            trial = Trial(room, full, target, interface, delay)
            rows = [*trial.rows()]
            print(f"\n{delay} ms there and back")
            for row in rows:
                print(f"| {row.what} | {row.seconds:.1f} | {row.megabytes:.2f} | {row.said} |")
    print("\n".join(f"{name}: {value}" for name, value in facts.about(room, load)))


def add_configuration(root: Path) -> None:
    """An /etc/portage, as the target's administrator has it."""
    etc = root / "etc/portage"
    etc.mkdir(exist_ok=True)
    (etc / "make.profile").symlink_to("../../var/db/repos/local/profiles/default")
    (etc / "repos.conf").write_text(
        "[DEFAULT]\nmain-repo = local\n[local]\nlocation = /var/db/repos/local\n"
    )


@dataclass(frozen=True)
class Trial:
    """All ways over one link."""

    room: Path
    full: TestedStore
    target: SshTarget
    interface: str
    delay: int

    def rows(self) -> Iterator[Result]:
        """Each way at first, again, and after a change there."""
        path = slow(self.target, self.delay)
        settle()
        yield self.measured("all of it as tar with zstd, unpacked", lambda: self.tar(path))
        nothing = TestedStore(self.room / f"empty{self.delay}", self.full.user)
        yield from self.thrice("composed, a store that has nothing", nothing, path)
        packages = self.full.copy(self.room / f"copy{self.delay}")
        yield from self.thrice("composed, a store that has its packages", packages, path)
        yield from self.thrice("mounted", packages, path, "--mount")
        for store in (nothing, packages):
            subprocess.run(["rm", "-rf", store.path], check=True)

    def thrice(self, what: str, store: TestedStore, path: str, *more: str) -> Iterator[Result]:
        """Build at first, again, and after a change there."""

        def build() -> str:
            return self.build(store, path, *more)

        yield self.measured(f"{what}: first", build)
        yield self.measured(f"{what}: again", build)
        self.change(f"{self.delay} {what}")
        yield self.measured(f"{what}: after an update of one package", build)

    def measured(self, what: str, work: Callable[[], str]) -> Result:
        """Do something; return how long it took, and what it took of the link."""
        say(f"{self.delay} ms, {what}")
        before, began = self.counted(), time.monotonic()
        said = work()
        seconds = time.monotonic() - began
        return Result(what, seconds, (self.counted() - before) / 1e6, said)

    def counted(self) -> int:
        """Bytes so far, both ways."""
        place = Path("/sys/class/net", self.interface, "statistics")
        return sum(int((place / f"{way}_bytes").read_text()) for way in ("rx", "tx"))

    def change(self, what: str) -> None:
        """A package with 20 files and its VDB entry, as an update leaves them."""
        self.target.run(
            "d=/var/db/pkg/app-misc/news-1; mkdir -p $d /usr/share/news\n"
            f"echo 0 > $d/SLOT; echo 8 > $d/EAPI; echo '{what}' > $d/note; : > $d/CONTENTS\n"
            "for i in $(seq 20); do f=/usr/share/news/$i; head -c 20000 /dev/urandom > $f\n"
            "echo obj $f $(md5sum < $f | cut -c1-32) $(stat -c %Y $f) >> $d/CONTENTS; done\n"
        )
        settle()

    def tar(self, path: str) -> str:
        """Fetch and unpack everything, as one would without cloche."""
        left = " ".join(f"--exclude=./{name}/*" for name in NOT_OF_A_SYSTEM)
        port = self.target.address.rpartition(":")[2]
        words = ["ssh", "-p", port, f"root@{THEIRS}", f"tar -C / --zstd -c {left} ."]
        packed, tree = self.room / "all.tar.zst", self.room / "unpacked"
        with packed.open("wb") as file:
            environment = {**os.environ, "PATH": path}
            subprocess.run(
                words, env=environment, stdout=file, check=True, stderr=subprocess.DEVNULL
            )
        tree.mkdir()
        run("tar", "-C", tree, "--zstd", "-xpf", packed)
        shutil.rmtree(tree)
        return ""

    def build(self, store: TestedStore, path: str, *more: str) -> str:
        """Build a package anew; return how long its parts took."""
        project = self.room / "project"
        if not project.exists():
            shutil.copytree(PROJECT, project)
        (project / "cloche.lock").unlink(missing_ok=True)
        to = ("--target", self.target.address)
        words = ("build", "--progress", "plain", *to, ATOM, "--rebuild", ATOM)
        done = store.cloche(*words, *more, cwd=project, env={"PATH": path})
        if done.returncode:
            raise BenchError(done.stderr)
        parts = re.findall(r"resolve: [\d.]+ s|built +\S+ +[\d.]+ s", done.stderr)
        return ", ".join([*parts, *re.findall(r"\d+ fetched \([^)]*\)", done.stderr)])


def slow(target: SshTarget, delay: int) -> str:
    """A PATH with an ssh whose packets take their time."""
    path = target.path_for()
    config, relay = target.room / "client/config", target.room / "relay.py"
    relay.write_text(_RELAY)
    lines = [each for each in config.read_text().splitlines() if "ProxyCommand" not in each]
    if delay:
        lines.append(f"ProxyCommand {sys.executable} {relay} {delay} %h %p")
    config.write_text("\n".join(lines) + "\n")
    return path


def settle() -> None:
    """Wait until ctimes tell what changes from now on."""
    time.sleep(3.5)


if __name__ == "__main__":
    main()
