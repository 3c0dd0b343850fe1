"""Virtual machines as sandboxes, as root and as an ordinary user: see vm_checks.py for the checks.

A boot takes some seconds without KVM, so there are few. The kernel is the one that cloche fetches.
"""

from __future__ import annotations

import json
import re
import shutil
import stat
import subprocess
from pathlib import Path

import pytest
from tests.engines.driving import make_root
from tests.support import User, cannot, for_all

from cloche.sandbox.errors import HostError
from cloche.vm import (
    cpio,
    interpreter,
    kernel,
    modules,
)

DRIVER = Path(__file__).with_name("vm_driver.py")
CHECKS = re.findall(r"^def (check_\w+)", DRIVER.with_name("vm_checks.py").read_text(), re.MULTILINE)
# What differs for somebody who is uid 0 in a user namespace alone.
OF_USERS = [name for name in CHECKS if re.search("leaves|descriptors|time_limit", name)]


def drive(user: User, names: list[str], ground: Path, virtual_kernel: Path) -> dict[str, str]:
    """How checks went, for a user."""
    place = ground / f"machines-{user.name}"
    make_root(place / "root")
    (place / "work").mkdir()
    user.own(place)
    variables = {"CLOCHE_KERNEL": str(virtual_kernel)}
    command = user.command(env=variables)
    command[command.index("-m") :] = [
        str(for_all(DRIVER)),
        str(place / "work"),
        str(place / "root"),
        *names,
    ]
    run = subprocess.run(
        command,
        env=user.environment(variables),
        cwd="/",
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    results: dict[str, str] = json.loads(run.stdout.splitlines()[-1])
    return results


@pytest.fixture(scope="module")
def as_root(root: User, ground: Path, virtual_kernel: Path) -> dict[str, str]:
    return drive(root, CHECKS, ground, virtual_kernel)


@pytest.fixture(scope="module")
def as_user(ordinary: User, ground: Path, virtual_kernel: Path) -> dict[str, str]:
    return drive(ordinary, OF_USERS, ground, virtual_kernel)


@pytest.mark.real
@pytest.mark.parametrize("name", CHECKS)
def test_as_root(name: str, as_root: dict[str, str]) -> None:
    assert as_root[name] == "ok", as_root[name]


@pytest.mark.real
@pytest.mark.proof(name="engines")
@pytest.mark.parametrize("name", OF_USERS)
def test_as_an_ordinary_user(name: str, as_user: dict[str, str]) -> None:
    assert as_user[name] == "ok", as_user[name]


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
    with pytest.raises(kernel.NoKernelError, match=r"the modules of .*vmlinuz-6.9.0 are not there"):
        kernel.find()
    for release in ("6.9.0", "6.10.0"):
        for driver in kernel.DRIVERS:
            module(tmp_path / "lib/modules" / release / f"{driver}.ko", "")
    module(tmp_path / "lib/modules/6.11.0/virtio_pci.ko", "")
    assert kernel.find().image.name == "vmlinuz-6.10.0"
