"""``interpreter`` of a seed for another CPU: QEMU's user-mode programs, read once from the host.

They become a tree in the store. Its id is part of the keys of everything that runs over the seed.
"""

from __future__ import annotations

import platform
import shutil
from pathlib import Path

from cloche.config.elf_formats import FORMATS
from cloche.config.interpreters import cpu_of_interpreter
from cloche.config.project import SeedSpec
from cloche.errors import Exit
from cloche.layers import Layer, commit
from cloche.sandbox.base import Emulator
from cloche.sandbox.emulation import can_register
from cloche.seeds.errors import SeedError
from cloche.store import Store

_MOST = 64 << 20  # bytes, several times the size of QEMU's


def store_interpreters(store: Store, spec: SeedSpec, root: Path) -> Layer | None:
    """The tree of a declaration's interpreters; None if it names none. Raises `SeedError`, OSError.

    Relative paths start at ``root``.
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
        raise SeedError(f"interpreter: no such file: {program}", where=where, todo=todo)
    if program.stat().st_size > _MOST:
        raise SeedError(f"{program} is too large for an interpreter", where=where)
    target = tree / f"qemu-{cpu}"
    shutil.copyfile(program, target)
    target.chmod(0o755)


def emulators_in(tree: Path) -> tuple[Emulator, ...]:
    """The emulators in such a tree, sorted by name."""
    found = ((cpu_of_interpreter(program.name), program) for program in sorted(tree.iterdir()))
    return tuple(emulator(cpu, program) for cpu, program in found if cpu is not None)


def emulator(cpu: str, program: Path) -> Emulator:
    """A program of QEMU's user mode for one of the CPUs in `FORMATS`."""
    elf = FORMATS[cpu]
    return Emulator(cpu, elf.bits, elf.machine, program, elf.big_endian, elf.flags)
