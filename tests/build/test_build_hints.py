"""What a person is advised to do after a failure."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from tests.support import cannot

from cloche.build.hints import hint_of

AUTORECONF = "x.ebuild: line 3: autoreconf: command not found"
HEADER = "a.c:1: fatal error: tiny.h: No such file or directory"


def shop(tmp_path: Path, *, strict: bool = False) -> Any:
    """A machine with a repository that has c/known, and a store with layers of more than that."""
    repo = tmp_path / "repo"
    (repo / "c/known").mkdir(parents=True)
    seed, whiteouts = tmp_path / "seed", tmp_path / "strict"
    (seed / "usr/bin").mkdir(parents=True)
    (seed / "usr/bin/autoreconf").touch()
    (whiteouts / "usr/bin").mkdir(parents=True)
    trees = []
    for cpv in ("c/known-1", "c/foreign-1"):
        entry = tmp_path / "layers" / cpv / "var/db/pkg" / cpv
        entry.mkdir(parents=True)
        (entry / "CONTENTS").write_text("obj /usr/include/tiny.h 0 1\n")
        trees.append(SimpleNamespace(kind="package", label=cpv, path=tmp_path / "layers" / cpv))
    base = [SimpleNamespace(kind="seed", path=seed)]
    base += [SimpleNamespace(kind="strict", path=whiteouts)] * strict
    return SimpleNamespace(
        store=SimpleNamespace(path=tmp_path, trees=lambda: trees),
        policy=SimpleNamespace(limits=SimpleNamespace(memory=None)),
        inputs=SimpleNamespace(base=base, repos={"r": SimpleNamespace(path=repo)}),
    )


def test_only_packages_of_the_machines_repositories_are_advised(tmp_path: Path) -> None:
    hint = hint_of(shop(tmp_path), HEADER)
    assert hint is not None
    assert "it belongs to c/known-1: add" in hint


@pytest.mark.parametrize("place", ["usr/bin/autoreconf", "usr"])
def test_what_strictness_hides_is_told(tmp_path: Path, place: str) -> None:
    if os.geteuid() != 0:
        cannot("a whiteout is a device: root alone makes one")
    made = shop(tmp_path, strict=True)
    assert hint_of(made, AUTORECONF) is None  # it is not hidden: something else is wrong
    whiteout = tmp_path / "strict" / place
    if place == "usr":
        (whiteout / "bin").rmdir()
        whiteout.rmdir()
    os.mknod(whiteout, stat.S_IFCHR, os.makedev(0, 0))
    assert hint_of(made, AUTORECONF) == (
        "command autoreconf is in the seed but hidden by --strict; "
        "declare the package that brings it"
    )
