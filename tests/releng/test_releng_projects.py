"""The directory of a spec's project: whose it is, and for how many at once."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from tests.support import make_device

from cloche.catalyst.making import Copied, Project
from cloche.config.errors import ConfigError
from cloche.errors import ClocheError, Exit
from cloche.releng.projects import claimed, write_project


def test_one_build_of_a_spec_at_a_time(tmp_path: Path) -> None:
    place = tmp_path / "small/stage1"
    with claimed(place):
        (place / "cloche.lock").touch()
        with pytest.raises(
            ClocheError, match="another cloche process is building or importing"
        ) as raised:
            claimed(place).__enter__()
        assert raised.value.status is Exit.HOST
    with claimed(place):  # it is cloche's own, whatever is in it
        pass


def test_a_directory_of_somebody_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "notes").touch()
    with pytest.raises(ClocheError, match="is not empty"):
        claimed(tmp_path).__enter__()
    assert [path.name for path in tmp_path.iterdir()] == ["notes"]


@pytest.mark.parametrize("kind", ["fifo", "device"])
def test_an_overlay_with_a_special_file_is_refused_and_not_read(tmp_path: Path, kind: str) -> None:
    overlay = tmp_path / "overlay/dev"
    overlay.mkdir(parents=True)
    if kind == "fifo":
        os.mkfifo(overlay / "x")
    else:
        make_device(overlay / "x", 3)
    made = Project({"overlay": Copied(overlay.parent)}, ())
    with pytest.raises(ConfigError, match="dev/x: cannot be copied: neither a file nor a dir"):
        write_project(made, tmp_path / "made")
    made = Project({"kernels/config": Copied(overlay / "x")}, ())
    with pytest.raises(ConfigError, match="dev/x: cannot be read: neither a file nor a dir"):
        write_project(made, tmp_path / "made")


def test_an_overlay_does_not_contain_its_own_copy(tmp_path: Path) -> None:
    overlay = tmp_path / "overlay"
    overlay.mkdir()
    (tmp_path / "link").symlink_to(overlay)
    made = Project({"root_overlay/0": Copied(overlay)}, ())
    for place in (overlay / "store/made", tmp_path / "link/store/made"):
        with pytest.raises(
            ConfigError, match=r"overlay: contains .*root_overlay/0; name a directory"
        ):
            write_project(made, place)
    write_project(made, tmp_path / "overlay-made")


def test_modes_do_not_depend_on_the_umask(tmp_path: Path) -> None:
    files = {"finish/etc/portage/make.conf": "x\n", "hooks/run": "#!/bin/sh\n"}
    before = os.umask(0o077)
    try:
        write_project(Project(files, ()), tmp_path / "made")
    finally:
        os.umask(before)
    found = {path.name: path.stat().st_mode & 0o7777 for path in (tmp_path / "made").rglob("*")}
    assert found == {
        **dict.fromkeys(("finish", "etc", "portage", "hooks", "run"), 0o755),
        "make.conf": 0o644,
    }
