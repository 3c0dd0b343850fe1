"""Starts what somebody asked for: decides on the firmware, the disk and the credentials."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from cloche.archives import ImportOptions, import_tarball
from cloche.booting import command, firmware, nspawn, running
from cloche.booting.command import DirectKernel, Forward, Hardware
from cloche.booting.errors import BootError, missing_program, not_bootable
from cloche.booting.media import Medium, data_disk, medium
from cloche.booting.running import Guest
from cloche.errors import ClocheError, Exit

SSH = 22
_AUTOLOGIN = {"agetty.autologin": b"root", "login.noauth": b"yes"}  # systemd 256, util-linux 2.40
_KEY = "key"


@dataclass(frozen=True, slots=True)
class Wish:
    """What somebody wants to boot, and how.

    ``path`` is an image, or None with a ``kernel``. ``firmware`` is "uefi", "bios", "none", or ""
    for what fits. ``keep`` is where the changed disk stays. ``memory`` is in bytes. ``autologin``
    asks systemd for a shell on the console.
    """

    path: Path | None
    kernel: DirectKernel | None = None
    arguments: str = ""
    firmware: str = ""
    keep: Path | None = None
    memory: int = 1 << 30
    cpus: int = 1
    network: bool = False
    ssh: bool = False
    forwards: tuple[Forward, ...] = ()
    autologin: bool = False
    reboots: bool = True


@dataclass(frozen=True, slots=True)
class Started:
    """A guest that runs, and what its user is told about it."""

    guest: Guest
    words: tuple[str, ...]


def hardware(wish: Wish) -> Hardware:
    """The machine for a wish. Raises `BootError`, OSError."""
    found = Hardware(
        memory=wish.memory,
        cpus=wish.cpus,
        accelerator=command.accelerator(),
        keep=wish.keep is not None,
        kernel=wish.kernel,
        arguments=wish.arguments,
        network=wish.network,
        forwards=wish.forwards,
        credentials=dict(_AUTOLOGIN) if wish.autologin else {},
        reboots=wish.reboots,
    )
    if wish.kernel is not None:
        kind = medium(wish.kernel.image).kind
        if kind not in ("kernel", "efi"):
            raise not_bootable(wish.kernel.image, "not a kernel", "name a bzImage (vmlinuz)")
        disk = None if wish.path is None else data_disk(wish.path)
        possible = ("none", "uefi") if kind == "kernel" else ("uefi",)
        return replace(found, medium=disk, firmware=_firmware(wish.firmware, possible))
    if wish.path is None:
        raise BootError("there is nothing to boot", todo="name a machine, an image or --kernel")
    seen = medium(wish.path)
    if seen.kind in ("directory", "tarball"):
        what = f"a {seen.kind} has no boot loader"
        raise not_bootable(wish.path, what, "boot it with --nspawn, or make a disk of it")
    if seen.kind == "kernel":
        chosen = _firmware(wish.firmware, ("none", "uefi"))
        return replace(found, kernel=DirectKernel(wish.path), firmware=chosen)
    return replace(found, medium=seen, firmware=_firmware(wish.firmware, seen.firmware))


def _firmware(asked: str, possible: tuple[str, ...]) -> firmware.Firmware | None:
    """The firmware that was asked for; else what an image boots from and this host has."""
    if asked and asked not in possible:
        what = f"it boots from {' or '.join(possible)}, not from {asked}"
        raise BootError(what, todo=f"use --firmware {possible[0]}, or leave it out")
    chosen = asked or possible[0]
    if chosen != "uefi":
        return None
    try:
        return firmware.uefi()
    except BootError:
        if asked or "bios" not in possible:
            raise
        return None


@contextmanager
def in_qemu(wish: Wish) -> Iterator[Started]:
    """Run a virtual machine for a block. Raises ClocheError, OSError."""
    with running.private_directory() as stage:
        made = hardware(wish)
        words = [_title(made)]
        if made.medium is not None and made.medium.kind == "disk":
            if wish.keep is not None:
                made = replace(made, medium=_kept(made.medium, wish.keep))
                words.append(f"changes stay in {wish.keep}")
            else:
                words.append("changes of its disk are dropped at the end (--keep FILE keeps them)")
        if wish.ssh:
            port = running.free_port()
            made, told = _with_ssh(made, stage, port)
            words.append(told)
        with running.qemu(made, stage) as guest:
            yield Started(guest, tuple(words))


def _title(made: Hardware) -> str:
    how = "KVM" if made.accelerator == "kvm" else "emulation, which is slow: KVM is not usable here"
    kind = "UEFI" if made.firmware else "its own kernel" if made.kernel else "BIOS"
    return f"QEMU with {made.memory >> 20} MiB, {kind}, {how}"


def _kept(seen: Medium, target: Path) -> Medium:
    """A disk of the user's own: made of the image the first time, then gone on with."""
    if target.exists():
        check_own(target, seen.path)
        return data_disk(target)
    if shutil.which("qemu-img") is None:
        raise missing_program("qemu-img", "qemu-utils (Debian) or app-emulation/qemu (Gentoo)")
    aside = target.with_name(f".{target.name}.new")
    words = ["qemu-img", "convert", "-f", seen.format, "-O", "qcow2"]
    words += [str(each.absolute()) for each in (seen.path, aside)]  # a: would be a protocol
    try:
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            said = done.stderr.strip().rpartition("\n")[2]
            raise BootError(f"cannot be written: {said}", where=target, status=Exit.HOST)
        aside.rename(target)
    finally:
        aside.unlink(missing_ok=True)
    return Medium(target, "disk", "qcow2", seen.firmware)


def check_own(target: Path, image: Path | None) -> None:
    """See that a file that will be written is neither the image nor the store's.

    What a build delivers is linked to the file in the store. Raises `BootError`.
    """
    try:
        seen = target.stat()
    except OSError:
        return  # it will be made
    what = ""
    if image is not None and os.path.samestat(seen, image.stat()):
        what = "this is the image itself, which stays as it is"
    elif stat.S_ISREG(seen.st_mode) and seen.st_nlink > 1:
        what = "this file has other names (hard links), as what cloche delivers has in the store"
    if what:
        raise BootError(what, where=target, todo="name a new file")


def _with_ssh(made: Hardware, stage: Path, port: int) -> tuple[Hardware, str]:
    """A forwarded port, and a key of this run for root, which systemd puts into place."""
    if shutil.which("ssh-keygen") is None:
        raise missing_program("ssh-keygen", "openssh-client (Debian) or net-misc/openssh (Gentoo)")
    words = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "cloche-boot"]
    subprocess.run([*words, "-f", stage / _KEY], check=True, stdin=subprocess.DEVNULL)
    public = (stage / f"{_KEY}.pub").read_bytes()
    told = (
        f"ssh -p {port} -i {stage / _KEY} -o IdentitiesOnly=yes -o StrictHostKeyChecking=no "
        "-o UserKnownHostsFile=/dev/null root@127.0.0.1"
    )
    credentials = {**made.credentials, "ssh.authorized_keys.root": public}
    forwards = (*made.forwards, Forward(port, SSH))
    return replace(made, forwards=forwards, credentials=credentials), told


@contextmanager
def in_nspawn(wish: Wish) -> Iterator[Started]:
    """Boot a root in systemd-nspawn for a block. Raises ClocheError, OSError."""
    if wish.path is None:
        raise BootError("there is nothing to boot", todo="name a directory or a tarball")
    seen = Medium(wish.path, "directory") if wish.path.is_dir() else medium(wish.path)
    nspawn.check(seen)
    with running.private_directory() as stage:
        if seen.kind == "tarball":
            seen = Medium(_unpacked(seen.path, stage), "directory")
        named = {name: value.decode() for name, value in _AUTOLOGIN.items()}
        container = nspawn.Container(
            seen, f"cloche-{os.getpid()}", wish.network, named if wish.autologin else {}
        )
        with running.nspawn(nspawn.command(container), stage) as guest:
            yield Started(guest, ("systemd-nspawn; changes are dropped at the end",))


def _unpacked(tarball: Path, stage: Path) -> Path:
    root = stage / "root"
    import_tarball(tarball, root, ImportOptions(devices="skip"))
    if not nspawn.has_init(root):
        raise nspawn.without_init(tarball)
    return root


def check_forward(text: str) -> Forward:
    """HOST:GUEST as two ports. Raises ClocheError."""
    host, _, guest = text.partition(":")
    if not (host.isascii() and host.isdigit() and guest.isascii() and guest.isdigit()):
        raise _bad_forward(text)
    found = Forward(int(host), int(guest))
    if not (0 < found.host < 1 << 16 and 0 < found.guest < 1 << 16):
        raise _bad_forward(text)
    return found


def _bad_forward(text: str) -> ClocheError:
    return BootError(f"--forward {text}: not a pair of ports", todo="write HOST:GUEST, as 8080:80")
