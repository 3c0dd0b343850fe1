"""The world file is the one that emerge writes: no versions, no USE flags, slots that tell."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import stock_emerge
import tiny
from tests.support import Store, project

pytestmark = pytest.mark.real

EBUILD = """EAPI=8
DESCRIPTION="Nothing"
LICENSE="public-domain"
SLOT="{slot}"
KEYWORDS="amd64"
IUSE="+color"
S="${{WORKDIR}}"
"""
ATOMS = ("=tiny/plain-1", "tiny/other:0[color]", "=tiny/many-1", "tiny/leaf", "tiny/many:2")
TOML = """seed = "debian"
profile = "tiny:default"
portage = ["base"]
packages = {atoms}
"""


def test_the_world_file_is_emerges(
    root_seeded: Store, fresh: Callable[[Store], Store], ground: Path
) -> None:
    store = fresh(root_seeded)
    place = project(store, tiny.PROJECT)
    for name, version, slot in (("plain", 1, "0"), ("other", 1, "0"), ("many", 1, "1"),
                                ("many", 2, "2"), ("many", 3, "3")):  # fmt: skip
        directory = place / "repo/tiny" / name
        directory.mkdir(exist_ok=True)
        (directory / f"{name}-{version}.ebuild").write_text(EBUILD.format(slot=slot))
    (place / "machines/world.toml").write_text(TOML.format(atoms=list(ATOMS)))
    store.user.own(place)
    tiny.build(store, place, machine="world")
    told = store.cloche(
        "shell", "world", "--", "cat", "/var/lib/portage/world", cwd=place, check=True
    )
    root = ground / "world-emerged"
    machine = stock_emerge.machine_of(store, "world")
    emerged = stock_emerge.emerge(
        root, machine, [place / "repo"], place / "out/world/binpkgs", ATOMS
    )
    stock_emerge.assert_only_binary_packages(emerged, 5)
    wanted = (root / "var/lib/portage/world").read_text()
    subprocess.run(["rm", "-rf", root], check=False)
    assert wanted.split() == ["tiny/leaf", "tiny/many:1", "tiny/many:2", "tiny/other", "tiny/plain"]
    assert told.stdout == wanted
