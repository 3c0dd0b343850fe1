"""What all of a Debian seed stands for, where only its build dependencies are asked of it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from cloche.config.atoms import atom_fault
from cloche.seeds.debian.broot import broot_packages, broot_rules
from cloche.seeds.debian.packages import Installed
from cloche.seeds.debian.provided import DATA_BROOT, Provided, provided_packages, rules

SLOT = re.compile(r"[A-Za-z0-9_][A-Za-z0-9+_.-]*")  # PMS 3.1.3; so are flags, nearly


def debian(name: str, version: str, arch: str = "amd64") -> Installed:
    return Installed(name, version, arch, essential=False, same=False, needs=(), provides=())


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """What is read of the files of a seed."""
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/passwd").write_text("root:x:0:0::/root:/bin/sh\nportage:x:250:250:::\n")
    (tmp_path / "etc/group").write_text("root:x:0:\nportage:x:250:\nodd-1:x:9:\n+::\n")
    place = tmp_path / "usr/lib/python3/dist-packages/portage-3.0.83.dist-info"
    place.mkdir(parents=True)
    return tmp_path


def found(tree: Path, *packages: Installed) -> dict[str, Provided]:
    return {each.cpv: each for each in broot_packages(tree, packages)}


def test_every_rule_makes_a_valid_package_with_a_slot() -> None:
    table = broot_rules([])
    names = {name for named in table.values() for name in named}
    every = [debian(n, "2:7.8.9-1") for n in {*table, *_needs(table)}]
    made = provided_packages(every, table)
    assert {each.category + "/" + _pn(each.pf) for each in made} == names
    for each in made:
        assert atom_fault(f"={each.cpv}") is None, each
        slot, _, sub = each.slot.partition("/")
        assert SLOT.fullmatch(slot), each
        assert not sub or SLOT.fullmatch(sub), each
        assert not set(each.use) & set(each.off), each
        assert all(SLOT.fullmatch(flag) for flag in (*each.use, *each.off)), each


def _needs(table: object) -> set[str]:
    assert isinstance(table, dict)
    return {need for named in table.values() for rule in named.values() for need in rule.needs}


def _pn(pf: str) -> str:
    return re.sub(r"-\d[^-]*-r99$", "", pf)


def test_no_gentoo_package_stands_for_two_debian_ones() -> None:
    names = [name for named in broot_rules([]).values() for name in named]
    assert len(names) == len(set(names))
    assert {"app-arch/xz-utils", "dev-build/autoconf"} <= set(names)


def test_libraries_count_with_their_headers_only_and_with_the_flags_of_their_abi(
    tree: Path,
) -> None:
    names = found(tree, debian("zlib1g", "1:1.3.dfsg+really1.3.1-1"), debian("openssl", "3.5.9-1"))
    assert not [name for name in names if "zlib" in name or "openssl" in name]
    zlib = found(tree, debian("zlib1g-dev", "1:1.3.dfsg+really1.3.1-1"))["sys-libs/zlib-1.3.1-r99"]
    assert (zlib.slot, zlib.use) == ("0/1", ("abi_x86_64",))
    assert "static-libs" in zlib.off
    arm = found(tree, debian("zlib1g-dev", "1:1.2.13-1", "arm64"))["sys-libs/zlib-1.2.13-r99"]
    assert arm.use == ()


def test_programs_and_what_has_several_versions_count(tree: Path) -> None:
    names = found(tree, debian("xz-utils", "5.8.1-1+deb13u2"), debian("docbook-xml", "4.5-13"))
    assert names["app-arch/xz-utils-5.8.1-r99"].slot == "0"
    slots = {e.slot for e in names.values() if e.pf.startswith("docbook-xml-dtd-")}
    assert slots == {"4.1.2", "4.2", "4.3", "4.4", "4.5"}


def test_every_module_of_python_counts_for_the_seeds_python(tree: Path) -> None:
    names = found(
        tree,
        debian("python3", "3.13.5-1"),
        debian("python3-dev", "3.13.5-1"),
        debian("python3-jaraco.text", "4.0.0-1"),
        debian("python3-setuptools", "78.1.1-0.1"),
    )
    text = names["dev-python/jaraco-text-4.0.0-r99"]
    assert "python_targets_python3_13" in text.use
    assert "python_targets_python3_13" in names["dev-python/setuptools-78.1.1-r99"].use
    assert not [name for name in names if name.startswith("dev-python/dev")]


def test_modules_of_perl_have_versions_as_gentoo_writes_them(tree: Path) -> None:
    names = found(tree, debian("libtext-unidecode-perl", "1.30-3"))
    assert "dev-perl/Text-Unidecode-1.300.0-r99" in names


def test_users_groups_and_portage_of_the_seed_count(tree: Path) -> None:
    assert set(found(tree)) == {
        "acct-group/portage-0-r99",
        "acct-group/root-0-r99",
        "acct-user/portage-0-r99",
        "acct-user/root-0-r99",
        "sys-apps/portage-3.0.83-r99",
    }


def test_machines_that_extend_their_seed_have_none_of_these_rules() -> None:
    only = {name for named in rules(DATA_BROOT).values() for name in named}
    usual = {name for named in rules().values() for name in named}
    assert {"app-arch/xz-utils", "sys-libs/zlib", "sys-libs/glibc", "dev-libs/gmp"} <= only - usual
