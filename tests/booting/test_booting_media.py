"""What can be booted, and from which firmware, by the content of files."""

from __future__ import annotations

import io
import os
import shutil
import struct
import subprocess
import uuid
from pathlib import Path

import pytest
from pycdlib import PyCdlib
from tests.support import cannot

from cloche.booting.errors import BootError
from cloche.booting.media import Medium, data_disk, medium

ESP = uuid.UUID("c12a7328-f81f-11d2-ba4b-00a0c93ec93b").bytes_le
LINUX = uuid.UUID("0fc63daf-8483-4772-8e79-3d69d8477de4").bytes_le


def gpt(*types: bytes, loader: bytes = b"") -> bytes:
    """The beginning of a disk with a GPT (UEFI 2.10, 5.3)."""
    protective = loader.ljust(446, b"\0") + bytes([0, 0, 2, 0, 0xEE]).ljust(64, b"\0") + b"\x55\xaa"
    header = b"EFI PART".ljust(72, b"\0") + struct.pack("<QII", 2, 128, 128)
    entries = b"".join(kind.ljust(128, b"\1") for kind in types)
    return protective + header.ljust(512, b"\0") + entries.ljust(128 * 128, b"\0") + bytes(1 << 16)


@pytest.mark.parametrize(
    ("content", "firmware"),
    [
        (gpt(LINUX, ESP), ("uefi",)),
        (gpt(LINUX, loader=b"\xeb\x63"), ("bios",)),
        (gpt(ESP, loader=b"\xeb\x63"), ("uefi", "bios")),
        (b"\xfa".ljust(510, b"\0") + b"\x55\xaa" + bytes(4096), ("bios",)),
        (bytes(450) + b"\xef" + bytes(59) + b"\x55\xaa" + bytes(4096), ("uefi",)),
    ],
    ids=["ESP", "GPT and MBR", "both", "MBR", "MBR with ESP"],
)
def test_a_disk_boots_from_what_it_has(
    tmp_path: Path, content: bytes, firmware: tuple[str, ...]
) -> None:
    file = tmp_path / "disk.raw"
    file.write_bytes(content)
    assert medium(file) == Medium(file, "disk", "raw", firmware)


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("cluster", ["512", "64K", "2M"])
def test_a_disk_in_qemus_format_is_the_same(tmp_path: Path, cluster: str, compressed: bool) -> None:
    if shutil.which("qemu-img") is None:
        cannot("needs qemu-img")
    raw, file = tmp_path / "raw", tmp_path / "disk"
    raw.write_bytes(gpt(*[LINUX] * 100, ESP, loader=b"\xeb\x63"))
    words = ["qemu-img", "convert", *(["-c"] if compressed else []), "-O", "qcow2"]
    subprocess.run([*words, "-o", f"cluster_size={cluster}", raw, file], check=True)
    assert medium(file) == Medium(file, "disk", "qcow2", ("uefi", "bios"))
    assert data_disk(file) == Medium(file, "disk", "qcow2")


def fat(*names: bytes) -> bytes:
    """The beginning of a FAT with these names in a directory, somewhere behind its tables."""
    return bytes(4096) + b"".join(name.ljust(32, b"\0") for name in names).ljust(4096, b"\0")


def with_loaders(*names: bytes, loader: bytes = b"") -> bytes:
    """A disk whose EFI system partition has these programs."""
    place = ESP.ljust(32, b"\0") + struct.pack("<QQ", 64, 64 + 2047)
    head = gpt(place, loader=loader)[: 64 * 512]
    return head.ljust(64 * 512, b"\0") + fat(*names).ljust(2048 * 512, b"\0")


def program(machine: int) -> bytes:
    """The beginning of a program for UEFI (PE format)."""
    head = b"MZ".ljust(0x3C, b"\0") + struct.pack("<I", 0x80)
    return head.ljust(0x80, b"\0") + b"PE\0\0" + struct.pack("<H", machine) + bytes(600)


ARM, RISCV, PC = b"BOOTAA64EFI", b"BOOTRI~1EFI", b"BOOTX64 EFI"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (with_loaders(ARM), "it is for aarch64; start it with qemu-system-aarch64"),
        (with_loaders(RISCV), "it is for riscv64; start it with qemu-system-riscv64"),
        (program(0xAA64), "it is for aarch64"),
        (program(0x5064), r"Debian: qemu-system-misc\); `cloche boot` emulates only x86-64"),
    ],
)
def test_an_image_for_another_cpu_is_refused_by_its_name(
    tmp_path: Path, content: bytes, said: str
) -> None:
    file = tmp_path / "image"
    file.write_bytes(content)
    with pytest.raises(BootError, match=said):
        medium(file)


@pytest.mark.parametrize(
    ("content", "firmware"),
    [
        (with_loaders(ARM, PC), ("uefi",)),
        (with_loaders(ARM, loader=b"\xeb\x63"), ("bios",)),
        (with_loaders(b"x" + ARM), ("uefi",)),  # within another entry
        (program(0x8664), ("uefi",)),
    ],
)
def test_an_image_that_is_for_ours_as_well_is_booted(
    tmp_path: Path, content: bytes, firmware: tuple[str, ...]
) -> None:
    file = tmp_path / "image"
    file.write_bytes(content)
    assert medium(file).firmware == firmware


def test_an_image_that_shows_other_files_of_the_host_is_refused(tmp_path: Path) -> None:
    if shutil.which("qemu-img") is None:
        cannot("needs qemu-img")
    secret, backed, outside = (tmp_path / name for name in ("secret", "backed", "outside"))
    secret.write_bytes(gpt(ESP))
    words = ["qemu-img", "create", "-q", "-f", "qcow2"]
    subprocess.run([*words, "-F", "raw", "-b", secret, backed], check=True)
    subprocess.run([*words, "-o", f"data_file={tmp_path}/data", outside, "1M"], check=True)
    for file in (backed, outside):
        for look in (medium, data_disk):
            with pytest.raises(BootError, match="refers to another file of this host"):
                look(file)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (gpt(LINUX), "neither an EFI system partition nor a boot loader"),
        (bytes(4096), "neither a disk, a CD, a kernel"),
        (b"", "neither a disk, a CD, a kernel"),
        (b"hsqs".ljust(4096, b"\0"), "a file system without a boot loader; name a kernel"),
        (bytes(1080) + b"\x53\xef" + bytes(4096), "a file system without a boot loader"),
        (b"QFI\xfb", "corrupt qcow2 image"),
        (b"QFI\xfb" + bytes(100), "corrupt qcow2 image"),
    ],
    ids=["no loader", "zeros", "empty", "squashfs", "ext4", "short qcow2", "qcow2 of zeros"],
)
def test_what_does_not_boot_is_refused(tmp_path: Path, content: bytes, message: str) -> None:
    file = tmp_path / "image"
    file.write_bytes(content)
    with pytest.raises(BootError, match=message):
        medium(file)


def cd(file: Path, *, bios: bool = False, uefi: bool = False, loader: bytes = PC) -> Path:
    iso = PyCdlib()
    iso.new(interchange_level=3)
    iso.add_fp(io.BytesIO(b"\xfa" * 2048), 2048, "/BOOT.;1")
    esp = fat(loader)
    iso.add_fp(io.BytesIO(esp), len(esp), "/EFI.;1")
    if bios:
        iso.add_eltorito("/BOOT.;1", bootcatfile="/BOOT.CAT;1")
    if uefi:
        iso.add_eltorito("/EFI.;1", bootcatfile="/BOOT.CAT;1", platform_id=0xEF, efi=True)
    iso.write(str(file))
    iso.close()
    return file


def test_a_cd_boots_from_what_its_catalog_has(tmp_path: Path) -> None:
    both = cd(tmp_path / "both", bios=True, uefi=True)
    assert medium(both) == Medium(both, "cd", "raw", ("uefi", "bios"))
    old = cd(tmp_path / "old", bios=True)
    assert medium(old).firmware == ("bios",)
    with pytest.raises(BootError, match="the medium has no boot loader"):
        medium(cd(tmp_path / "data"))
    assert medium(cd(tmp_path / "mixed", bios=True, uefi=True, loader=ARM)).firmware == ("bios",)
    with pytest.raises(BootError, match="it is for aarch64"):
        medium(cd(tmp_path / "arm", uefi=True, loader=ARM))


def test_kernels_programs_and_roots_are_known_by_their_content(tmp_path: Path) -> None:
    names = {"kernel": bytes(0x202) + b"HdrS" + bytes(100), "efi": b"MZ" + bytes(600)}
    names |= {"tarball": bytes(257) + b"ustar" + bytes(300)}
    for kind, content in names.items():
        file = tmp_path / f"a-{kind}.raw"
        file.write_bytes(content)
        assert medium(file).kind == kind
    assert medium(tmp_path).kind == "directory"


def test_a_compressed_file_is_a_tarball_by_its_name_alone(tmp_path: Path) -> None:
    for name in ("stage4.tar.xz", "a.tgz", "b.tar.zst"):
        (tmp_path / name).write_bytes(b"\xfd7zXZ\0" + bytes(600))
        assert medium(tmp_path / name).kind == "tarball"
    (tmp_path / "disk.raw.xz").write_bytes(b"\xfd7zXZ\0" + bytes(600))
    with pytest.raises(BootError, match="the image is compressed; unpack it"):
        medium(tmp_path / "disk.raw.xz")


def test_what_is_no_file_is_not_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(BootError, match="neither a file nor a disk"):
        medium(tmp_path / "fifo")
