"""The smallest kernel that boots: built twice with equal bytes, to a shell of its root."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from kernels import initramfs, machine, prepared
from tests.booting import boot_kernel
from tests.support import Store

pytestmark = [pytest.mark.real, pytest.mark.proof(name="kernel")]


@pytest.fixture(scope="module")
def store(root_seeded: Store, ground: Path) -> Iterator[Store]:
    """A store of this module's own."""
    parent = ground / "kernel-proof"
    parent.mkdir()
    yield root_seeded.copy(parent / "store")
    shutil.rmtree(parent)


@pytest.fixture(scope="module")
def place(store: Store) -> Path:
    """A project with two machines of one kernel, built."""
    made = prepared(store, compiles=True)
    for name in ("first", "second"):
        machine(made, name)
        store.user.own(made)
        store.cloche("build", name, cwd=made, check=True, timeout=7200)
    return made


def kernel_of(store: Store, place: Path, name: str) -> str:
    """The layer of a machine's kernel."""
    (layer,) = (layer for cpv, layer in store.layers(place, name).items() if "cloche-kernel" in cpv)
    return layer


def test_machines_with_equal_kernels_share_one(store: Store, place: Path) -> None:
    told = store.cloche("history", "sys-kernel/cloche-kernel", cwd=place, check=True).stdout
    assert kernel_of(store, place, "first") == kernel_of(store, place, "second")
    assert told.count("built") == 1, told
    again = store.cloche("build", "first", cwd=place, check=True)
    assert "0 built" in again.stderr or "0 built" in again.stdout


def test_a_kernel_that_is_built_again_has_equal_bytes(store: Store, place: Path) -> None:
    before = kernel_of(store, place, "first")
    words = ("build", "first", "--rebuild", "sys-kernel/cloche-kernel")
    store.cloche(*words, cwd=place, check=True, timeout=7200)
    assert kernel_of(store, place, "first") == before


def test_it_starts_to_a_shell_of_the_machines_root(
    store: Store, place: Path, tmp_path: Path
) -> None:
    root = tmp_path / "root"
    root.mkdir()
    subprocess.run(["tar", "-xf", place / "out/first/stage4.tar", "-C", root], check=True)
    assert not (root / "usr/src").exists()
    (image,) = (root / "boot").glob("vmlinuz-*")
    release = image.name.removeprefix("vmlinuz-")
    assert (root / f"boot/System.map-{release}").read_text().count("start_kernel") >= 1
    assert "CONFIG_SERIAL_8250_CONSOLE=y" in (root / f"boot/config-{release}").read_text()
    shutil.copy(image, tmp_path / "vmlinuz")
    shutil.rmtree(root / "boot")
    said = boot_kernel(
        tmp_path / "vmlinuz",
        initramfs(root, tmp_path / "initramfs"),
        "console=ttyS0 rdinit=/usr/bin/sh panic=-1",
        typed="echo answer $((6*7)) of $0\n",
        prompt="job control turned off",
        until="answer 42 of",
    )
    assert f"Linux version {release}" in said
    assert "(root@localhost)" in said
    assert "answer 42 of" in said
