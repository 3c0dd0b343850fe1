"""Native Gentoo from Debian in minutes: the example's chain of machines, the toolchain prebuilt.

What takes hours in `make proof-native` (compilers, C library, Python and so on) is Debian's own,
unpacked by ebuilds (`prebuilt`). The rest is compiled three times, in stages each of which is the
seed of the next.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import prebuilt
import pytest
from tests.support import Store

pytestmark = pytest.mark.real

HELLO = """
cd /tmp
cat > hello.cc <<'EOF'
#include <iostream>
int main() { std::cout << "hello\\n"; }
EOF
c++ -o hello hello.cc
./hello
"""
EMERGE = """
export PKGDIR=/tmp/binpkgs FEATURES=-news
emerge --oneshot --buildpkg app-misc/compiled
compiled
emerge --unmerge --quiet app-misc/compiled
test ! -e /usr/bin/compiled
emerge --oneshot --usepkgonly app-misc/compiled
compiled
"""


@dataclass(frozen=True)
class Chain:
    """The three stages, each built with the one before."""

    store: Store
    place: Path
    packages: Mapping[str, Mapping[str, Mapping[str, Any]]]  # of each stage, by their ids

    def cloche(self, *words: str) -> str:
        """What a command says in the project."""
        return self.store.cloche(*words, cwd=self.place, check=True).stdout

    def files(self, stage: str) -> dict[str, dict[str, bytes | str]]:
        """The files of each package without its VDB entry, by path: their content, or target."""
        return {
            name: _files(self.store.path / "layers" / each["layer"])
            for name, each in self.packages[stage].items()
        }


def _files(layer: Path) -> dict[str, bytes | str]:
    return {
        str(path.relative_to(layer)): str(path.readlink())
        if path.is_symlink()
        else path.read_bytes()
        for path in layer.rglob("*")
        if (path.is_symlink() or path.is_file()) and not path.is_relative_to(layer / "var/db/pkg")
    }


@pytest.fixture(scope="module")
def chain(root_seeded: Store, ground: Path) -> Iterator[Chain]:
    """The stages, from nothing but the seed of Debian."""
    parent = ground / "native"
    parent.mkdir()
    store = root_seeded.copy(parent / "store")
    place = prebuilt.prepared(store)
    packages = {}
    for stage in prebuilt.STAGES:
        if packages:  # then the stage before is the seed
            store.cloche("seed", "bootstrap", list(packages)[-1], cwd=place, check=True)
        store.cloche("build", stage, cwd=place, check=True, timeout=1800)
        told = store.cloche("plan", stage, "--json", cwd=place, check=True).stdout
        packages[stage] = {each["id"]: each for each in json.loads(told)["packages"]}
    yield Chain(store, place, packages)
    shutil.rmtree(parent)


def compiled(chain: Chain, stage: str) -> set[str]:
    """The packages of a stage that are built from source."""
    return {name for name in chain.packages[stage] if not name.endswith("::prebuilt")}


def test_each_stage_holds_nothing_of_its_seed(chain: Chain) -> None:
    for stage in prebuilt.STAGES:
        audit = json.loads(chain.cloche("audit", stage, "--json"))
        assert audit["passed"]
        assert (audit["unmet"], audit["unowned"]) == ([], [])
        # No build dependency was missing in the stage before.
        assert {each["root"] for each in chain.packages[stage].values()} == {"own"}


def test_stages_two_and_three_have_the_same_layers(chain: Chain) -> None:
    two, three = (
        {name: each["layer"] for name, each in chain.packages[stage].items()}
        for stage in ("stage2", "stage3")
    )
    assert two == three
    names = {name.rpartition("-")[0] for name in compiled(chain, "stage3")}
    assert names >= {"sys-apps/portage", "sys-apps/gawk", "sys-apps/file", "app-arch/xz-utils"}


def test_stage_one_has_the_same_files(chain: Chain) -> None:
    """The compiler is the same. VDB entries alone differ: their environment knows the tools."""
    one, three = chain.files("stage1"), chain.files("stage3")
    assert one.keys() == three.keys()
    for name in compiled(chain, "stage3"):
        assert one[name].keys() == three[name].keys(), name
        differing = [path for path in one[name] if one[name][path] != three[name][path]]
        assert differing == [], name


def test_the_last_stage_compiles_and_emerges(chain: Chain) -> None:
    def shell(script: str) -> str:
        return chain.cloche("shell", "stage3", "--", "sh", "-euc", script)

    assert shell("emerge --version").startswith("Portage 3.")
    assert shell(HELLO) == "hello\n"
    told = shell(EMERGE)
    assert told.count("\ncompiled by emerge\n") == 2
    assert told.count(">>> Emerging (1 of 1) app-misc/compiled-1") == 1
    assert told.count(">>> Emerging binary (1 of 1) app-misc/compiled-1") == 1
