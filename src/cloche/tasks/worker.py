"""The worker of tasks: a store, an engine, and settings of this host."""

from __future__ import annotations

import os
import posixpath
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from cloche.config.chost import cpu_of
from cloche.layers import Layer, layer_of
from cloche.portage.etc import REPOS
from cloche.records.events import Bus
from cloche.roots import unions
from cloche.sandbox.base import Bind, Emulator, Engine, Limits, Sandbox
from cloche.seeds.interpreters import emulator, emulators_in
from cloche.store import Store, check_tree
from cloche.tasks.guestcall import Running
from cloche.tasks.jobserver import Jobserver
from cloche.tasks.slots import SharedSlots
from cloche.tasks.task import ROOT, Cross


@dataclass(frozen=True, slots=True)
class Worker:
    """All effects of tasks go through it.

    Without a ``jobserver`` each task starts as many jobs as it says. ``wide`` is one for builds
    that compile on other hosts, too. ``check`` says how layers are checked before use
    (`store.check_tree`).
    """

    store: Store
    engine: Engine
    bus: Bus = field(default_factory=Bus)
    running: Running = field(default_factory=Running)
    jobserver: Jobserver | SharedSlots | None = None
    wide: Jobserver | None = None
    check: str = "off"
    layers: dict[str, Layer] = field(default_factory=dict)  # those used so far, by id

    def layer(self, id: str) -> Layer:
        """A layer of the store, looked up once: nothing is removed while the store is open.

        Raises `StoreError`.
        """
        if id not in self.layers:
            tree = self.store.tree(id)
            check_tree(tree, self.check)
            self.layers[id] = layer_of(tree)
        return self.layers[id]

    def sandbox(
        self,
        base: Sequence[Layer],
        layers: Sequence[Layer],
        *,
        root: Sequence[Layer] | None = None,
        upper: Path | None,
        binds: Sequence[Bind] = (),
        limits: Limits,
        cross: Cross | None = None,
        interpreters: str | None = None,
    ) -> Sandbox:
        """Compose a root: a base, these layers over it, and a writable top.

        With ``root`` it holds another one, of these layers, at `task.ROOT`; with ``cross`` or
        ``interpreters`` it runs programs of another CPU.
        """
        own = [posixpath.dirname(place) for place in cross.prefixes] if cross else []
        below = unions.lowers(self.store, (), root or (), at=ROOT.lstrip("/"))
        return Sandbox(
            lowers=(*below, *unions.lowers(self.store, base, layers)),
            upper=upper,
            binds=tuple(binds),
            tmpfs=(REPOS, *own),
            limits=limits,
            emulators=self.emulators(cross, interpreters),
        )

    def emulators(self, cross: Cross | None, interpreters: str | None) -> tuple[Emulator, ...]:
        """What runs the programs of the seed and of the machine if they are for other CPUs."""
        found = emulators_in(self.store.tree(interpreters).path) if interpreters else ()
        cpu = cpu_of(cross.chost) if cross else None
        if cross is None or cpu is None or cross.emulator is None:
            return found
        return (*found, emulator(cpu.qemu, self.store.tree(cross.tree).path / cross.emulator))

    def jobserver_bind(self) -> tuple[Bind, ...]:
        """The bind of the jobserver's FIFO; empty if the sandbox has its own kernel.

        A FIFO works through a read-only bind, too, and its owner and mode cannot be changed, by
        which a build could lock out all others.
        """
        if self.jobserver is None or not self.engine.nature.shares_kernel:
            return ()
        return (Bind(self.jobserver.fifo, "/run/cloche/jobserver"),)

    @property
    def free_bytes(self) -> int:
        """Free bytes on the store's file system."""
        room = os.statvfs(self.store.path)
        return room.f_bavail * room.f_frsize


def make_directory(parent: Path, name: str, mode: int = 0o755) -> Path:
    """Make a directory with exactly this mode, whatever the umask."""
    path = parent / name
    path.mkdir()
    path.chmod(mode)
    return path
