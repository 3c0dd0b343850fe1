"""Packages whose hooks write to one file: nobody's writing is lost, in no root.

``tiny/first`` and ``tiny/second`` know nothing of each other. Both make a user and enter themselves
into ``/etc/shells`` and into a file that only their hooks make.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import stock_emerge
import tiny
from tests.support import Root, Store

from cloche.layers import PORTAGE_RULES
from cloche.layers.identity import layer_id
from cloche.store import walk

pytestmark = pytest.mark.real


@pytest.fixture(scope="module")
def made(root_seeded: Store) -> tiny.Build:
    return tiny.built_once(root_seeded)


@pytest.fixture(scope="module")
def either(root_seeded: Store, root_of: Root) -> tiny.Build:
    return tiny.built_once(root_seeded, root_of)


def shell(made: tiny.Build, *command: str) -> list[str]:
    told = made.store.cloche("shell", "tiny", "--", *command, cwd=made.project, check=True)
    return told.stdout.splitlines()


def test_a_machine_holds_what_each_of_them_wrote(either: tiny.Build) -> None:
    assert shell(either, "cat", "/var/lib/register/names") == ["first", "second"]
    assert shell(either, "cat", "/etc/shells")[-2:] == ["/usr/bin/first", "/usr/bin/second"]
    first, second = (line.split(":") for line in shell(either, "cat", "/etc/passwd")[-2:])
    assert (first[0], second[0]) == ("first", "second")
    assert first[2] != second[2]  # the second saw that the first one's number is taken


def test_so_does_the_root_that_a_package_is_built_in(made: tiny.Build) -> None:
    assert shell(made, "cat", "/usr/share/census/names") == ["first", "second"]
    users = shell(made, "cat", "/usr/share/census/users")
    assert [line.split(":")[0] for line in users] == ["first", "second"]
    owners = shell(made, "stat", "-c", "%U %G", "/usr/share/census/users")
    assert owners == ["first second"]


def test_it_is_the_root_that_emerge_makes(made: tiny.Build, ground: Path) -> None:
    root = ground / "tiny-emerged"
    machine = stock_emerge.machine_of(made.store, "tiny")
    told = stock_emerge.emerge(
        root,
        machine,
        [made.project / "repo"],
        made.project / "out/tiny/binpkgs",
        ("tiny/report", "tiny/census"),
    )
    stock_emerge.assert_only_binary_packages(told, len(tiny.PACKAGES))
    stock_emerge.assert_same_root(machine, root)


def test_a_root_of_its_own_is_what_emerge_makes_beside_the_seed(
    root_seeded: Store, ground: Path
) -> None:
    made = tiny.built_once(root_seeded, "own")
    machine = stock_emerge.machine_of(made.store, "tiny")
    root = ground / "tiny-own-emerged"
    told = stock_emerge.emerge_beside(
        root,
        made.store,
        machine,
        [made.project / "repo", made.project / "own"],
        made.project / "out/tiny/binpkgs",
        (*tiny.OWN_TARGETS, "sys-devel/gcc", "app-shells/dash"),
    )
    stock_emerge.assert_only_binary_packages(told, len(tiny.OWN_PACKAGES) - 2)
    stock_emerge.assert_same_root(replace(machine, base=()), root / "own")


def test_by_itself_each_of_them_is_the_same_layer_as_ever(either: tiny.Build) -> None:
    """What is made for one root alone must not show in any other."""
    layer = either.store.path / "layers" / either.layers["tiny/second-1"]
    assert (layer / "var/lib/register/names").read_text() == "second\n"
    assert layer_id(layer, PORTAGE_RULES, walk(layer)) == layer.name
