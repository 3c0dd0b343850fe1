"""Boots images in QEMU without KVM, and makes a small system that can boot."""

from __future__ import annotations

import gzip
import os
import re
import select
import shutil
import subprocess
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

from tests.support import cannot

OVMF = Path("/usr/share/OVMF/OVMF_CODE_4M.fd")
BUSYBOX = Path("/usr/bin/busybox"), Path("/bin/busybox")
#: Modules of Debian's cloud kernel that a system needs to find a CD or a disk.
MODULES = (
    *("virtio", "virtio_ring", "virtio_pci_legacy_dev", "virtio_pci_modern_dev", "virtio_pci"),
    *("virtio_blk", "scsi_common", "scsi_mod", "libata", "ata_piix", "cdrom", "sr_mod"),
    *("isofs", "loop", "squashfs", "crc32c_generic", "libcrc32c", "xfs"),
)


def boot(image: Path, *, uefi: bool, cdrom: bool, until: str, seconds: float = 300) -> str:
    """Start a machine with a CD or a disk; give the output of its serial line up to some words."""
    if not shutil.which("qemu-system-x86_64") or (uefi and not OVMF.exists()):
        cannot("needs qemu-system-x86 and ovmf")
    words = ["qemu-system-x86_64", "-machine", "accel=tcg", "-m", "768", "-no-reboot"]
    words += ["-display", "none", "-monitor", "none", "-net", "none", "-serial", "stdio"]
    if uefi:
        words += ["-drive", f"if=pflash,format=raw,readonly=on,file={OVMF}"]
    kind = "qcow2" if image.suffix == ".qcow2" else "raw"
    disk = f"if=virtio,format={kind},snapshot=on,file={image}"
    words += ["-cdrom", str(image)] if cdrom else ["-drive", disk]
    with subprocess.Popen(
        words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    ) as machine:
        try:
            return _said(machine, until, time.monotonic() + seconds)
        finally:
            machine.kill()


def boot_kernel(
    kernel: Path,
    initramfs: Path,
    options: str,
    *,
    typed: str,
    prompt: str,
    until: str,
    seconds: float = 300,
) -> str:
    """Start a kernel with its initramfs, type at the prompt, and give the serial line's output."""
    if not shutil.which("qemu-system-x86_64"):
        cannot("needs qemu-system-x86")
    words = ["qemu-system-x86_64", "-machine", "accel=tcg", "-m", "512", "-no-reboot"]
    words += ["-display", "none", "-monitor", "none", "-net", "none", "-serial", "stdio"]
    words += ["-kernel", str(kernel), "-initrd", str(initramfs), "-append", options]
    end = time.monotonic() + seconds
    with subprocess.Popen(
        words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    ) as machine:
        try:
            said = _said(machine, prompt, end)
            assert machine.stdin
            machine.stdin.write(typed.encode())
            machine.stdin.flush()
            return said + _said(machine, until, end)
        finally:
            machine.kill()


def _said(machine: subprocess.Popen[bytes], until: str, end: float) -> str:
    """The output of a machine up to some words, which may be a prompt, or to its end."""
    said = b""
    assert machine.stdout
    output = machine.stdout.fileno()
    while until.encode() not in said and (left := end - time.monotonic()) > 0:
        if select.select([output], [], [], left)[0]:
            part = os.read(output, 1 << 16)
            said += part
            if not part:
                break
    return said.decode(errors="replace")


def debian_kernel(place: Path) -> tuple[str, Path]:
    """Debian's kernel for virtual machines, unpacked in a directory: its version, its root."""
    told = subprocess.run(
        ["apt-cache", "show", "--no-all-versions", "linux-image-cloud-amd64"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    found = re.search(r"^Depends: linux-image-(\S+)", told, re.MULTILINE)
    assert found
    place.mkdir()
    package = f"linux-image-{found[1]}"
    subprocess.run(["apt-get", "download", "-q", package], cwd=place, check=True)
    (file,) = place.glob("*.deb")
    root = place / "root"
    subprocess.run(["dpkg-deb", "-x", file, root], check=True)
    return found[1], root


def initramfs(kernel: Path, script: str) -> bytes:
    """An initramfs with busybox, the modules of a kernel, and a script for busybox as its init."""
    busybox = next((path for path in BUSYBOX if path.exists()), None)
    if busybox is None:
        cannot("needs busybox-static")
    assert busybox
    files = dict.fromkeys(("bin/", "dev/", "proc/", "sys/", "cd/", "root/", "m/"), b"")
    files |= {"bin/busybox": busybox.read_bytes(), "init": script.encode()}
    for number, name in enumerate(MODULES):
        for found in kernel.rglob(f"{name}.ko"):
            files[f"m/{number:02}-{name}.ko"] = found.read_bytes()
    return gzip.compress(b"".join(_cpio(files.items())), mtime=0)


def _cpio(files: Iterable[tuple[str, bytes]]) -> Iterator[bytes]:
    """An archive as the kernel reads it (initramfs-buffer-format)."""
    for number, (name, content) in enumerate([*files, ("TRAILER!!!", b"")], 1):
        mode = 0o040755 if name.endswith("/") else 0o100755
        path = name.rstrip("/").encode() + b"\0"
        fields = (number, mode, 0, 0, 1, 0, len(content), 0, 0, 0, 0, len(path), 0)
        yield b"070701" + b"".join(b"%08x" % field for field in fields)
        yield path + b"\0" * (-(110 + len(path)) % 4)
        yield content + b"\0" * (-len(content) % 4)
