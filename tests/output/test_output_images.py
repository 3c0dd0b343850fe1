"""A machine's images boot, and are the same bytes for another user in another environment.

`make proof-images` runs this; it makes a seed of tools first.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests import bootable, booting
from tests.support import OWN, Store, User, project

from cloche.catalyst import tools
from cloche.config.toml import dumps

pytestmark = [pytest.mark.real, pytest.mark.proof(name="images")]

IMAGES = """
[[finish]]
files = "files"

[[finish]]
hook = "hook.sh"

[[finish]]
remove = ["/var/lib/kernels"]

[output.images.root]
format = "squashfs"
tools = "tools"
options = ["-c", "zstd", "-X", "level=3"]

[output.images.live]
format = "iso"
tools = "tools"
volid = "TINY"
squashfs_options = ["-c", "zstd", "-X", "level=3"]
files = ["medium", "over"]
verify = true
extra_partition = "300M"
copy = { boot = "/var/lib/kernels" }

[output.images.ext4]
format = "qcow2"
tools = "tools"
size = "2G"
efi_size = "64M"
root_type = "ext4"
kernel_options = "console=ttyS0"

[output.images.xfs]
format = "qcow2"
tools = "tools"
size = "2G"
efi_size = "64M"
kernel_options = "console=ttyS0"

[output.images.btrfs]
format = "qcow2"
tools = "tools"
size = "2G"
efi_size = "64M"
root_type = "btrfs"

[output.images.unified]
format = "disk"
tools = "tools"
Bootable = true
KernelCommandLine = ["console=ttyS0"]

[output.images.archive]
format = "tar"
tools = "tools"
"""
#: Other CPUs with UEFI: the program of removable media, and its machine type.
FOREIGN = {"aarch64": ("BOOTAA64.EFI", 0xAA64), "riscv64": ("BOOTRISCV64.EFI", 0x5064)}
OF_ANOTHER_CPU = """
[output.images.{cpu}-medium]
format = "iso"
tools = "tools-{cpu}"
volid = "TINY"
squashfs = ""
files = ["medium"]

[output.images.{cpu}-disk]
format = "qcow2"
tools = "tools-{cpu}"
size = "2G"
efi_size = "64M"
"""
MENU = """\
serial --unit=0 --speed=115200
terminal_output serial console
set timeout=0
menuentry tiny {
	search --no-floppy --set=root -l TINY
	linux /boot/tiny console=ttyS0 panic=1
	initrd /boot/tiny.igz
}
"""
INIT = """\
#!/bin/busybox sh
/bin/busybox --install -s /bin
export PATH=/bin
mount -t devtmpfs dev /dev; mount -t proc proc /proc; mount -t sysfs sys /sys
for round in 1 2 3; do # the order in which they need each other is unknown
	for module in /m/*.ko; do insmod $module 2> /dev/null; done
done
sleep 2
for disk in sr0 vda; do
	mount -t iso9660 -o ro /dev/$disk /cd 2> /dev/null && echo "medium: $disk $(ls /cd)" && break
done
mount -t squashfs -o loop,ro /cd/image.squashfs /root 2> /dev/null ||
	mount -t ext4 -o ro /dev/vda2 /root 2> /dev/null || mount -t xfs -o ro /dev/vda2 /root
echo "greets: $(chroot /root /usr/bin/greet)"
echo "kernels left: $(ls /root/var/lib/kernels 2> /dev/null)"
[ -d /sys/firmware/efi ] && echo "firmware: UEFI" || echo "firmware: BIOS"
echo "booted: the end"
poweroff -f
"""


@dataclass(frozen=True)
class Made:
    """A project whose machine has images, and the store that it was built in."""

    store: Store
    place: Path

    @property
    def out(self) -> Path:
        return self.place / "out/own"


@pytest.fixture(scope="module")
def made(root_seeded: Store, ground: Path) -> Iterator[Made]:
    parent = ground / "images"
    parent.mkdir()
    store = root_seeded.copy(parent / "store")
    place = project(store, OWN)
    with (place / "cloche.toml").open("a") as file:
        seeds = {f"tools-{cpu}": tools.seed(cpu) for cpu in FOREIGN}
        file.write(dumps({"seeds": {"tools": tools.seed(), **seeds}}))
    with (place / "machines/own.toml").open("a") as file:
        file.write(IMAGES + "".join(OF_ANOTHER_CPU.format(cpu=cpu) for cpu in FOREIGN))
    version, kernel = booting.debian_kernel(parent / "kernel")
    image = (kernel / f"boot/vmlinuz-{version}").read_bytes()
    start = booting.initramfs(kernel, INIT)
    for name, content in {
        f"files/boot/vmlinuz-{version}": image,
        f"files/boot/initramfs-{version}.img": start,
        f"files/usr/lib/modules/{version}/vmlinuz": image,
        "files/usr/lib/os-release": b"ID=gentoo\n",
        "files/var/lib/kernels/tiny": image,
        "files/var/lib/kernels/tiny.igz": start,
        "hook.sh": b"#!/bin/sh\n: > /etc/hooked\n",
        "medium/README.txt": b"replaced\n",
        "medium/boot/grub/grub.cfg": MENU.encode(),
        "over/README.txt": b"hello\n",
        "over/a = b": b"a name with words\n",
    }.items():
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).write_bytes(content)
    for name in ("tools", *seeds):
        store.cloche("seed", "bootstrap", name, cwd=place, check=True)
    store.cloche("build", "own", cwd=place, check=True, timeout=1800)
    yield Made(store, place)
    shutil.rmtree(parent)


@pytest.mark.parametrize("uefi", [False, True], ids=["BIOS", "UEFI"])
@pytest.mark.parametrize("cdrom", [True, False], ids=["CD", "disk"])
def test_the_medium_boots(made: Made, uefi: bool, cdrom: bool) -> None:
    said = booting.boot(made.out / "live.iso", uefi=uefi, cdrom=cdrom, until="booted: ")
    assert "hello of leaf" in said
    assert f"firmware: {'UEFI' if uefi else 'BIOS'}" in said
    assert f"medium: {'sr0' if cdrom else 'vda'}" in said
    assert "isoroot_b2sums" in said
    assert "kernels left: \r\n" in said


@pytest.mark.parametrize("name", ["ext4.qcow2", "xfs.qcow2", "unified.raw"])
def test_the_disk_boots(made: Made, name: str) -> None:
    file = made.out / name
    said = booting.boot(file, uefi=True, cdrom=False, until="booted: ")
    assert "hello of leaf" in said
    assert "firmware: UEFI" in said


@pytest.mark.parametrize("cpu", FOREIGN)
def test_a_medium_for_another_cpu_has_the_grub_of_that_cpu_alone(made: Made, cpu: str) -> None:
    image, (name, machine) = made.out / f"{cpu}-medium.iso", FOREIGN[cpu]
    entries = bootable.boot_catalog(image)
    assert entries.keys() == {0xEF}
    program = bootable.extracted(image, entries[0xEF] * 4, f"EFI/BOOT/{name}")
    assert bootable.machine_of(program) == machine
    platforms = {line for line in bootable.names_on(image, "/boot/grub") if "-" in line}
    assert platforms == {f"{cpu.replace('aarch64', 'arm64')}-efi"}
    content = image.read_bytes()
    assert content[510:512] == b"\x55\xaa"
    assert content[512:520] == b"EFI PART"


@pytest.mark.parametrize("cpu", FOREIGN)
def test_a_disk_for_another_cpu_has_its_grub(made: Made, tmp_path: Path, cpu: str) -> None:
    raw, (name, machine) = tmp_path / "raw", FOREIGN[cpu]
    subprocess.run(["qemu-img", "convert", made.out / f"{cpu}-disk.qcow2", raw], check=True)
    program = bootable.extracted(raw, 2048, f"EFI/BOOT/{name}")
    assert bootable.machine_of(program) == machine
    menu = bootable.extracted(raw, 2048, "grub/grub.cfg").decode()
    assert "insmod gzio" in menu


def test_the_medium_lists_and_verifies_what_is_on_it(made: Made, tmp_path: Path) -> None:
    listing = (made.out / "live.iso.contents").read_text()
    for name in ("README.TXT;1", "A___B", "IMAGE.SQUASHFS;1", "ISOROOT_B2SUMS", "EFI.IMG;1"):
        assert f" {name}" in listing
    image = (made.out / "live.iso").read_bytes()
    squashfs = (made.out / "root.squashfs").read_bytes()
    assert squashfs in image  # the same options, so the same bytes
    for content, name in ((squashfs, "image.squashfs"), (b"hello\n", "README.txt")):
        digest = hashlib.blake2b(content).hexdigest()
        assert f"{digest}  ./{name}\n".encode() in image
    assert image[510:512] == b"\x55\xaa"  # a master boot record
    assert image[512:520] == b"EFI PART"


def test_another_user_makes_the_same_bytes(made: Made, ordinary: User) -> None:
    """In another time zone, and with programs on PATH that fail in the place of the tools."""
    store = made.store.copy(ordinary.home / "images-store", linked=False)
    with closing(sqlite3.connect(store.path / "index.sqlite")) as index, index:
        index.execute("DELETE FROM actions WHERE kind = 'image'")
    listed = store.cloche("seed", "list", cwd=made.place, check=True)  # a copy has no locks yet
    assert " tools " in f" {' '.join(listed.stdout.split())} "
    store.cloche("store", "adopt", "--user", ordinary.name, check=True)
    place = ordinary.home / "images"
    shutil.copytree(made.place, place, ignore=shutil.ignore_patterns("out"))
    poisoned = ordinary.home / "poisoned"
    poisoned.mkdir()
    for name in ("xorriso", "grub-mkimage", "tar2sqfs", "tar", "qemu-img", "mkfs.ext4"):
        (poisoned / name).write_text("#!/bin/sh\nexit 9\n")
        (poisoned / name).chmod(0o755)
    for path in (place, poisoned):
        ordinary.own(path)
    env = {"PATH": f"{poisoned}:{os.environ['PATH']}", "TZ": "Asia/Tokyo"}
    told = ordinary.run(
        "--store", store.path, "build", "own", cwd=place, env=env, timeout=1800, check=True
    )
    made = [line for line in told.stderr.splitlines() if line.startswith("image: ")]
    assert "image: root: " in told.stderr
    assert not [line for line in made if line.endswith("reused")]
    for name in ("root.squashfs", "live.iso", "ext4.qcow2", "xfs.qcow2", "aarch64-medium.iso",
                 "unified.raw", "archive.tar"):  # fmt: skip
        assert (place / "out/own" / name).read_bytes() == (made.out / name).read_bytes()
    shutil.rmtree(store.path)
    shutil.rmtree(place)
