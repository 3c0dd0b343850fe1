"""A distribution kernel: a module built for it and signed, an initramfs of dracut, a boot."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from kernels import initramfs, key_pair, signed_by, with_debian_kernel
from own import TOML
from tests.booting import boot_kernel
from tests.support import Store

pytestmark = pytest.mark.real

MORE = """
[kernel]
dist = "sys-kernel/debian-kernel"
signing = {{ file = "{key}", certificate = "kernel/modules.pem" }}
[output]
stage4 = true
compression = "none"
"""
EARLY = """seed = "debian"
profile = "own:default"
portage = ["base"]
packages = ["app-misc/glass"]

[kernel]
dist = "sys-kernel/debian-kernel"
initramfs = "dracut"
dracut_options = ["--add-drivers", "glass", "--no-compress"]
signing = {{ file = "{key}", certificate = "kernel/modules.pem" }}
[output]
stage4 = true
compression = "none"
below = "/boot"
"""
VDB = "var/db/pkg/app-misc/glass-1/CONTENTS"


@pytest.fixture(scope="module")
def store(root_seeded: Store, ground: Path) -> Iterator[Store]:
    """A store of this module's own."""
    parent = ground / "kernel-packaged"
    parent.mkdir()
    yield root_seeded.copy(parent / "store")
    shutil.rmtree(parent)


@pytest.fixture(scope="module")
def place(store: Store, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with a machine, whose modules' key is not in it."""
    made = with_debian_kernel(store, tmp_path_factory.mktemp("debian"))
    key, _ = key_pair(made)
    text = TOML.format(atoms=["app-shells/dash", "app-misc/glass"], more=MORE.format(key=key))
    (made / "machines/packaged.toml").write_text(text)
    (made / "machines/early.toml").write_text(EARLY.format(key=key))
    return store.user.own(made)


def unpacked(place: Path, into: Path, name: str = "packaged") -> Path:
    root = into / "root"
    root.mkdir()
    subprocess.run(["tar", "-xf", place / f"out/{name}/stage4.tar", "-C", root], check=True)
    return root


def test_a_module_is_built_for_the_kernel_and_signed_outside_of_the_store(
    store: Store, place: Path, tmp_path: Path
) -> None:
    store.cloche("build", "packaged", "--secrets", cwd=place, check=True)
    root = unpacked(place, tmp_path)
    (module,) = root.glob("usr/lib/modules/*/extra/glass.ko")
    content = module.read_bytes()
    assert signed_by(content, place / "kernel/modules.pem", tmp_path)
    assert not signed_by(
        content.replace(b"glass: ", b"GLASS: "), place / "kernel/modules.pem", tmp_path
    )
    digest = hashlib.md5(content, usedforsecurity=False).hexdigest()
    assert f"extra/glass.ko {digest} " in (root / VDB).read_text()
    assert "extra/glass.ko:" in (module.parent.parent / "modules.dep").read_text()
    (theirs,) = root.glob("usr/lib/modules/*/kernel/drivers/block/loop.ko")
    assert not signed_by(theirs.read_bytes(), place / "kernel/modules.pem", tmp_path)
    assert theirs.read_bytes().count(b"~Module signature appended~\n") == 1
    assert not (root / "usr/src").exists()
    lines = (place.parent / "modules.key").read_text().splitlines()[1:3]
    for line in lines:
        found = ["grep", "-rlF", line, store.path, place]
        assert subprocess.run(found, capture_output=True, check=False).stdout == b""


def test_a_packaged_kernel_boots_and_loads_the_module(
    store: Store, place: Path, tmp_path: Path
) -> None:
    done = store.cloche("build", "packaged", cwd=place, check=True)  # needs no key any more
    assert "sign: reused" in done.stderr
    root = unpacked(place, tmp_path)
    (image,) = (root / "boot").glob("vmlinuz-*")
    kernel = shutil.copy(image, tmp_path / "vmlinuz")
    shutil.rmtree(root / "boot")
    said = boot_kernel(
        kernel,
        initramfs(root, tmp_path / "initramfs"),
        "console=ttyS0 rdinit=/usr/bin/sh panic=-1",
        typed="/sbin/insmod /usr/lib/modules/*/extra/glass.ko; echo ended $((6*7)) of $0\n",
        prompt="job control turned off",
        until="ended 42 of",
    )
    assert "ended 42 of" in said
    assert "glass: answer 42" in said


def test_dracut_makes_an_initramfs_with_the_signed_module(
    store: Store, place: Path, tmp_path: Path
) -> None:
    done = store.cloche("build", "early", cwd=place, check=True)
    assert "modules are not signed; `--secrets` signs them" in done.stderr
    done = store.cloche("build", "early", "--secrets", cwd=place, check=True)
    assert "initramfs: " in done.stderr
    boot = unpacked(place, tmp_path, "early")
    (image,) = boot.glob("vmlinuz-*")
    made = boot / f"initramfs-{image.name.removeprefix('vmlinuz-')}.img"
    inside = tmp_path / "inside"
    inside.mkdir()
    with made.open("rb") as file:
        subprocess.run(["cpio", "-id", "--quiet"], cwd=inside, stdin=file, check=True)
    (module,) = inside.glob("usr/lib/modules/*/extra/glass.ko")
    assert signed_by(module.read_bytes(), place / "kernel/modules.pem", tmp_path)
    assert "glass.ko" in (module.parent.parent / "modules.dep").read_text()
    assert (inside / "init").exists()
    told = store.cloche("build", "early", cwd=place, check=True).stderr
    assert "sign: reused" in told
    assert "initramfs: reused" in told
