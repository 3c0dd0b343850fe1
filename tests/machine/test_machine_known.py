"""The build tools of a Debian seed count as Gentoo's packages; what it lacks does not."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import tiny
from tests.support import Store, project

pytestmark = pytest.mark.real

PROJECT = Path(__file__).parents[1] / "faults/project"
EBUILD = """EAPI=8
DESCRIPTION="of the tests of the seed's tools"
HOMEPAGE="https://example.org/known"
S="${WORKDIR}"
LICENSE="public-domain"
SLOT="0"
KEYWORDS="amd64"
"""
WHAT_AUTOTOOLS_ECLASS_ASKS_FOR = """
BDEPEND="
    || ( >=dev-build/autoconf-2.99:2.99 >=dev-build/autoconf-2.71-r6:* )
    >=dev-build/automake-1.16.5:* >=dev-build/libtool-2.4.7-r3
    >=sys-devel/gcc-9[cxx,openmp(+)] dev-lang/perl:= >=dev-lang/python-3.11[threads(+)]
    virtual/pkgconfig >=dev-util/pkgconf-1.3.7[pkg-config(+)] sys-devel/bison app-alternatives/yacc
    >=virtual/perl-ExtUtils-MakeMaker-7.600.0 virtual/perl-libnet
"
src_compile() {
    has_version -b ">=dev-build/autoconf-2.71-r6" || die "Portage does not see it"
    autoconf --version || die
    bison --version || die
    pkg-config --version || die
}
"""
# A newer one takes the place of the entry and leaves the seed's program where it is.
NEWER = """
src_install() {
    exeinto /usr/lib/newer
    newexe - m4 <<< "#!/bin/sh"
}
"""
OVER_IT = """
BDEPEND=">=sys-devel/m4-99"
src_compile() {
    has_version -b "<sys-devel/m4-99" && die "the seed's entry is still there"
    test -x /usr/bin/m4 || die "the seed's m4 is gone"
    test -x /usr/lib/newer/m4 || die "the new m4 is not there"
}
"""


def write(where: Path, name: str, body: str) -> None:
    """Write an ebuild into the project's repository."""
    category, _, pf = name.partition("/")
    place = where / "repo" / category / pf.rpartition("-")[0]
    place.mkdir(parents=True)
    (place / f"{pf}.ebuild").write_text(EBUILD + body)
    with (where / "repo/profiles/categories").open("a") as categories:
        categories.write(f"{category}\n")


def machine(where: Path, name: str, *packages: str) -> None:
    """Write a machine of these packages."""
    text = f'seed = "debian"\nprofile = "faults:default"\npackages = {json.dumps(packages)}\n'
    (where / "machines" / f"{name}.toml").write_text(text)


def test_the_seeds_tools_meet_what_eclasses_ask_for_and_are_not_built(
    root_seeded: Store, fresh
) -> None:
    store = fresh(root_seeded)
    where = project(store, PROJECT)
    write(where, "known/uses-1", WHAT_AUTOTOOLS_ECLASS_ASKS_FOR)
    write(where, "sys-devel/bison-3.9", 'src_compile() { die "nobody needs this"; }\n')
    write(where, "sys-devel/m4-99", NEWER)
    write(where, "known/over-1", OVER_IT)
    machine(where, "known", "known/uses", "known/over")
    made = tiny.build(store, where, machine="known")
    assert made.packages("built") == {"known/uses-1", "known/over-1", "sys-devel/m4-99"}

    machine(where, "strict", "known/uses", "sys-devel/m4")
    strict = tiny.build(store, where, "--strict", machine="strict")
    assert strict.packages("built") == {"known/uses-1", "sys-devel/m4-99"}
    for layers in (made.layers, strict.layers):  # the seed's entry goes, seen or not
        entries = store.path / "layers" / layers["sys-devel/m4-99"] / "var/db/pkg/sys-devel"
        gone = [entry.name for entry in entries.iterdir() if entry.is_char_device()]
        assert [name.partition("-")[0] for name in gone] == ["m4"]


def test_a_tool_that_the_seed_lacks_is_still_missing(root_seeded: Store, fresh) -> None:
    store = fresh(root_seeded)
    where = project(store, PROJECT)
    write(where, "known/lacks-1", 'BDEPEND="sys-devel/bison dev-vcs/git"\n')
    machine(where, "lacks", "known/lacks")
    done = store.cloche("build", "lacks", cwd=where)
    assert done.returncode == 2
    assert "a dependency cannot be satisfied: dev-vcs/git;" in done.stderr
