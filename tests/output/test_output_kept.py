"""What each format of images keeps of a root that holds whatever a root can hold.

Root makes the images, and an ordinary user under another hostname: the bytes are the same, and each
is mounted or unpacked and compared with the root. `LOST` is the table of docs/images.md.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests import imaging
from tests.support import ROOT, Store, User, packages

from cloche.config.images import Oci
from cloche.config.mkosi import Mkosi
from cloche.layers import Layer, layer_of
from cloche.store import Store as Opened

pytestmark = [pytest.mark.real, pytest.mark.proof(name="images")]

#: Attributes that a format has no place for, by their names' beginnings.
ACLS, ALL = ("system.posix_acl_",), ("system.posix_acl_", "security.capability", "user.")
LOST = {
    **{"squashfs": ACLS, "iso": ACLS, "disk-squashfs": ACLS, "qcow2-xfs": ACLS},
    **{"cpio": ALL, "uki": ALL, "esp": ALL},
}
#: Names that an image has not, or not there: contents of other file systems, parts of a root.
ELSEWHERE = {
    **dict.fromkeys(("disk", "disk-erofs", "disk-squashfs"), ("tmp/left", "boot/", "efi")),
    **dict.fromkeys(("tar", "portable"), ("tmp/left",)),
    **dict.fromkeys(("qcow2-xfs", "qcow2-ext4", "qcow2-btrfs"), ("boot/", "odd ")),
}
PARTS = {"sysext": ("usr", "opt"), "confext": ("etc",)}
#: Whose bytes differ from run to run: mkfs.btrfs(8) draws numbers of its own.
RANDOM = ("qcow2-btrfs",)
#: Where a hole of a file is one in the image, too; elsewhere there are zeros.
WITH_HOLES = ("disk", "disk-squashfs", "squashfs", "iso", "qcow2-ext4")
#: Where each name of a hard link is a file of its own.
WITHOUT_LINKS = ("qcow2-xfs",)
HOSTS = {"root": "one", "ordinary": "another"}


@dataclass(frozen=True)
class Made:
    """What a user made: files by names, and what was said."""

    host: str
    root: str
    files: dict[str, Path]
    said: list[str]


def make(store: Store, place: Path, user: User, host: str) -> Made:
    """Make images of all formats as a user of a host of that name."""
    tests = place / "code/tests"
    ignored = shutil.ignore_patterns("__pycache__", "*.tar*", "cases")
    shutil.copytree(ROOT / "tests", tests, ignore=ignored)
    (place / "images").mkdir()
    user.own(place / "images")
    environment = {"PATH": os.environ["PATH"], "HOME": str(user.home)}
    environment["PYTHONPATH"] = f"{user.source}:{place / 'code'}:{packages()}"
    named = ("unshare", "--uts", "sh", "-c", f'hostname {host} && exec "$@"', "sh")
    command = [*named, *user.as_user(), "env", *(f"{k}={v}" for k, v in environment.items())]
    command += [user.python, "-B", "-m", "tests.imaging", str(store.path), str(place / "images")]
    done = subprocess.run(command, cwd=place, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    files = {name: Path(file) for name, file in found["files"].items()}
    return Made(found["host"], found["root"], files, found["said"])


@pytest.fixture(scope="module")
def made(root_tools: Store, root: User, ordinary: User, ground: Path) -> Iterator[dict[str, Made]]:
    found, places = {}, []
    for name, user in (("root", root), ("ordinary", ordinary)):
        place = user.home / f"kept-{name}"
        place.mkdir()
        places.append(place)
        user.own(place)
        store = root_tools.copy(place / "store", linked=False)
        if user.name != "root":
            store.cloche("seed", "list", check=True, cwd=place)  # a copy has no locks yet
            store.cloche("store", "adopt", "--user", user.name, check=True, cwd=place)
        found[name] = make(Store(store.path, user), place, user, HOSTS[name])
    yield found
    for place in places:
        shutil.rmtree(place)


@pytest.fixture(scope="module")
def reference(made: dict[str, Made], ordinary: User) -> Iterator[Layer]:
    """The root, as root's store has it."""
    with Opened.open(made["root"].files["tar"].parents[2] / "store") as store:
        yield layer_of(store.tree(made["root"].root))


def test_both_users_have_the_same_root_and_each_a_host_of_its_own(made: dict[str, Made]) -> None:
    assert made["root"].root == made["ordinary"].root
    assert {name: each.host for name, each in made.items()} == HOSTS


@pytest.mark.parametrize("name", [name for name in imaging.IMAGES if name not in RANDOM])
def test_the_bytes_are_the_same_for_another_user_of_another_host(
    made: dict[str, Made], name: str
) -> None:
    one, two = (made[user].files[name] for user in HOSTS)
    assert subprocess.run(["cmp", one, two]).returncode == 0


@pytest.mark.parametrize("user", HOSTS)
@pytest.mark.parametrize("name", imaging.IMAGES)
def test_an_image_holds_all_of_the_root_that_its_format_can(
    made: dict[str, Made], reference: Layer, tmp_path: Path, user: str, name: str
) -> None:
    file = made[user].files[name]
    ignored = ELSEWHERE.get(name, ())
    with imaging.tree_of(name, file, tmp_path) as tree:
        found = imaging.differences(reference, tree, *ignored, "lost+found")
        if name not in PARTS:
            assert (tree / "sparse").stat().st_size == 3 << 20
            assert ((tree / "sparse").stat().st_blocks < 100) == (name in WITH_HOLES)
    if parts := PARTS.get(name):
        gone = {line for line in found if line.startswith("- ")}
        found -= {line for line in gone if line[2:].split("/")[0] not in parts}
        found -= {line for line in found if "extension-release" in line}
    if name in WITHOUT_LINKS:
        links = {line for line in found if ": links: " in line}
        assert links
        found -= links
    kinds = LOST.get(name, ())
    lost = {line for line in found if any(f"xattr: {kind}" in line for kind in kinds)}
    assert found == lost
    for kind in kinds:
        assert any(f"xattr: {kind}" in line for line in lost)


@pytest.mark.parametrize("user", HOSTS)
def test_what_a_format_cannot_hold_is_said(made: dict[str, Made], user: str) -> None:
    def said(name: str, kind: str) -> bool:
        return any(f"the image {name} cannot hold {kind}, of /" in each for each in made[user].said)

    for name in imaging.IMAGES:
        lost = LOST.get(name, ())
        assert said(name, "ACLs") == ("system.posix_acl_" in lost)
        assert said(name, "capabilities") == ("security.capability" in lost)
        assert said(name, "hard links") == (name in WITHOUT_LINKS)
        assert said(name, "other extended attributes") == ("user." in lost)


def test_every_format_is_here() -> None:
    from cloche.config.images import _READ
    from cloche.config.mkosi_options import FORMATS

    words = {each.word if isinstance(each, Mkosi) else type(each).__name__.lower()
             for each in imaging.IMAGES.values()}  # fmt: skip
    assert words == {*FORMATS, *_READ} - {"directory"}  # that is test_output_directories.py's
    assert Oci in {type(each) for each in imaging.IMAGES.values()}
