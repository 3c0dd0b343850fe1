"""The command line of QEMU for an image, which is not trusted.

The machine has a disk, a network card, a serial line, a screen and a source of entropy, and nothing
of the host: no directory, no default device, no configuration of the user. QEMU itself may start no
program and gain no right (-sandbox). It gets its serial line and its monitor as open sockets.
"""

from __future__ import annotations

import base64
import fcntl
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from cloche.booting.firmware import Firmware
from cloche.booting.media import Medium

PROGRAM = "qemu-system-x86_64"
#: Where a kernel that is started directly writes: the screen, and the console of `cloche boot`.
CONSOLES = "console=tty0 console=ttyS0"

_SANDBOX = "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny"
_KVM_VERSION = 0xAE00  # KVM_GET_API_VERSION
_KVM_STABLE = 12
_CREDENTIAL = "io.systemd.credential"  # systemd.system-credentials(7)
_CMDLINE = "io.systemd.stub.kernel-cmdline-extra"  # systemd-stub(7)


@dataclass(frozen=True, slots=True)
class Forward:
    """A port of this host's loopback that leads to one of the guest's."""

    host: int
    guest: int


@dataclass(frozen=True, slots=True)
class DirectKernel:
    """A kernel that QEMU starts itself."""

    image: Path
    initrd: Path | None = None


@dataclass(frozen=True, slots=True)
class Hardware:
    """A virtual machine. ``memory`` is in bytes.

    ``disk`` is written to if ``keep``, else only a copy of what changes is, and dropped.
    ``credentials`` are for systemd, by name. ``arguments`` are the kernel's.
    """

    memory: int
    cpus: int
    accelerator: str
    medium: Medium | None = None
    keep: bool = False
    firmware: Firmware | None = None
    kernel: DirectKernel | None = None
    arguments: str = ""
    network: bool = False
    forwards: tuple[Forward, ...] = ()
    credentials: Mapping[str, bytes] = field(default_factory=dict)
    reboots: bool = True


def accelerator() -> str:
    """ "kvm" where this user can use it, else "tcg", which emulates the processor."""
    try:
        flags = set(Path("/proc/cpuinfo").read_text().split())
        descriptor = os.open("/dev/kvm", os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return "tcg"
    try:
        # A host that is a guest itself may have the device without virtualisation.
        works = flags & {"vmx", "svm"} and fcntl.ioctl(descriptor, _KVM_VERSION) == _KVM_STABLE
    except OSError:
        works = False
    finally:
        os.close(descriptor)
    return "kvm" if works else "tcg"


def command(hardware: Hardware, stage: Path, console: int, monitor: int) -> list[str]:
    """The words that start QEMU; ``stage`` has the copy of the firmware's variables.

    ``console`` and ``monitor`` are the numbers of its sockets.
    """
    words = [PROGRAM, "-nodefaults", "-no-user-config", "-sandbox", _SANDBOX]
    words += ["-machine", f"q35,accel={hardware.accelerator},usb=off,vmport=off", "-cpu", "max"]
    words += ["-m", f"{hardware.memory >> 20}M", "-smp", str(hardware.cpus), "-display", "none"]
    words += ["-device", "VGA", "-device", "virtio-rng-pci"]
    words += ["-chardev", f"socket,id=console,fd={console}", "-serial", "chardev:console"]
    words += ["-chardev", f"socket,id=monitor,fd={monitor}"]
    words += ["-mon", "chardev=monitor,mode=control"]
    words += _network(hardware)
    if hardware.firmware is not None:
        code, variables = hardware.firmware.code, stage / "variables"
        words += ["-drive", f"if=pflash,format=raw,readonly=on,file={_escaped(code)}"]
        words += ["-drive", f"if=pflash,format=raw,file={_escaped(variables)}"]
    if hardware.medium is not None:
        words += _medium(hardware.medium, keep=hardware.keep)
    words += _started(hardware)
    words += [word for value in _told(hardware) for word in ("-smbios", f"type=11,value={value}")]
    return words if hardware.reboots else [*words, "-no-reboot"]


def _network(hardware: Hardware) -> list[str]:
    """A card; without ``network`` only the forwarded ports lead anywhere."""
    words = ["user", "id=net"] + ([] if hardware.network else ["restrict=on"])
    words += [f"hostfwd=tcp:127.0.0.1:{each.host}-:{each.guest}" for each in hardware.forwards]
    # Without its ROM the firmware does not try to boot from the network.
    return ["-netdev", ",".join(words), "-device", "virtio-net-pci,netdev=net,romfile="]


def _medium(medium: Medium, *, keep: bool) -> list[str]:
    file = _escaped(medium.path)
    if medium.kind == "cd":
        drive = f"if=none,id=cd,media=cdrom,format=raw,readonly=on,file={file}"
        return ["-drive", drive, "-device", "ide-cd,drive=cd,bootindex=1"]
    if medium.kind != "disk":
        return []
    # The temporary file of a snapshot has no name any more as soon as it is open.
    change = "snapshot=off" if keep else "snapshot=on"
    drive = f"if=none,id=disk,format={medium.format},{change},discard=unmap,file={file}"
    return ["-drive", drive, "-device", "virtio-blk-pci,drive=disk,bootindex=1"]


def _started(hardware: Hardware) -> list[str]:
    """What QEMU loads itself."""
    if hardware.kernel is not None:
        words = ["-kernel", str(hardware.kernel.image)]
        if hardware.kernel.initrd is not None:
            words += ["-initrd", str(hardware.kernel.initrd)]
        return [*words, "-append", f"{CONSOLES} {hardware.arguments}".rstrip()]
    if hardware.medium is not None and hardware.medium.kind == "efi":
        return ["-kernel", str(hardware.medium.path)]
    return []


def _told(hardware: Hardware) -> Iterator[str]:
    """What the guest's systemd gets from outside, as SMBIOS strings."""
    for name, value in hardware.credentials.items():
        yield f"{_CREDENTIAL}.binary:{name}={base64.b64encode(value).decode()}"
    if hardware.arguments and hardware.kernel is None:
        yield f"{_CMDLINE}={_doubled(hardware.arguments)}"


def _escaped(path: Path) -> str:
    return _doubled(str(path))


def _doubled(text: str) -> str:
    """A comma ends a value of an option, two of them are one."""
    return text.replace(",", ",,")
