"""What all steps of one build share: the store, the engine, the machine's pinned inputs."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from cloche.binhosts.index import Binhost
from cloche.building.livepins import Live
from cloche.config.lock import RepoPin
from cloche.config.tree import Content
from cloche.layers import (
    Layer,
    stored_layer,
)
from cloche.records.events import Bus
from cloche.roots import unions
from cloche.sandbox.base import Bind, Engine, Limits, Sandbox
from cloche.seeds.parts.strict import SeedParts
from cloche.store import Store, check_tree
from cloche.tasks.guestcall import Running
from cloche.tasks.jobserver import Jobserver

REPOS = "/var/db/repos"


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
    code that runs inside; ``place`` tells the machine's project from others with the same words.
    ``binhosts`` are those that the machine names, the preferred one first; where it is held to its
    lock, ``locked_binpkgs`` are the digests (SHA-256) of their packages, by host and path.
    ``strict`` is told as asked for; ``seed_parts`` are there once a strict machine is resolved:
    then ``base`` is what its packages see, with their ground in the place of the seed.
    ``own`` are the user's own files and repositories, by what a sandbox calls them.
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
    binhosts: Mapping[str, Binhost] = field(default_factory=dict)
    locked_binpkgs: Mapping[str, str] | None = None
    seed_parts: SeedParts | None = None

    def strictly(self, parts: SeedParts) -> Inputs:
        """The inputs as the packages of a strict machine see them."""
        config = (layer for layer in self.base if layer.kind == "config")
        return replace(self, base=(parts.ground, *config), seed_parts=parts)

    @property
    def full_name(self) -> str:
        """The machine's name, told apart from those of other projects."""
        return f"{self.place}/{self.machine}"

    def of_seed(self, names: Iterable[str]) -> tuple[Layer, ...]:
        """The layers of the seed's packages that a step sees besides the base."""
        return self.seed_parts.visible(names) if self.seed_parts else ()

    @property
    def key_base(self) -> dict[str, str]:
        """Parts of every key: what lies under all layers, and the code that runs there.

        The config layer is left out: what a package sees of it goes into keys as its effective
        variables, patches and hooks.
        """
        parts = {f"base {layer.kind}": layer.id for layer in self.base if layer.kind != "config"}
        return {**parts, "guest": self.guest}

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
    """How to work; none of it may matter to a result."""

    jobs: int = 2
    cores: int = field(default_factory=lambda: len(os.sched_getaffinity(0)))
    keep_going: bool = False
    strict_hooks: bool = False  # a hook that changes what another package owns is an error
    offline: bool = False
    phase_seconds: float = 6 * 3600.0
    records: int = 20  # builds of a machine whose events are kept
    disk_reserve: int = 256 << 20  # bytes of the store's filesystem that stay free
    check: str = "off"  # how layers are looked at before they are used
    limits: Limits = field(default_factory=Limits)
    distfiles: tuple[Path, ...] = ()  # directories of the user's own that are looked into first
    mirrors: str | None = None  # the text of /etc/portage/mirrors for fetching; None: the seed's


@dataclass(frozen=True, slots=True)
class BuildContext:
    """Where steps are done. Everything with an effect goes through here."""

    store: Store
    engine: Engine
    inputs: Inputs
    policy: Policy
    bus: Bus
    running: Running
    jobserver: Jobserver
    live: Live = field(default_factory=Live)
    layers: dict[str, Layer] = field(default_factory=dict)  # those asked for so far, by id

    def sandbox(
        self,
        layers: Sequence[Layer],
        *,
        upper: Path | None,
        binds: Sequence[Bind] = (),
        network: bool = False,
    ) -> Sandbox:
        """Compose a root: the machine's base, these layers over it, and a writable top."""
        return Sandbox(
            lowers=unions.lowers(self.store, self.inputs.base, layers),
            upper=upper,
            binds=tuple(binds),
            tmpfs=(REPOS,),
            network=network,
            limits=self.policy.limits,
        )

    def jobserver_bind(self) -> tuple[Bind, ...]:
        """The bind that shows the jobserver; nothing where its FIFO would end at another kernel.

        A FIFO takes tokens through a read-only bind, too, and its owner and mode stay as they are:
        a build that changed them would keep all others from their tokens.
        """
        if not self.engine.nature.shares_kernel:
            return ()
        return (Bind(self.jobserver.fifo, "/run/cloche/jobserver"),)

    def environment(self) -> dict[str, str]:
        """What Portage is told beside the fixed environment of all guests.

        The repositories, which it takes from here instead of from its own default file and
        repos.conf (portage(5)): that file is for a Gentoo system and names one that is not there.
        """
        conf = self.inputs.etc["repos.conf"]
        return {"PORTAGE_REPOSITORIES": conf.decode()} if isinstance(conf, bytes) else {}

    def layer(self, id: str) -> Layer:
        """A layer of the store. It is looked up once: nothing goes while the store is open.

        Raises `StoreError` where the policy asks to check.
        """
        if id not in self.layers:
            check_tree(self.store.tree(id), self.policy.check)
            self.layers[id] = stored_layer(self.store, id)
        return self.layers[id]

    def whole_repositories(self) -> tuple[Bind, ...]:
        """Binds that show every repository in full, for resolving."""
        return tuple(Bind(r.path, f"{REPOS}/{r.name}") for r in self.inputs.repos.values())


def make_directory(parent: Path, name: str, mode: int = 0o755) -> Path:
    """Make a directory with exactly this mode, whatever the umask."""
    path = parent / name
    path.mkdir()
    path.chmod(mode)
    return path
