"""The workbench, thirty packages, built cold: its root is what emerge makes, and so is its tarball.

Invariant 1: a root composed from layers equals the root that ``emerge`` makes by installing the
same packages: names, modes, owners, extended attributes, contents, VDB.
"""

from __future__ import annotations

import subprocess
from pathlib import Path
from types import SimpleNamespace

import pytest
import stock_emerge
from tests.support import WORKBENCH, Store, project

from cloche.config.project import load_project
from cloche.layers import compare

pytestmark = pytest.mark.real


@pytest.fixture(scope="module")
def bench(root_seeded: Store, ground: Path) -> SimpleNamespace:
    """The workbench, built from nothing but its seed."""
    place = ground / "workbench"
    place.mkdir()
    store = root_seeded.copy(place / "store")
    directory = project(store, WORKBENCH)
    store.cloche("build", "workbench", cwd=directory, check=True, timeout=1800)
    return SimpleNamespace(
        directory=directory,
        place=place,
        out=directory / "out/workbench",
        machine=stock_emerge.machine_of(store, "workbench"),
    )


def test_the_root_is_what_emerge_makes_of_the_same_binary_packages(bench: SimpleNamespace) -> None:
    wanted = load_project(bench.directory).machine("workbench")
    root = bench.place / "emerged"
    told = stock_emerge.emerge(
        root, bench.machine, [bench.directory / "repo"], bench.out / "binpkgs", wanted.targets
    )
    packages = list((bench.out / "binpkgs").rglob("*.gpkg.tar"))
    stock_emerge.assert_only_binary_packages(told, len(packages))
    assert len(packages) > 25
    stock_emerge.assert_same_root(bench.machine, root)


def test_the_tarball_is_the_root_and_its_programs_run(bench: SimpleNamespace) -> None:
    root = bench.place / "unpacked"
    root.mkdir()
    subprocess.run(
        ["tar", "--extract", "--file", bench.out / "stage4.tar.zst", "--directory", root,
         "--xattrs", "--xattrs-include=*", "--numeric-owner", "--same-permissions"],
        check=True,
    )  # fmt: skip
    # What the seed has in /run is gone with the first mount there.
    comparison = compare(list(bench.machine.stack), root, ignore=["run/*"])
    assert comparison.equal, comparison.text()

    def run(*command: str) -> str:
        return subprocess.check_output(["chroot", root, *command], text=True).strip()

    assert run("/usr/bin/jq", "--version") == "jq-1.6"
    assert run("/usr/bin/tmux", "-V") == "tmux 3.3a"
    assert run("/usr/bin/lua5.4", "-e", "print(_VERSION)") == "Lua 5.4"
    assert "notes-find: find notes by a Lua pattern" in run("/usr/bin/bench-index")
    assert "/usr/bin/tmux" in (root / "etc/shells").read_text().splitlines()
