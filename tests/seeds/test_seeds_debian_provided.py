"""Debian's packages under Gentoo's names."""

from __future__ import annotations

from pathlib import Path

import pytest

from cloche.seeds.debian.packages import Installed
from cloche.seeds.debian.perl_modules import perl_virtuals
from cloche.seeds.debian.provided import (
    Provided,
    Rule,
    provided_packages,
    rules,
    write_entries,
)
from cloche.seeds.debian.versions import perl_module, upstream


def debian(name: str, version: str) -> Installed:
    return Installed(name, version, "amd64", essential=False, same=False, needs=(), provides=())


@pytest.mark.parametrize(
    ("version", "gentoo"),
    [
        ("2.71-3", "2.71"),
        ("1:1.16.5-1.3", "1.16.5"),
        ("2:3.8.2+dfsg-1+b1", "3.8.2"),
        ("1:9.2.0-rc1", "9.2.0"),
        ("20220109.1", "20220109.1"),
        ("1.0.2u-1", "1.0.2u"),
        ("2.4~beta1-1", "2.4"),
        ("6.5+20250216-2", "6.5"),
        ("1:1.3.dfsg+really1.3.1-1+b1", "1.3.1"),
        ("1:4.16.0-2+really2.41.5-0+deb13u1", "2.41.5"),
        ("a-1", ""),
    ],
)
def test_a_version_as_gentoo_writes_it(version: str, gentoo: str) -> None:
    assert upstream(version) == gentoo


def test_slots_flags_and_what_has_to_be_there_as_well() -> None:
    table = {
        "perl": {"dev-lang/perl": Rule(slot="0/{2}", use=("b",), off=("a", "c"))},
        "gcc": {"sys-devel/gcc": Rule(slot="{1}", use=("cxx",), needs=("g++",))},
        "autoconf": {"dev-build/autoconf": Rule(slot="{2}"), "x/wrap": Rule(version="7")},
        "python3-yaml": {"dev-python/pyyaml": Rule(python=True)},
        "absent": {"x/absent": Rule()},
        "odd": {"x/odd": Rule()},
    }
    packages = [
        debian("perl", "5.36.0-7"),
        debian("gcc", "4:12.2.0-3"),
        debian("autoconf", "2.71-3"),
        debian("python3", "3.11.2-1"),
        debian("python3-yaml", "6.0-3"),
        debian("odd", "snapshot-1"),
    ]
    assert provided_packages(packages, table) == (
        Provided("dev-build", "autoconf-2.71-r99", "2.71", (), "autoconf"),
        Provided("dev-lang", "perl-5.36.0-r99", "0/5.36", ("b",), "perl", off=("a", "c")),
        Provided(
            "dev-python", "pyyaml-6.0-r99", "0", ("python_targets_python3_11",), "python3-yaml"
        ),
        Provided("x", "wrap-7-r99", "0", (), "autoconf"),
    )
    packages.append(debian("g++", "4:12.2.0-3"))
    gcc = Provided("sys-devel", "gcc-12.2.0-r99", "12", ("cxx",), "gcc", ("g++",))
    assert gcc in provided_packages(packages, table)


def test_no_gentoo_package_stands_for_two_of_the_data_file() -> None:
    names = [name for entries in rules().values() for name in entries]
    assert len(names) == len(set(names))
    assert {"dev-build/autoconf", "sys-devel/bison", "virtual/pkgconfig"} <= set(names)


def test_an_entry_has_flags_that_are_set_and_others(tmp_path: Path) -> None:
    seed, layer = tmp_path / "seed", tmp_path / "layer"
    (seed / "var/db/pkg").mkdir(parents=True)
    layer.mkdir()
    perl = Provided("dev-lang", "perl-5.36.0-r99", "0", ("threads",), "perl", off=("debug", "x"))
    write_entries(seed, [perl], layer)
    entry = layer / "var/db/pkg/dev-lang/perl-5.36.0-r99"
    assert (entry / "IUSE").read_text() == "debug threads x\n"
    assert (entry / "USE").read_text() == "threads\n"


@pytest.mark.parametrize(
    ("module", "gentoo"),
    [
        ("7.64", "7.640.0"),
        ("1.302190", "1.302.190"),
        ("0.280236", "0.280.236"),
        ("1.000037", "1.0.37"),
        ("2.97_01", "2.970.100"),
        ("0.9929", "0.992.900"),
        ("1.2.3", "1.2.3"),
        ("5", "5.0.0"),
    ],
)
def test_a_perl_modules_version_as_gentoo_writes_it(module: str, gentoo: str) -> None:
    assert perl_module(module) == gentoo


def test_modules_of_perl_are_virtuals_of_their_own_versions(tmp_path: Path) -> None:
    texts = {
        "usr/share/perl/5.36.0/ExtUtils/MakeMaker.pm": "# $VERSION = 1\nour $VERSION = '7.64';",
        "usr/share/perl/5.36.0/version.pm": "$VERSION = '0.9929';\n$CLASS = 'version';",
        "usr/lib/x/perl/5.36.0/List/Util.pm": 'our $VERSION    = "1.62";',
        "usr/lib/x/perl-base/Carp.pm": "BEGIN { our $VERSION = '1.52' }",
        "usr/lib/x/perl/5.36.0/Encode.pm": "$VERSION = sprintf '%d.%02d', q$Revision: 3.19 $ =~ 1",
        "usr/share/perl/5.36.0/Socket.pm": "package Socket v0.43 {",
        "usr/share/perl/5.36.0/Env.pm": "package Env;",
    }
    for path, text in texts.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    assert [each.cpv for each in perl_virtuals(tmp_path)] == [
        "virtual/perl-Carp-1.520.0-r99",
        "virtual/perl-Encode-3.190.0-r99",
        "virtual/perl-ExtUtils-MakeMaker-7.640.0-r99",
        "virtual/perl-Scalar-List-Utils-1.620.0-r99",
        "virtual/perl-Socket-0.430.0-r99",
        "virtual/perl-version-0.992.900-r99",
    ]
