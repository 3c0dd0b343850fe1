"""Tasks: what one step of a plan does, as frozen values that can travel to another process.

Everything that a step sees is named by its id in a store: layers, repositories, packages, sources.
So a task means the same with any store that has those ids; `cloche.tasks.run.run` runs it.
"""

from __future__ import annotations

from typing import Any

import msgspec

from cloche.config.chost import cpu_of
from cloche.plan.depgraph import Distfile
from cloche.plan.names import bare
from cloche.sandbox.base import Limits

ROOT = "/target"
"""Where a sandbox has a root of its own: Portage's ROOT and SYSROOT (PMS 11.1)."""


class LiveSources(msgspec.Struct, frozen=True):
    """The sources of a live ebuild: their tree, and the environment by which its eclass uses it."""

    tree: str
    environment: dict[str, str]


class CompileCache(msgspec.Struct, frozen=True):
    """The compile cache of a build: its tarball, a blob, if there is one yet.

    ``compilers`` stands for all that compiles in the root. See `cloche.building.ccache`.
    """

    compilers: str
    tarball: str | None = None


class Distribution(msgspec.Struct, frozen=True):
    """Compiles of a build on other hosts, ``slots`` at once, with the compilers of these layers.

    ``hosts`` are as in `cloche.distcc.hosts`.
    """

    hosts: tuple[str, ...]
    layers: tuple[str, ...]
    slots: int


class Cross(msgspec.Struct, frozen=True):
    """Building for another CPU than the seed's.

    ``tools`` is what the names of its compilers begin with in the seed, of which ``tree`` is the
    id. There ``emulator`` is the path of a program of QEMU's, None without one: then nothing that
    is built can run.
    """

    chost: str
    cbuild: str
    tools: str
    tree: str
    emulator: str | None = None

    @property
    def prefixes(self) -> tuple[str, ...]:
        """Where the emulator looks for a program's libraries: Debian's, and QEMU's own."""
        cpu = cpu_of(self.chost)
        name = cpu.qemu if cpu else ""
        return f"/etc/qemu-binfmt/{name}", f"/usr/gnemul/qemu-{name}"

    @property
    def for_guest(self) -> dict[str, Any]:
        """What the guest's script gets."""
        own = {"chost": self.chost, "cbuild": self.cbuild, "tools": self.tools}
        return {**own, "prefixes": self.prefixes if self.emulator else ()}


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """The common fields of both tasks.

    ``package`` is its id in the plan. ``base`` and ``layers`` are the ids of what is visible, the
    bottom first; ``root`` those of the root of its own, at `ROOT`, into which it goes; None if it
    goes over ``base``. ``repositories`` are the ids of the repositories' trees by name.
    ``environment`` is Portage's variables besides the fixed environment of guests.
    ``phase_seconds`` is the limit of each phase; ``disk_reserve`` the bytes of the store's file
    system that stay free. The root of a failure is kept under the name ``kept_as``, if there is
    one. A ``quiet`` task sends no events. With ``cross`` the package is for another CPU.
    ``interpreters`` is the id of the tree of programs that run those of the base if that is for
    another CPU than the host's.
    """

    package: str
    cpv: str
    pf: str
    repo: str
    base: tuple[str, ...]
    layers: tuple[str, ...]
    root: tuple[str, ...] | None = None
    repositories: dict[str, str]
    environment: dict[str, str] = {}
    limits: Limits = Limits()
    phase_seconds: float = 6 * 3600.0
    disk_reserve: int = 0
    kept_as: str | None = None
    quiet: bool = False
    cross: Cross | None = None
    interpreters: str | None = None

    @property
    def trees(self) -> tuple[str, ...]:
        """Ids of all trees that a store needs for it."""
        seed = (self.cross.tree,) if self.cross else ()
        programs = (self.interpreters,) if self.interpreters else ()
        seen = (*self.base, *self.layers, *(self.root or ()), *self.repositories.values())
        return (*seen, *seed, *programs)

    @property
    def log_name(self) -> str:
        """What its logs are found by."""
        return bare(self.package)

    @property
    def place(self) -> str:
        """The root that it goes into, in its sandbox."""
        return "/" if self.root is None else ROOT

    @property
    def blobs(self) -> tuple[str, ...]:
        """Ids of all blobs that a store needs for it."""
        return ()

    @property
    def sources(self) -> tuple[Distfile, ...]:
        """All distfiles that a store needs for it."""
        return ()


class BuildTask(Step, frozen=True, kw_only=True, tag_field="task", tag="build"):
    """Building a package: from its visible layers and its sources to a GPKG.

    ``masters`` are those of each repository, ``inherited`` the ebuild's INHERITED; ``cores`` is how
    many jobs it may start where no jobserver says so. ``ccache`` and ``distcc`` must not change the
    result.
    ``variables`` are Portage's settings that differ from those of the machine.
    """

    use: tuple[str, ...] = ()
    masters: dict[str, tuple[str, ...]] = {}
    inherited: tuple[str, ...] = ()
    distfiles: tuple[Distfile, ...] = ()
    cores: int = 1
    live: LiveSources | None = None
    ccache: CompileCache | None = None
    distcc: Distribution | None = None
    variables: dict[str, str] = {}

    @property
    def trees(self) -> tuple[str, ...]:
        """Ids of all trees that a store needs for it."""
        return (*super().trees, *((self.live.tree,) if self.live else ()))

    @property
    def blobs(self) -> tuple[str, ...]:
        """Ids of all blobs that a store needs for it."""
        return (self.ccache.tarball,) if self.ccache and self.ccache.tarball else ()

    @property
    def sources(self) -> tuple[Distfile, ...]:
        """All distfiles that a store needs for it."""
        return self.distfiles


class MergeTask(Step, frozen=True, kw_only=True, tag_field="task", tag="merge"):
    """Merging a package: from a GPKG, the blob ``gpkg``, to the layer of what that changed.

    ``metadata`` is what a binary package host's index says of it, where it comes from one.
    """

    gpkg: str
    metadata: dict[str, Any] = {}

    @property
    def blobs(self) -> tuple[str, ...]:
        """Ids of all blobs that a store needs for it."""
        return (self.gpkg,)


Task = BuildTask | MergeTask


def encode_task(task: Task) -> bytes:
    """A task as JSON, with its kind in the field ``task``."""
    return msgspec.json.encode(task)


def decode_task(text: bytes) -> Task:
    """A task out of its JSON. Raises what `cloche.decoding.NOT_DECODABLE` names."""
    task: Task = msgspec.json.decode(text, type=Task)
    return task
