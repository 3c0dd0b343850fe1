"""A strict build sees the toolchain and what it needs, and what it declares, and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.values import layer

from cloche.layers import Layer
from cloche.seeds.debian.packages import STATUS, Installed, installed
from cloche.seeds.debian.provided import Provided
from cloche.seeds.parts.splitting import REST
from cloche.seeds.parts.strict import (
    SeedParts,
    debian_needs,
    debian_toolchain,
    gentoo_toolchain,
    in_parts,
)


def stanza(name: str, more: str = "") -> str:
    return (
        f"Package: {name}\nStatus: install ok installed\nArchitecture: amd64\nVersion: 1\n{more}\n"
    )


@pytest.fixture
def packages(tmp_path: Path) -> list[Installed]:
    """gcc needs libc and something virtual, dpkg is essential, bison needs m4."""
    (tmp_path / STATUS).parent.mkdir(parents=True)
    (tmp_path / STATUS).write_text(
        stanza("gcc", "Depends: libc | other, virtual\n")
        + stanza("libc", "Multi-Arch: same\n")
        + stanza("real", "Provides: virtual (= 1)\n")
        + stanza("dpkg", "Essential: yes\nPre-Depends: usrmerge\n")
        + stanza("usrmerge", "Depends: perl\n")
        + stanza("perl")
        + stanza("bison", "Depends: m4\n")
        + stanza("m4")
    )
    return installed(tmp_path)


KNOWN = (
    Provided("sys-devel", "bison-1-r99", "0", (), "bison"),
    Provided("sys-devel", "gcc-1-r99", "1", (), "gcc", ("libc",)),
    Provided("dev-lang", "perl-1-r99", "0", (), "perl"),
)


def part(name: str) -> Layer:
    return layer(Path(name), name, id=f"id of {name}", kind="seed-part")


def parts(packages: list[Installed]) -> SeedParts:
    names = [REST, *(p.name for p in packages), *(each.cpv for each in KNOWN)]
    needs = {n: tuple(sorted(needed)) for n, needed in debian_needs(packages, KNOWN).items()}
    toolchain = debian_toolchain(packages, KNOWN, needs)
    return in_parts(
        {name: part(name) for name in names}, toolchain, needs, lambda all: part(" ".join(all))
    )


def test_the_ground_is_what_nobody_owns_and_the_toolchain_with_all_it_needs(
    packages: list[Installed],
) -> None:
    made = parts(packages)
    assert made.ground.label.split() == ["dpkg", "gcc", "libc", "real", "sys-devel/gcc-1-r99", REST]
    assert set(made.layers) == {
        *("bison", "m4", "perl", "usrmerge", "dev-lang/perl-1-r99", "sys-devel/bison-1-r99")
    }
    assert len(made.trees) == len(made.layers) + 7


def test_a_declared_package_brings_its_part_and_what_that_needs(packages: list[Installed]) -> None:
    seen = parts(packages).visible(["sys-devel/bison-1-r99", "sys-devel/gcc-1-r99"])
    labels = [layer.label for layer in seen]
    assert labels == ["seed:bison", "seed:m4", "seed:sys-devel/bison-1-r99"]
    assert parts(packages).visible([]) == ()


def test_what_to_declare_for_a_part(packages: list[Installed]) -> None:
    made = parts(packages)
    assert made.declarable(["bison"]) == ("sys-devel/bison-1-r99",)
    assert made.declarable(["m4"]) == ()
    assert made.declarable(["dev-lang/perl-1-r99"]) == ("dev-lang/perl-1-r99",)


def test_gentoos_toolchain_is_known_by_name() -> None:
    cpvs = ["sys-devel/gcc-13.2.1_p2-r1", "sys-devel/gcc-config-2", "sys-devel/gccgo-1"]
    cpvs += ["app-alternatives/awk-4", "sys-libs/glibc-2.40-r5", "sys-devel/bison-3"]
    assert gentoo_toolchain(cpvs) == {*cpvs[:2], *cpvs[3:5]}
