"""An image that is a directory: whose it is, when it is replaced, and what it holds."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from tests import imaging
from tests.imaging import Making
from tests.support import Store, User

from cloche.config.errors import Origin
from cloche.config.images import Image
from cloche.config.mkosi import Mkosi
from cloche.errors import ClocheError
from cloche.output import directories
from cloche.output.deliver import check_outputs

DIRECTORY = Mkosi("directory")
IMAGE = Image("tree", Origin(Path("m.toml"), 1), "tools", DIRECTORY)


@pytest.fixture(scope="module")
def making(root_tools: Store, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Making]:
    room = tmp_path_factory.mktemp("directories")
    with imaging.opened(root_tools.copy(room / "store").path, room) as found:
        yield found


@pytest.mark.real
def test_a_directory_holds_what_the_root_holds_and_is_replaced_by_another(making: Making) -> None:
    tree = making.make(DIRECTORY, "tree")
    assert tree == making.room / "out/tree"
    assert not imaging.differences(making.root, tree, "tmp/left")
    inode = tree.stat().st_ino
    assert making.make(DIRECTORY, "tree").stat().st_ino == inode
    more = making.layer({"opt/new": "new"})
    again = making.make(DIRECTORY, "tree", more)
    assert (again / "opt/new").read_text() == "new"
    left = sorted(each.name for each in again.parent.iterdir())
    assert left == [".images", ".tree.image", "tree"]


@pytest.mark.real
def test_what_is_not_cloches_or_is_in_use_is_not_replaced(tmp_path: Path) -> None:
    machine: Any = SimpleNamespace(images=(IMAGE,), outputs=())
    check_outputs(machine, tmp_path)
    (tmp_path / "tree").mkdir()
    with pytest.raises(ClocheError, match="not created by cloche; the image would replace it"):
        check_outputs(machine, tmp_path)
    (tmp_path / ".tree.image").write_text("\n")
    check_outputs(machine, tmp_path)
    (tmp_path / "tree/home").mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "none", tmp_path / "tree/home"], check=True)
    try:
        with pytest.raises(ClocheError, match=r"a file system is mounted at .*/tree/home"):
            check_outputs(machine, tmp_path)
    finally:
        subprocess.run(["umount", tmp_path / "tree/home"], check=True)


@pytest.mark.real
def test_an_ordinary_user_is_told_to_make_a_tarball(ordinary: User, tmp_path: Path) -> None:
    """Also inside of the user namespace, where that user is uid 0."""
    program = (
        "from pathlib import Path\n"
        "from cloche.config.errors import Origin\n"
        "from cloche.config.images import Image\n"
        "from cloche.config.mkosi import Mkosi\n"
        "from cloche.output import directories\n"
        "from cloche.sandbox import userns\n"
        "image = Image('tree', Origin(Path('m.toml'), 1), 'tools', Mkosi('directory'))\n"
        "for _ in range(2):\n"
        "    try:\n"
        "        directories.check(image, Path('out'))\n"
        "    except Exception as error:\n"
        "        print(error.what, '|', error.todo)\n"
        "    userns.enter()\n"
    )
    done = ordinary.run_python(program, ordinary.home)
    assert done.returncode == 0, done.stderr
    line = "only root can make files of all owners, which an image of format directory has"
    assert done.stdout == f'{line} | write format = "tar", or run cloche as root\n' * 2


@pytest.mark.real
def test_one_that_was_not_finished_is_made_anew(making: Making, tmp_path: Path) -> None:
    assert os.geteuid() == 0
    tarball = making.make(Mkosi("tar"), "tarball")
    target = tmp_path / "tree"
    directories.place(tarball, target, "a")
    (tmp_path / ".tree.image").write_text("\n")  # as a process leaves it that is killed
    target.rename(tmp_path / ".tree.old")
    directories.place(tarball, target, "a")
    assert (target / "opt/a").read_text() == "a"
    assert sorted(each.name for each in tmp_path.iterdir()) == [".tree.image", "tree"]
