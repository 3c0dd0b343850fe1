"""What a task is carried out with: a store, an engine, and what belongs to this host."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from cloche.layers import Layer, stored_layer
from cloche.portage.etc import REPOS
from cloche.records.events import Bus
from cloche.roots import unions
from cloche.sandbox.base import Bind, Engine, Limits, Sandbox
from cloche.store import Store, check_tree
from cloche.tasks.guestcall import Running
from cloche.tasks.jobserver import Jobserver


@dataclass(frozen=True, slots=True)
class Worker:
    """Everything with an effect goes through here.

    Without a ``jobserver`` each task starts as many jobs as it is told. ``check`` says how layers
    are looked at before they are used (`store.check_tree`).
    """

    store: Store
    engine: Engine
    bus: Bus = field(default_factory=Bus)
    running: Running = field(default_factory=Running)
    jobserver: Jobserver | None = None
    check: str = "off"
    layers: dict[str, Layer] = field(default_factory=dict)  # those asked for so far, by id

    def layer(self, id: str) -> Layer:
        """A layer of the store. It is looked up once: nothing goes while the store is open.

        Raises `StoreError`.
        """
        if id not in self.layers:
            check_tree(self.store.tree(id), self.check)
            self.layers[id] = stored_layer(self.store, id)
        return self.layers[id]

    def sandbox(
        self,
        base: Sequence[Layer],
        layers: Sequence[Layer],
        *,
        upper: Path | None,
        binds: Sequence[Bind] = (),
        limits: Limits,
    ) -> Sandbox:
        """Compose a root: a base, these layers over it, and a writable top."""
        return Sandbox(
            lowers=unions.lowers(self.store, base, layers),
            upper=upper,
            binds=tuple(binds),
            tmpfs=(REPOS,),
            limits=limits,
        )

    def jobserver_bind(self) -> tuple[Bind, ...]:
        """The bind that shows the jobserver; nothing where its FIFO would end at another kernel.

        A FIFO takes tokens through a read-only bind, too, and its owner and mode stay as they are:
        a build that changed them would keep all others from their tokens.
        """
        if self.jobserver is None or not self.engine.nature.shares_kernel:
            return ()
        return (Bind(self.jobserver.fifo, "/run/cloche/jobserver"),)

    @property
    def free_bytes(self) -> int:
        """Room on the store's file system."""
        room = os.statvfs(self.store.path)
        return room.f_bavail * room.f_frsize


def make_directory(parent: Path, name: str, mode: int = 0o755) -> Path:
    """Make a directory with exactly this mode, whatever the umask."""
    path = parent / name
    path.mkdir()
    path.chmod(mode)
    return path
