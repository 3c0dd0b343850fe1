"""What the tests of overlays begin with: somebody's overlay, and a Gentoo system to take it to."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.overlays.published import LEAF, MAIN, Upstream, listed, publish, write_tree
from tests.support import Store, once


@dataclass
class System:
    """The root of a Gentoo system with the repository "main", and a store with a seed."""

    root: Path
    store: Store
    list: Path

    @property
    def top(self) -> Path:
        """Where repositories come to."""
        return self.root / "var/lib/overlayman"

    def overlay(self, command: str, *words: str | Path) -> subprocess.CompletedProcess[str]:
        """Run a command of `cloche overlay`."""
        named = ("--list", self.list) if command in ("add", "update", "rm") else ()
        return self.store.cloche("overlay", command, *words, "--root", self.root, *named)

    def done(self, command: str, *words: str | Path) -> str:
        """The same, which has to succeed; all that it says."""
        ended = self.overlay(command, *words)
        assert ended.returncode == 0, ended.stderr
        return ended.stdout + ended.stderr

    def refused(self, command: str, *words: str | Path) -> tuple[int, str]:
        """The same, which has to fail: the status, and the line that says why."""
        before = self.files()
        ended = self.overlay(command, *words)
        assert ended.returncode in (1, 2, 3), (ended.stdout, ended.stderr)
        assert self.files() == before  # nothing is written, not even in part
        return ended.returncode, ended.stderr.splitlines()[-1]

    def files(self) -> dict[str, bytes]:
        """All files of the system that a command may write."""
        tops = ("etc", "var/lib")
        found = [path for top in tops for path in (self.root / top).rglob("*") if path.is_file()]
        return {str(path.relative_to(self.root)): path.read_bytes() for path in sorted(found)}

    def list_overlays(self, *overlays: Upstream) -> None:
        self.list.write_text(listed(*overlays))


@pytest.fixture
def upstream(tmp_path: Path) -> Upstream:
    return publish(tmp_path / "thicket")


@pytest.fixture(scope="session")
def store(root_seeded: Store, ground: Path) -> Store:
    """A store with a seed for all of these tests, which only add to it."""
    path = ground / "overlays-store"
    with once(ground, "overlays-store") as first:
        return root_seeded.copy(path) if first else Store(path, root_seeded.user)


@pytest.fixture
def system(tmp_path: Path, upstream: Upstream, store: Store) -> System:
    return made_system(tmp_path, upstream, store)


@pytest.fixture(scope="session")
def taken(tmp_path_factory: pytest.TempPathFactory, store: Store) -> tuple[System, Upstream, str]:
    """A system with the package, its overlay, and what was said: for tests that only look."""
    place = tmp_path_factory.mktemp("taken")
    upstream = publish(place / "thicket")
    made = made_system(place, upstream, store)
    return made, upstream, made.done("add", LEAF)


def made_system(place: Path, upstream: Upstream, store: Store) -> System:
    root = place / "root"
    write_tree(root / "var/db/repos/main", MAIN)
    conf = root / "etc/portage/repos.conf/main.conf"
    conf.parent.mkdir(parents=True)
    conf.write_text("[DEFAULT]\nmain-repo = main\n[main]\nlocation = /var/db/repos/main\n")
    made = System(root, store, place / "repositories.xml")
    made.list_overlays(upstream)
    return made
