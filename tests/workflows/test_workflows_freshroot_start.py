"""What opening a freshroot loads: most of its time is the loading of modules."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from tests.values import write_files

from cloche.composing.places import Places, look_of
from cloche.layers import Merged
from cloche.workflows.freshroot import emerge_note, host_name

OPENING = "cloche.cli.main, cloche.cli.freshroot, cloche.workflows.freshroot_desk"
PROGRAM = f"import sys, {OPENING}; import cloche.workflows.freshroot; print(*sys.modules)"
#: What resolves, builds and draws, makes seeds, images and archives, and reads certificates.
NOT_NEEDED = (
    *("cloche.building.machine", "cloche.building.packages", "cloche.building.forecast"),
    *("cloche.output.deliver", "cloche.session.building", "cloche.session.several"),
    *("cloche.display.live", "cloche.audit.audit", "cloche.cli.machine", "ssl"),
    *("cloche.seeds.making", "cloche.seeds.debian.seed", "cloche.config.images"),
    *("cloche.archives", "cloche.building.binpkg", "cloche.records.errorlines"),
)


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("web", "freshroot-web"),
        ("web_2.old+", "freshroot-web-2-old"),
        ("x" * 80, "freshroot-" + "x" * 53),
    ],
)
def test_a_prompt_says_which_root_it_is_in(name: str, wanted: str) -> None:
    assert host_name(name) == wanted


def test_emerge_is_not_mounted_where_the_root_hides_its_place(tmp_path: Path) -> None:
    below, above, room = (tmp_path / name for name in ("below", "above", "room"))
    write_files(below, ["usr/bin/emerge"])
    (above / "usr").mkdir(parents=True)

    def note(*trees: Path) -> str:
        shutil.rmtree(room, ignore_errors=True)
        room.mkdir()
        return emerge_note(Places(look_of(Merged(trees))), trees, room)

    assert note(below) == note(below, above) == ""
    (above / "usr/local").symlink_to("/var/local")
    assert "/usr/local/sbin of this root is removed or a link" in note(below, above)
    (above / "usr/local").unlink()
    os.mknod(above / "usr/local", 0o20000, 0)  # a whiteout
    assert "/usr/local/sbin of this root is removed or a link" in note(below, above)
    os.mknod(above / "usr/bin", 0o20000, 0)
    assert "has no Portage" in note(below, above)


def test_what_only_builds_need_is_not_loaded() -> None:
    words = [sys.executable, "-c", PROGRAM]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    loaded = done.stdout.split()
    assert "cloche.session.session" in loaded
    assert not set(NOT_NEEDED) & set(loaded)
