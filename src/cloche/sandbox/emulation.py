"""Programs of another CPU in a sandbox: QEMU's user mode, registered for that sandbox alone.

The kernel looks for handlers of binary formats (binfmt_misc) in the user namespace of the program
that starts another one (since Linux 6.7). So a sandbox with emulators gets one more user
namespace, with all of the IDs of the one around it, and what is registered there ends with it. What
the host, or another sandbox, has registered does not change, and is not used.
"""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from cloche.linux import mounts, processes
from cloche.sandbox.base import Bind, Emulator

_PLACE = Path("/proc/sys/fs/binfmt_misc")
# F: the kernel opens the emulator now, so that it is found in every root that a program enters.
# P: it also gets the name under which a program is called, by which one like busybox decides.
_FLAGS = "PF"


def bind(emulator: Emulator) -> Bind:
    """Where the emulator is in a sandbox."""
    return Bind(emulator.program, _path(emulator))


def _path(emulator: Emulator) -> str:
    return f"/run/cloche/qemu-{emulator.name}"


def can_register(release: str, place: Path = _PLACE) -> bool:
    """Whether a kernel of this release (uname(2)), which has ``place`` if it has binfmt_misc, can.

    That is a mount point, there without a mount, too.
    """
    numbers = [int(number) for number in re.findall(r"\d+", release)[:2]]
    return numbers >= [6, 7] and place.is_dir()


def register(emulators: Sequence[Emulator]) -> None:
    """Enter a user and a mount namespace in which the programs of their CPUs run. Raises OSError.

    Call it in the sandbox's root, in a process without threads.
    """
    _enter()
    with mounts.Context("binfmt_misc") as context:
        fd = context.mount(
            mounts.MOUNT_ATTR_NOSUID | mounts.MOUNT_ATTR_NODEV | mounts.MOUNT_ATTR_NOEXEC
        )
    mounts.move_mount(fd, _PLACE)
    for each in emulators:
        (_PLACE / "register").write_bytes(line(each).encode())
    mounts.set_attributes(fd, mounts.MOUNT_ATTR_RDONLY)  # root inside cannot change it
    os.close(fd)


def line(emulator: Emulator) -> str:
    """What the file ``register`` gets (binfmt-misc.rst in the kernel's documentation).

    Of the ELF header class, byte order, version, type (executable or shared) and machine have to
    be equal, as QEMU's own scripts/qemu-binfmt-conf.sh has it.
    """
    order: Literal["big", "little"] = "big" if emulator.big_endian else "little"
    start = bytes([0x7F, *b"ELF", emulator.bits // 32, 1 + emulator.big_endian, 1]) + bytes(9)
    magic = start + (2).to_bytes(2, order) + emulator.machine.to_bytes(2, order)
    either = (0xFFFE).to_bytes(2, order)  # ET_EXEC or ET_DYN
    mask = b"\xff" * 7 + b"\0" + b"\xff" * 8 + either + b"\xff\xff"
    if emulator.flags is not None:
        flags, value = (each.to_bytes(4, order) for each in emulator.flags)
        before = bytes((36 if emulator.bits == 32 else 48) - len(magic))
        magic, mask = magic + before + value, mask + before + flags
    words = ("".join(f"\\x{byte:02x}" for byte in each) for each in (magic, mask))
    return ":".join(("", f"qemu-{emulator.name}", "M", "", *words, _path(emulator), _FLAGS))


def _enter() -> None:
    """Enter the namespaces; a child in the old one writes the map, each ID to itself."""
    maps = {name: Path(f"/proc/self/{name}").read_text() for name in ("uid_map", "gid_map")}
    parent = os.getpid()
    ready, entered = os.pipe()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            os.close(entered)
            if os.read(ready, 1):
                for name, text in maps.items():
                    Path(f"/proc/{parent}/{name}").write_text(_same(text))
                status = 0
        finally:
            os._exit(status)
    os.close(ready)
    try:
        processes.unshare(processes.CLONE_NEWUSER | processes.CLONE_NEWNS)
        os.write(entered, b"1")
    finally:
        os.close(entered)
        _, status = os.waitpid(child, 0)
    if status:
        raise OSError(errno.EPERM, "the map of its user namespace was rejected")


def _same(text: str) -> str:
    """A map of the same IDs to themselves."""
    lines = (line.split() for line in text.splitlines())
    return "".join(f"{first} {first} {count}\n" for first, _, count in lines)
