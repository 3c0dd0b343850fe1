"""Every backend of roots, as root and as an ordinary user: see root_checks.py for the checks."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support import ROOT, User, cannot

from cloche.archives import import_tarball
from cloche.errors import Exit
from cloche.layers import (
    compare,
    flatten,
    layer_id,
    merge_layers,
    subtract,
)
from cloche.layers.errors import LayerError
from cloche.layers.xattrtext import ACL_DEFAULT, acl_from_text
from cloche.roots import (
    backends,
    capture_root,
    open_root,
    opening,
)
from cloche.roots.errors import RootError
from cloche.store import Store

DRIVER = Path(__file__).with_name("root_driver.py")
CHECKS = re.findall(r"^def (check_\w+)", DRIVER.with_name("root_checks.py").read_text(), re.M)
IMAGES = {"xfs": ("300M", "mkfs.xfs", "-q"), "btrfs": ("160M", "mkfs.btrfs", "-q")}
# In a mount namespace of its own: loop devices and mounts go with the last process in there. The
# device of FUSE is for everybody on hosts with udev, and for root alone where there is none.
AROUND = """
set -e
for kind in xfs btrfs; do
    mount -o loop "$1/$kind.image" "$1/$kind"
    chown "$2:" "$1/$kind"
done
mknod -m 666 "$1/fuse" c 10 229
mount --bind "$1/fuse" /dev/fuse
shift 2
exec "$@"
"""


@pytest.fixture(scope="module")
def images() -> Iterator[Path]:
    """Empty file systems that can share blocks, in files."""
    for program in ("mkfs.xfs", "mkfs.btrfs", "fuse-overlayfs"):
        if shutil.which(program) is None:
            cannot(f"{program} is missing")
    if not Path("/dev/loop-control").exists() or not Path("/dev/fuse").exists():
        cannot("no loop devices, or no /dev/fuse")
    with tempfile.TemporaryDirectory(prefix="cloche-roots-") as name:
        Path(name).chmod(0o755)
        yield Path(name)


def drive(user: User, images: Path) -> dict[str, str]:
    directory = images / user.name
    for path in (directory, directory / "plain", directory / "code"):
        path.mkdir()
    user.own(directory / "plain")
    for name in ("root_driver", "root_checks", "worlds"):
        shutil.copy(DRIVER.with_name(f"{name}.py"), directory / "code")
    shutil.copy(DRIVER.parents[1] / "sandbox/checking.py", directory / "code")
    for kind, (size, *make) in IMAGES.items():
        (directory / kind).mkdir()
        image = directory / f"{kind}.image"
        subprocess.run(["truncate", "--size", size, image], check=True)
        subprocess.run([*make, image], check=True, capture_output=True)
    places = [f"{kind}={directory / kind}" for kind in ("plain", *IMAGES)]
    variables = user.environment({"HYPOTHESIS_STORAGE_DIRECTORY": str(directory / "plain")})
    if user.name == "root":  # the checkout's own code, whose lines are counted
        variables = {**os.environ, **variables, "PYTHONPATH": str(ROOT / "src")}
    driver = [user.python, "-B", directory / "code" / DRIVER.name, *places]
    around = ["unshare", "--mount", "sh", "-c", AROUND, "sh", directory, user.name]
    run = subprocess.run(
        [*around, *user.as_user(), "env", *(f"{k}={v}" for k, v in variables.items()), *driver],
        cwd="/",
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    print(run.stderr)  # what each check took
    assert run.returncode == 0
    results: dict[str, str] = json.loads(run.stdout.splitlines()[-1])
    return results


@pytest.fixture(scope="module")
def as_root(root: User, images: Path) -> dict[str, str]:
    return drive(root, images)


@pytest.fixture(scope="module")
def as_ordinary(ordinary: User, images: Path) -> dict[str, str]:
    return drive(ordinary, images)


@pytest.mark.real
@pytest.mark.parametrize("name", CHECKS)
def test_as_root(name: str, as_root: dict[str, str]) -> None:
    assert as_root[name] == "ok", as_root[name]


@pytest.mark.real
@pytest.mark.parametrize("name", CHECKS)
def test_as_an_ordinary_user(name: str, as_ordinary: dict[str, str]) -> None:
    assert as_ordinary[name] == "ok", as_ordinary[name]


@pytest.fixture
def low(tmp_path: Path) -> Path:
    for name in ("low", "at", "upper"):
        (tmp_path / name).mkdir()
    (tmp_path / "low/file").write_text("low")
    return tmp_path / "low"


def test_a_copy_needs_no_mounts(tmp_path: Path, low: Path) -> None:
    (tmp_path / "at").chmod(0o700)
    low.chmod(0o755)
    with open_root([low], tmp_path / "at", upper=tmp_path / "upper", backend="copy") as root:
        assert (root.backend, root.writable) == ("copy", True)
        (root.path / "file").unlink()
        (root.path / "new").touch()
        (root.path / "left out").touch()
        report = capture_root(root, tmp_path / "layer", drop=["left*"])
        assert (report.deleted, report.dropped) == (("file",), ("left out",))
    assert sorted(path.name for path in (tmp_path / "layer").iterdir()) == ["file", "new"]
    assert (tmp_path / "at").stat().st_mode & 0o777 == 0o700
    assert list((tmp_path / "at").iterdir()) == []


def test_what_is_written_goes_when_nobody_captures_it(tmp_path: Path, low: Path) -> None:
    before = layer_id(low, {})
    root = open_root([low], tmp_path / "at", upper=tmp_path / "upper", backend="copy")
    with root as opened:
        (opened.path / "file").write_text("new")
    assert list((tmp_path / "at").iterdir()) == []
    assert layer_id(low, {}) == before


def test_mistakes_are_told(tmp_path: Path, low: Path) -> None:
    with pytest.raises(RootError, match="aufs; choose one of overlay, "):
        open_root([low], tmp_path / "at", backend="aufs").__enter__()
    with pytest.raises(RootError, match="cannot be writable; open it without"):
        open_root([low], tmp_path / "at", upper=tmp_path / "upper", backend="hardlink").__enter__()
    with pytest.raises(LayerError, match="low: the directory is not empty"):
        open_root([low], low).__enter__()
    with pytest.raises(ValueError, match="at least one layer"):
        open_root([], tmp_path / "at").__enter__()


def test_one_layer_is_captured_while_the_root_is_open(
    tmp_path: Path, low: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    there = tmp_path / "there"
    there.mkdir()
    (there / "already").touch()
    with open_root([Path("low")], Path("at"), upper=Path("upper"), backend="copy") as root:
        (root.path / "new").touch()
        monkeypatch.chdir("/")
        with pytest.raises(LayerError, match="the directory is not empty"):
            capture_root(root, there)
        capture_root(root, tmp_path / "layer")
        with pytest.raises(RootError, match="at: the root has ended"):
            capture_root(root, tmp_path / "second")
    with open_root([low], tmp_path / "at", upper=tmp_path / "upper", backend="copy") as root:
        pass
    with pytest.raises(RootError, match="has ended"):
        capture_root(root, tmp_path / "second")
    for inside in (low, low / "new"):
        with pytest.raises(LayerError, match="choose another place"):
            flatten([low], inside)
    for mix in (lambda: flatten([low], there), lambda: subtract(low, [], there)):
        with pytest.raises(LayerError, match="the directory is not empty"):
            mix()
    assert [path.name for path in (tmp_path / "layer").iterdir()] == ["new"]
    assert [path.name for path in there.iterdir()] == ["already"]
    assert not (tmp_path / "second").exists()


def test_what_a_directory_hands_down_is_no_part_of_a_layer(tmp_path: Path, low: Path) -> None:
    (low / "directory").mkdir()
    subprocess.run(["tar", "-C", low, "-cf", tmp_path / "x.tar", "file", "directory"], check=True)
    ids = []
    for name in ("plain", "with defaults"):
        place = tmp_path / name
        place.mkdir()
        if ids:
            acl = acl_from_text("user::rwx,user:1:rwx,group::r-x,mask::rwx,other::r-x")
            os.setxattr(place, ACL_DEFAULT, acl)
            os.chown(place, 5, 5)
            place.chmod(0o2775)
        for at in ("at", "upper"):
            (place / at).mkdir()
        import_tarball(tmp_path / "x.tar", place / "imported")
        merge_layers([low], place / "merged", link=False)
        with open_root([low], place / "at", upper=place / "upper", backend="copy") as root:
            assert compare(root.path, low).equal
            (root.path / "new/inner").mkdir(parents=True)
            capture_root(root, place / "captured")
        with Store.open(place / "store") as store, store.workspace("x") as room:
            (room / "made").mkdir()
            made = layer_id(room / "made", {})
        ids.append([layer_id(place / x, {}) for x in ("imported", "merged", "captured")] + [made])
    assert ids[0] == ids[1]


def test_a_missing_program_is_the_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    found = {backend.name: backend for backend in backends(tmp_path)}
    assert found["fuse-overlayfs"].reason == "the program fuse-overlayfs is missing"
    assert not found["fuse-overlayfs"].there
    assert found["copy"].there
    assert [name for name, backend in found.items() if not backend.writable] == ["hardlink"]


def test_without_any_backend_each_has_its_reason(
    tmp_path: Path, low: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    fuse = tuple(each for each in opening._BACKENDS if each.name == "fuse-overlayfs")
    monkeypatch.setattr(opening, "_BACKENDS", fuse)
    with pytest.raises(RootError, match=r"at: no backend can show a root there$") as caught:
        open_root([low], tmp_path / "at").__enter__()
    assert caught.value.detail == "fuse-overlayfs: the program fuse-overlayfs is missing"
    assert caught.value.status is Exit.HOST
