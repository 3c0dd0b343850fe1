"""What the merge of one package did to files of another one."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest
from tests.values import layer, package, vdb_entry

from cloche.composing.contests import Contests
from cloche.composing.hooks import Change, changes, refuse
from cloche.layers import Layer
from cloche.tasks.errors import StepError

VICTIM = ("usr/bin/v", "usr/share/v/1", "usr/share/v/2", "etc/v.conf", "etc/env.d/v")


def merged(top: Path, name: str, owns: tuple[str, ...], *others: str) -> Layer:
    """A layer with what its package owns and other files; ``!NAME`` is one that it hides."""
    path = top / name
    vdb_entry(path, name, "".join(f"obj /{file} 0 0\n" for file in owns))
    for file in (*owns, *others):
        place = path / file.removeprefix("!")
        place.parent.mkdir(parents=True, exist_ok=True)
        if file.startswith("!"):
            os.mknod(place, stat.S_IFCHR | 0o600, 0)
        else:
            place.touch()
    return layer(path, f"c/{name}-1")


def told(top: Path, *others: str, owns: tuple[str, ...] = ("usr/bin/c",)) -> list[Change]:
    """What is said of a package ``c`` whose layer has some more names."""
    layers = [merged(top, "v", VICTIM), merged(top, "c", owns, *others)]
    return changes([package("v"), package("c")], layers, Contests())


def test_files_of_its_own_and_of_nobody_are_its_own_matter(tmp_path: Path) -> None:
    assert told(tmp_path, "etc/passwd", "!usr/bin/other") == []


def test_what_it_alters_and_removes_is_told_with_its_owner(tmp_path: Path) -> None:
    (found,) = told(tmp_path, "usr/bin/v", "!usr/share/v")
    assert found == Change("c/c-1", "c/v-1", ("usr/bin/v",), ("usr/share/v",))
    assert found.text == "alters /usr/bin/v and removes /usr/share/v, which c/v-1 owns"
    refuse([found], strict=False)
    with pytest.raises(StepError) as caught:
        refuse([found], strict=True)
    assert (caught.value.where, caught.value.status) == ("c/c-1", 1)


def test_configuration_is_there_to_be_edited_and_not_to_be_removed(tmp_path: Path) -> None:
    assert told(tmp_path, "etc/v.conf") == []
    (found,) = told(tmp_path / "2", "etc/env.d/v", "!etc/v.conf")
    assert found == Change("c/c-1", "c/v-1", ("etc/env.d/v",), ("etc/v.conf",))


@pytest.mark.parametrize("name", ["var/db/pkg/c/v-1", "var/db/pkg/c/v-1/CONTENTS"])
def test_who_takes_away_an_entry_of_the_vdb_is_always_refused(tmp_path: Path, name: str) -> None:
    found = told(tmp_path, f"!{name}")
    assert found[0].uninstalled
    with pytest.raises(StepError, match=r"removes the VDB entry of c/v-1"):
        refuse(found, strict=False)


def test_a_directory_in_the_place_of_a_file_removes_it(tmp_path: Path) -> None:
    (found,) = told(tmp_path, owns=("usr/bin/v/in",))
    assert found.removed == ("usr/bin/v",)
