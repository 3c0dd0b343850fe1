"""A distribution kernel boots, with an initramfs of dracut and a module that was built for it."""

from __future__ import annotations

import base64
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from kernels import key_pair, signed_by, with_debian_kernel
from own import TOML as OWN_ROOT
from tests.booting import boot_kernel
from tests.searching import holding
from tests.support import Store

pytestmark = pytest.mark.real

TOML = """seed = "debian"
profile = "own:default"
portage = ["base"]
packages = ["app-misc/glass"]

[kernel]
dist = "sys-kernel/debian-kernel"
initramfs = "dracut"
dracut_options = ["--add-drivers", "glass loop", "--no-compress"]
signing = {{ file = "{key}", certificate = "kernel/modules.pem" }}
[output]
stage4 = true
compression = "none"
below = "/boot"
"""


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
    (made / "machines/packaged.toml").write_text(TOML.format(key=key))
    return store.user.own(made)


@pytest.fixture(scope="module")
def boot(store: Store, place: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """/boot of the machine, which was built with its key."""
    store.cloche("build", "packaged", "--secrets", cwd=place, check=True)
    into = tmp_path_factory.mktemp("boot")
    subprocess.run(["tar", "-xf", place / "out/packaged/stage4.tar", "-C", into], check=True)
    return into


def initramfs_of(boot: Path) -> tuple[Path, Path]:
    """The kernel and the initramfs of the same release."""
    (kernel,) = boot.glob("vmlinuz-*")
    return kernel, boot / f"initramfs-{kernel.name.removeprefix('vmlinuz-')}.img"


def test_dracut_puts_modules_in_which_are_signed_outside_of_the_store(
    store: Store, place: Path, boot: Path, tmp_path: Path
) -> None:
    inside, certificate = tmp_path / "inside", place / "kernel/modules.pem"
    inside.mkdir()
    with initramfs_of(boot)[1].open("rb") as file:
        subprocess.run(["cpio", "-id", "--quiet"], cwd=inside, stdin=file, check=True)
    (module,) = inside.glob("usr/lib/modules/*/extra/glass.ko")
    content = module.read_bytes()
    assert signed_by(content, certificate, tmp_path)
    assert not signed_by(content.replace(b"glass: ", b"GLASS: "), certificate, tmp_path)
    assert "extra/glass.ko:" in (module.parent.parent / "modules.dep").read_text()
    (theirs,) = inside.glob("usr/lib/modules/*/kernel/drivers/block/loop.ko")
    assert theirs.read_bytes().count(b"~Module signature appended~\n") == 1  # Debian's
    assert not signed_by(theirs.read_bytes(), certificate, tmp_path)
    words = key_words(place.parent / "modules.key")
    assert holding(place.parent, words) == [place.parent / "modules.key"]
    assert holding(store.path, words) == []


def key_words(file: Path) -> list[bytes]:
    """Lines of a key, and bytes of it as openssl has them in memory, without any newline."""
    lines = file.read_bytes().splitlines()[10:-2]  # after the modulus, which is public
    der = base64.b64decode(b"".join(lines))
    parts = [part for part in re.split(rb"[\n\0]", der) if len(part) > 12]
    assert len(lines) > 10
    assert len(parts) > 2
    return [*lines, *(part[:24] for part in parts)]


def test_a_build_without_the_key_takes_what_it_signed_before(
    store: Store, place: Path, boot: Path
) -> None:
    assert boot.is_dir()
    told = store.cloche("build", "packaged", cwd=place, check=True).stderr
    assert "depmod: reused" in told  # the package of the module did not see the kernel
    assert "sign: reused" in told
    assert "initramfs: reused" in told
    key = place.parent / "modules.key"
    key.rename(key.with_suffix(".away"))
    done = store.cloche("build", "packaged", "--secrets", cwd=place)
    key.with_suffix(".away").rename(key)
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert "machines/packaged.toml:10: key of modules: " in line
    assert line.endswith("modules.key is not there")


def test_a_freshroot_has_the_kernel_and_one_without_portage_says_so(
    store: Store, place: Path, boot: Path
) -> None:
    kernel, initramfs = initramfs_of(boot)
    words = ("sh", "-c", "echo /boot/*")
    told = store.cloche("freshroot", "packaged", "--", *words, cwd=place, check=True)
    assert f"/boot/{kernel.name}" in told.stdout.split()
    assert f"/boot/{initramfs.name}" in told.stdout.split()
    assert "has no Portage" not in told.stderr
    text = OWN_ROOT.format(atoms=["app-shells/dash"], more="")
    (place / "machines/bare.toml").write_text(text)
    store.cloche("build", "bare", cwd=place, check=True)
    words = ("dash", "-c", "echo new > /file; echo /usr/local/sbin/*")
    told = store.cloche("freshroot", "bare", "--", *words, cwd=place, check=True)
    assert "note: this root has no Portage" in told.stderr


def test_it_boots_to_a_shell_of_the_initramfs_and_loads_the_module(boot: Path) -> None:
    kernel, initramfs = initramfs_of(boot)
    said = boot_kernel(
        kernel,
        initramfs,
        "console=ttyS0 rdinit=/bin/sh panic=-1",
        typed="modprobe glass; echo ended $((6*7)) of $0\n",
        prompt="no job control in this shell",
        until="ended 42 of",
    )
    assert "ended 42 of" in said
    assert "glass: answer 42" in said
