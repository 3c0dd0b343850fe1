"""The initramfs of a virtual machine: modules of its kernel, and the agent."""

from __future__ import annotations

import stat
from pathlib import Path

from cloche.vm import (
    cpio,
    interpreter,
    modules,
    wiring,
)

# Drivers of the machine's devices; each brings the modules that it depends on.
DRIVERS = ("virtio_pci", "virtio_console", "virtiofs", "virtio_net")


def build(directory: Path) -> bytes:
    """Return an archive for the kernel whose modules lie in ``directory``. Raises HostError."""
    entries = [cpio.Entry("/dev/console", stat.S_IFCHR | 0o600, device=(5, 1))]
    entries.append(cpio.directory(wiring.MODULES))
    for number, (name, data) in enumerate(modules.needed(directory, DRIVERS)):
        path = f"{wiring.MODULES}/{number:03}-{name}"
        entries.append(cpio.Entry(path, stat.S_IFREG | 0o644, data))
    return cpio.archive([*entries, *interpreter.entries()])
