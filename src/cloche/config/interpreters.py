"""``interpreter``: programs of QEMU's user mode, each named for the CPU whose programs it runs."""

from __future__ import annotations

import re
from pathlib import PurePath

from cloche.config.elf_formats import FORMATS
from cloche.config.errors import ConfigError, Origin

_NAME = re.compile(r"qemu-(\w+?)(-static)?")


def cpu_of_interpreter(path: str) -> str | None:
    """QEMU's name for the CPU whose programs a program such as ``/usr/bin/qemu-arm`` runs.

    None if the program does not have one of QEMU's names, or the CPU is unknown.
    """
    found = _NAME.fullmatch(PurePath(path).name)
    return found[1] if found and found[1] in FORMATS else None


def check_interpreter(path: str, origin: Origin) -> None:
    """Check that an interpreter's name says which programs it runs. Raises `ConfigError`."""
    if cpu_of_interpreter(path) is None:
        raise ConfigError(
            origin,
            f"“{path}” is not called qemu-CPU or qemu-CPU-static",
            f"name a program of QEMU's user mode; CPU is one of {', '.join(FORMATS)}",
        )
