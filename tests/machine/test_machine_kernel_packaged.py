"""A machine with a distribution kernel, which boots to a shell of the machine's root."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from kernels import initramfs, with_debian_kernel
from own import TOML
from tests.booting import boot_kernel
from tests.support import Store

pytestmark = pytest.mark.real

MORE = """
[kernel]
dist = "sys-kernel/debian-kernel"
[output]
stage4 = true
compression = "none"
"""


@pytest.fixture
def store(root_seeded: Store, ground: Path) -> Iterator[Store]:
    """A store of this test's own."""
    parent = ground / "kernel-packaged"
    parent.mkdir()
    yield root_seeded.copy(parent / "store")
    shutil.rmtree(parent)


def test_a_packaged_kernel_boots(store: Store, tmp_path: Path) -> None:
    place = with_debian_kernel(store, tmp_path)
    text = TOML.format(atoms=["app-shells/dash"], more=MORE)
    (place / "machines/packaged.toml").write_text(text)
    store.cloche("build", "packaged", cwd=place, check=True)
    command = ("dash", "-c", "echo /boot/*; echo new > /file; echo /usr/local/sbin/*")
    opened = store.cloche("freshroot", "packaged", "--", *command, cwd=place, check=True)
    assert "/boot/vmlinuz-" in opened.stdout
    assert "note: this root has no Portage" in opened.stderr
    root = tmp_path / "root"
    root.mkdir()
    subprocess.run(["tar", "-xf", place / "out/packaged/stage4.tar", "-C", root], check=True)
    (image,) = (root / "boot").glob("vmlinuz-*")
    kernel = shutil.copy(image, tmp_path / "vmlinuz")
    shutil.rmtree(root / "boot")
    said = boot_kernel(
        kernel,
        initramfs(root, tmp_path / "initramfs"),
        "console=ttyS0 rdinit=/usr/bin/sh panic=-1",
        typed="echo answer $((6*7)) of $0\n",
        prompt="job control turned off",
        until="answer 42 of",
    )
    assert "answer 42 of" in said
