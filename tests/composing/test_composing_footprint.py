"""What a layer says of itself: it comes from a build, so nothing of it is trusted."""

from __future__ import annotations

import os
from pathlib import Path

from tests.values import layer, vdb_entry

from cloche.building.diagnose import installed_files
from cloche.composing.footprint import footprint
from cloche.layers import Layer


def merged(path: Path, contents: str | None = "") -> Layer:
    """A layer of the package ``c/p-1``."""
    vdb_entry(path, "p", contents)
    return layer(path, "c/p-1")


def test_names_of_the_tree_and_of_contents(tmp_path: Path) -> None:
    made = merged(
        tmp_path,
        "dir /lib\nobj /lib/a -> b 0 0\nsym /lib/l -> x -> y 0\nfif /usr/p\ndir /usr\nnonsense\n",
    )
    (tmp_path / "usr/lib").mkdir(parents=True)
    (tmp_path / "usr/lib/a -> b").touch()
    (tmp_path / "usr/lib/hooked").symlink_to("a")
    found = footprint(made)
    assert found.owned == {"lib/a -> b", "lib/l -> x", "usr/p"}
    assert {name for name in found.directories if not name.startswith("var")} == {"usr", "usr/lib"}
    assert found.written == {"usr/lib/a -> b", "usr/lib/hooked"}
    assert found.indirect == {"lib"}
    assert found.may_own("usr/lib/a -> b")
    assert not found.may_own("usr/lib/hooked")


def test_another_packages_entry_is_not_its_own(tmp_path: Path) -> None:
    made = merged(tmp_path, "obj /a 0 0\n")
    other = tmp_path / "var/db/pkg/c/q-1/CONTENTS"
    other.parent.mkdir()
    other.write_text("obj /b 0 0\n")
    assert footprint(made).owned == {"a"}
    assert [name for _, name in installed_files(tmp_path)] == ["/a", "/b"]


def test_paths_that_cannot_be_one_are_passed_over(tmp_path: Path) -> None:
    bad = ("/../../etc/shadow", "/a/./b", "/a//b", "/n\0l", f"/{'x' * 300}", "/")
    made = merged(tmp_path, "".join(f"obj {path} 0 0\ndir {path}\n" for path in bad))
    found = footprint(made)
    assert (found.owned, found.indirect) == (frozenset(), frozenset())
    assert list(installed_files(tmp_path)) == []


def test_nothing_leads_out_of_a_layer_or_waits(tmp_path: Path) -> None:
    outside = merged(tmp_path / "outside", "obj /x 0 0\n").path / "var/db/pkg/c/p-1/CONTENTS"
    pipe = merged(tmp_path / "pipe", None)
    os.mkfifo(pipe.path / "var/db/pkg/c/p-1/CONTENTS")
    link = merged(tmp_path / "link", None)
    (link.path / "var/db/pkg/c/p-1/CONTENTS").symlink_to(outside)
    far = tmp_path / "far"
    far.mkdir()
    (far / "var").symlink_to(tmp_path / "outside/var")
    for made in (pipe, link, layer(far, "c/p-1")):
        assert footprint(made).owned == frozenset()
        assert list(installed_files(made.path)) == []
