"""What a virtual machine starts with: its kernel, and the archive that is its first file system."""

from __future__ import annotations

import shutil
import stat
import subprocess
from pathlib import Path

import pytest
from tests.support import cannot

from cloche.sandbox.errors import HostError
from cloche.vm import cpio, interpreter, kernel, modules


def test_an_archive_is_what_cpio_reads(tmp_path: Path) -> None:
    if shutil.which("cpio") is None:
        cannot("cpio is not installed")
    entries = [
        cpio.Entry("/deep/er/file", stat.S_IFREG | 0o640, b"content"),
        cpio.Entry("/deep/link", stat.S_IFLNK | 0o777, b"er/file"),
        cpio.Entry("/deep/er/empty", stat.S_IFREG | 0o755),
        cpio.directory("/deep"),
    ]
    subprocess.run(
        ["cpio", "--extract", "--quiet"], input=cpio.archive(entries), cwd=tmp_path, check=True
    )
    assert (tmp_path / "deep/link").read_text() == "content"
    assert stat.S_IMODE((tmp_path / "deep/er/file").stat().st_mode) == 0o640
    assert (tmp_path / "deep/er/empty").read_bytes() == b""


def test_what_lies_on_the_way_to_a_file_comes_along(tmp_path: Path) -> None:
    (tmp_path / "real/lib").mkdir(parents=True)
    (tmp_path / "real/lib/libx.so.1.2").write_text("library")
    (tmp_path / "real/lib/libx.so.1").symlink_to("libx.so.1.2")
    (tmp_path / "lib").symlink_to("real/../real/lib")
    placed = list(interpreter.placed(str(tmp_path / "lib/libx.so.1")))
    assert [(entry.path.removeprefix(str(tmp_path)), entry.content) for entry in placed] == [
        ("/lib", b"real/../real/lib"),
        ("/real/lib/libx.so.1", b"libx.so.1.2"),
        ("/real/lib/libx.so.1.2", b"library"),
    ]


def module(path: Path, depends: str) -> None:
    """A file with the part of a module that says what it depends on."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"\x7fELF license=GPL\0depends=" + depends.encode() + b"\0name=x\0")


def test_modules_come_after_what_they_depend_on(tmp_path: Path) -> None:
    module(tmp_path / "kernel/a-b.ko", "c,d_e")
    module(tmp_path / "kernel/deep/c.ko", "d-e")
    module(tmp_path / "kernel/d-e.ko", "")
    (tmp_path / "modules.builtin").write_text("kernel/fs/built-in.ko\n")
    found = modules.needed(tmp_path, ["built_in", "c", "a_b"])
    assert [name for name, _ in found] == ["d_e", "c", "a_b"]
    with pytest.raises(HostError, match="no driver nowhere"):
        modules.needed(tmp_path, ["nowhere"])


def test_the_newest_kernel_with_the_drivers_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(kernel.VARIABLE, str(tmp_path))
    with pytest.raises(kernel.NoKernelError, match="there is no kernel in"):
        kernel.find()
    for release in ("6.9.0", "6.10.0", "6.11.0"):
        (tmp_path / "boot").mkdir(exist_ok=True)
        (tmp_path / "boot" / f"vmlinuz-{release}").write_text("")
    with pytest.raises(kernel.NoKernelError, match=r"the modules of .*vmlinuz-6.9.0 are missing"):
        kernel.find()
    for release in ("6.9.0", "6.10.0"):
        for driver in kernel.DRIVERS:
            module(tmp_path / "lib/modules" / release / f"{driver}.ko", "")
    module(tmp_path / "lib/modules/6.11.0/virtio_pci.ko", "")
    assert kernel.find().image.name == "vmlinuz-6.10.0"
