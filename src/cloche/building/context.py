"""What all steps of one build share: the store, the engine, the machine's pinned inputs."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from cloche.binhosts.index import Binhost
from cloche.building.crossing import Crossing
from cloche.building.livepins import Live
from cloche.config.lock import RepoPin
from cloche.distcc.hosts import host_of
from cloche.layers import Layer
from cloche.portage.etc import REPOS, Content
from cloche.portage.view import common_view
from cloche.records.events import Bus
from cloche.records.logs import machine_logs
from cloche.sandbox.base import Bind, Emulator, Engine, Limits, Sandbox
from cloche.seeds.parts.strict import SeedParts
from cloche.store import Outcome, Store
from cloche.tasks.guestcall import Running
from cloche.tasks.run import run
from cloche.tasks.task import ROOT, Task
from cloche.tasks.worker import Worker


@dataclass(frozen=True, slots=True)
class Repo:
    """A repository's snapshot in the store."""

    name: str
    pin: RepoPin
    path: Path
    masters: tuple[str, ...] = ()

    @property
    def tree(self) -> str:
        """The id of its content."""
        return self.pin.tree


@dataclass(frozen=True, slots=True)
class Inputs:
    """Every input of a machine, pinned.

    ``base`` is the bottom of all its roots: seed, config. ``etc`` is the config's content, by path
    below ``/etc/portage``; ``profile`` its repository and the path there; ``guest`` a digest of the
    code that runs inside; ``place`` identifies the machine's project. ``binhosts`` are those of the
    machine, the preferred one first; if the lock is enforced, ``locked_binpkgs`` are the digests
    (SHA-256) of their packages, by host and path. For a ``strict`` machine ``seed_parts`` are set
    after resolving: its packages are built and merged over their ground instead of the seed.
    ``made_of`` are the layers of the machine that the seed is, the bottom first.
    ``cross`` is set for a machine for another CPU than the seed's, ``interpreters`` for a seed for
    another CPU than the host's.
    With ``installed`` the resolution has the seed's packages, too, as that of a strict machine.
    A machine that is not ``declared`` stands for a target and is none of the project's.
    ``own`` are the user's own files and repositories, by their paths inside. A machine with a root
    of its own (``own_root``) has nothing of the seed in its result, its ``/etc/portage`` only
    with ``etc_portage``, and build dependencies only ``with_build_deps``. ``emerge`` are the
    machine's options for the resolution, ``tools`` the seeds, by name, that make its outputs.
    """

    machine: str
    base: tuple[Layer, ...]
    repos: Mapping[str, Repo]
    etc: Mapping[str, Content]
    profile: tuple[str, str]
    guest: str
    place: str = ""
    own: Mapping[str, Path] = field(default_factory=dict)
    strict: bool = False
    installed: bool = False
    declared: bool = True
    own_root: bool = False
    etc_portage: bool = True
    with_build_deps: bool = False
    emerge: tuple[str, ...] = ()
    binhosts: Mapping[str, Binhost] = field(default_factory=dict)
    locked_binpkgs: Mapping[str, str] | None = None
    seed_parts: SeedParts | None = None
    made_of: tuple[Layer, ...] = ()
    cross: Crossing | None = None
    tools: Mapping[str, Layer] = field(default_factory=dict)
    interpreters: Layer | None = None

    @property
    def tells_installed(self) -> bool:
        """Whether the resolution has the packages of the seed."""
        return self.strict or self.installed

    @property
    def ground(self) -> tuple[Layer, ...]:
        """The layers below all others when packages are built and merged."""
        if self.seed_parts is None:
            return self.base
        return (self.seed_parts.ground, *(each for each in self.base if each.kind == "config"))

    @property
    def compilers_in(self) -> tuple[Layer, ...]:
        """The layers that the compilers of the ground are in: its packages', if they are known."""
        if not self.made_of:
            return self.ground
        if self.seed_parts is None:
            return self.made_of
        merged = frozenset(self.seed_parts.merged)
        return tuple(each for each in self.made_of if each.id in merged)

    @property
    def bottom(self) -> tuple[Layer, ...]:
        """The layers below all others in the finished machine."""
        if not self.own_root:
            return self.base
        return self.base[-1:] if self.etc_portage else ()

    @property
    def full_name(self) -> str:
        """The machine's name, unique among projects."""
        return f"{self.place}/{self.machine}"

    @property
    def log_name(self) -> str:
        """What the logs of its own stages are called."""
        return machine_logs(self.machine, self.place)

    def of_seed(self, names: Iterable[str]) -> tuple[Layer, ...]:
        """The layers of the seed's packages that a step sees besides the base."""
        return self.seed_parts.visible(names) if self.seed_parts else ()

    @property
    def key_base(self) -> dict[str, str]:
        """Parts of the keys of a machine's stages: the layers at the bottom, and our code.

        The config layer is left out: what a package sees of it is part of its key as effective
        variables, patches and hooks.
        """
        return {**self._key_parts(self.base), **self.key_root}

    @property
    def key_ground(self) -> dict[str, str]:
        """The same for the keys of its packages."""
        return self._key_parts(self.ground)

    @property
    def key_root(self) -> dict[str, str]:
        """The part of these keys that tells the two kinds of root apart."""
        return {"root": "own", **self.sysroot} if self.own_root else {}

    @property
    def sysroot(self) -> dict[str, str]:
        """Portage's SYSROOT for builds into a root of its own, if that is the seed.

        With ``--nodeps`` the root lacks what builds need, so they use the seed's.
        """
        return {"SYSROOT": "/"} if self.own_root and "--nodeps" in self.emerge else {}

    @property
    def key_emulated(self) -> dict[str, str]:
        """The part of these keys for a seed of another CPU than the host's."""
        return {"interpreters": self.interpreters.id} if self.interpreters else {}

    def _key_parts(self, under: Iterable[Layer]) -> dict[str, str]:
        parts = {f"base {layer.kind}": layer.id for layer in under if layer.kind != "config"}
        cross = self.cross.key_parts if self.cross else {}
        return {**parts, "guest": self.guest, **cross, **self.key_emulated}

    @property
    def environment(self) -> dict[str, str]:
        """Environment variables of Portage besides those of all guests.

        They name the repositories, instead of Portage's default file and repos.conf (portage(5)):
        the default file is for a Gentoo system and names a repository that does not exist here.
        """
        conf = self.etc["repos.conf"]
        return {"PORTAGE_REPOSITORIES": conf.decode()} if isinstance(conf, bytes) else {}

    @property
    def snapshots(self) -> dict[str, Path]:
        """Each repository's tree."""
        return {name: repo.path for name, repo in self.repos.items()}

    @property
    def masters(self) -> dict[str, tuple[str, ...]]:
        """Each repository's masters."""
        return {name: repo.masters for name, repo in self.repos.items()}


@dataclass(frozen=True, slots=True)
class Policy:
    """How to work. No setting may change a result."""

    jobs: int = 2
    cores: int = field(default_factory=lambda: len(os.sched_getaffinity(0)))
    keep_going: bool = False
    known_failures: bool = False  # what failed with equal inputs is not tried again
    strict_hooks: bool = False  # a hook that changes what another package owns is an error
    offline: bool = False
    ccache: bool = False  # each package has a compile cache
    distcc: tuple[str, ...] = ()  # hosts that compile for builds
    phase_seconds: float = 6 * 3600.0
    records: int = 20  # builds of a machine whose events are kept
    kept: int = 1  # builds of a machine whose layers are kept
    disk_reserve: int = 256 << 20  # bytes of the store's filesystem that stay free
    limits: Limits = field(default_factory=Limits)
    distfiles: tuple[Path, ...] = ()  # the user's own directories, which are searched first
    mirrors: str | None = None  # the text of /etc/portage/mirrors for fetching; None: the seed's

    @property
    def elsewhere(self) -> int:
        """How many compiles other hosts do at once."""
        hosts = (host_of(text) for text in self.distcc)
        return sum(host.limit for host in hosts if host is not None)


RunTask = Callable[[Task, Worker], Outcome]
"""As `cloche.tasks.run.run`."""


@dataclass(frozen=True, slots=True)
class BuildContext:
    """What all steps of one build share: worker, pinned inputs, policy.

    ``proxies`` are the caller's variables http_proxy, https_proxy, ftp_proxy and no_proxy.
    ``elsewhere`` runs the tasks of packages instead of the worker.
    """

    worker: Worker
    inputs: Inputs
    policy: Policy
    live: Live
    proxies: Mapping[str, str] = field(default_factory=dict)
    elsewhere: RunTask | None = None

    def carry_out(self, task: Task) -> Outcome:
        """Run a package's task; its outputs are in the store when this returns."""
        return (self.elsewhere or run)(task, self.worker)

    @property
    def store(self) -> Store:
        """The store of all results."""
        return self.worker.store

    @property
    def own_files(self) -> tuple[Path, ...]:
        """Directories of this host with distfiles: the user's, and what seeds were made of.

        Among the store's downloads is Portage's release, of which Debian seeds are made.
        """
        return (*self.policy.distfiles, self.store.downloads)

    @property
    def engine(self) -> Engine:
        """What makes sandboxes."""
        return self.worker.engine

    @property
    def bus(self) -> Bus:
        """Where events go."""
        return self.worker.bus

    @property
    def running(self) -> Running:
        """The sandboxes that run now."""
        return self.worker.running

    def layer(self, id: str) -> Layer:
        """A layer of the store; see `Worker.layer`."""
        return self.worker.layer(id)

    def sandbox(
        self, layers: Sequence[Layer], *, upper: Path | None, binds: Sequence[Bind] = ()
    ) -> Sandbox:
        """Compose a root: the seed, these layers of the machine, and a writable top.

        The layers of a machine with a root of its own lie in that root.
        """
        base, limits = self.inputs.base, self.policy.limits
        over, root = ((), layers) if self.inputs.own_root else (layers, None)
        return self.worker.sandbox(
            base,
            over,
            root=root,
            upper=upper,
            binds=binds,
            limits=limits,
            cross=self.inputs.cross.tools if self.inputs.cross else None,
            interpreters=self.inputs.interpreters.id if self.inputs.interpreters else None,
        )

    @property
    def emulators(self) -> tuple[Emulator, ...]:
        """What runs the programs of the seed and of the machine if they are for other CPUs."""
        cross, interpreters = self.inputs.cross, self.inputs.interpreters
        return self.worker.emulators(
            cross.tools if cross else None, interpreters.id if interpreters else None
        )

    @property
    def root(self) -> str:
        """Where such a sandbox has the machine's root."""
        return ROOT if self.inputs.own_root else "/"

    def profiles(self) -> tuple[Bind, ...]:
        """Binds of what Portage needs of each repository for its settings."""
        return tuple(Bind(*each) for each in common_view(self.inputs.snapshots))

    def whole_repositories(self) -> tuple[Bind, ...]:
        """Binds that show every repository in full, for resolving."""
        return tuple(Bind(r.path, f"{REPOS}/{r.name}") for r in self.inputs.repos.values())
