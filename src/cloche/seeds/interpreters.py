"""``interpreter`` of a seed for another CPU: programs of QEMU's user mode, read once from the host.

They become a tree of the store, by whose id the keys of all that runs over the seed know them.
"""

from __future__ import annotations

import platform
import shutil
from pathlib import Path

from cloche.config.interpreters import FORMATS, cpu_of_interpreter
from cloche.config.project import SeedSpec
from cloche.errors import Exit
from cloche.layers import Layer, commit
from cloche.sandbox.base import Emulator
from cloche.sandbox.emulation import can_register
from cloche.seeds.errors import SeedError
from cloche.store import Store

_MOST = 64 << 20  # bytes; those of QEMU have some 13 MiB


def store_interpreters(store: Store, spec: SeedSpec, root: Path) -> Layer | None:
    """The tree of a declaration's interpreters; None without any. Raises `SeedError`, OSError.

    ``root`` is where relative paths begin.
    """
    words = spec.words("interpreter")
    if not words:
        return None
    if not can_register(platform.release()):
        what = "this host's kernel cannot register an interpreter for a sandbox alone"
        todo = "use a host with Linux 6.7 or later and binfmt_misc"
        raise SeedError(what, where=f"[seeds.{spec.name}]", todo=todo, status=Exit.HOST)
    with store.workspace("interpreters") as workspace:
        tree = workspace / "tree"
        tree.mkdir()
        tree.chmod(0o755)
        for word in words:
            _copy(spec, root / word, tree)
        return commit(store, tree, kind="interpreters", label=spec.name, rules={})


def _copy(spec: SeedSpec, program: Path, tree: Path) -> None:
    cpu = cpu_of_interpreter(program.name)
    where = f"[seeds.{spec.name}]"
    if not program.is_file():
        todo = "install it (Debian's package is qemu-user-static), or correct `interpreter`"
        raise SeedError(f"there is no interpreter {program}", where=where, todo=todo)
    if program.stat().st_size > _MOST:
        raise SeedError(f"{program} is too large for an interpreter", where=where)
    target = tree / f"qemu-{cpu}"
    shutil.copyfile(program, target)
    target.chmod(0o755)


def emulators_in(tree: Path) -> tuple[Emulator, ...]:
    """All that are in such a tree, by their names."""
    found = []
    for program in sorted(tree.iterdir()):
        if (cpu := cpu_of_interpreter(program.name)) is not None:
            elf = FORMATS[cpu]
            found.append(Emulator(cpu, elf.bits, elf.machine, program, elf.big_endian, elf.flags))
    return tuple(found)
