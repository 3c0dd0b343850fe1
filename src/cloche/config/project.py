"""``cloche.toml``: what a project declares for all its machines."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from cloche.config.apart import check_apart
from cloche.config.atoms import is_name
from cloche.config.binrepos import BinrepoSpec, read_binrepos
from cloche.config.errors import (
    ConfigError,
    Origin,
    missing_key,
    unknown_name,
    wrong_type,
)
from cloche.config.files import names
from cloche.config.interpreters import check_interpreter
from cloche.config.machine import Machine, load_machine, place_of
from cloche.config.sync import KEYS as SYNC_KEYS
from cloche.config.sync import Sync, read_sync
from cloche.config.table import Table, duration, load, size
from cloche.distcc.hosts import host_of

CHECKS = ("off", "quick", "all")
FILE = "cloche.toml"
LOCK = "cloche.lock"

Option = str | int | bool | tuple[str, ...]

_EMULATED: Mapping[str, type] = {"interpreter": list}
# The keys of each type of seed, which the room seeds interprets.
_SEED_KEYS: Mapping[str, Mapping[str, type]] = {
    "debian": {
        "suite": str,
        "mirror": str,
        "packages": list,
        "portage": str,
    },
    "stage3": {
        **{"arch": str, "flavour": str, "mirror": str, "file": str, "keyring": str},
        **_EMULATED,
    },
    "directory": {"path": str, **_EMULATED},
    "tarball": {"path": str, "sha256": str, **_EMULATED},
    "oci": {"path": str, "ref": str, **_EMULATED},
    "machine": {"machine": str, "project": str, **_EMULATED},
}


@dataclass(frozen=True, slots=True)
class SeedSpec:
    """``[seeds.NAME]``. ``options`` are the keys besides ``type``, lists as tuples of strings."""

    name: str
    type: str
    options: Mapping[str, Option]
    origin: Origin

    def text(self, key: str) -> str | None:
        """A string option, or None where it is not given."""
        value = self.options.get(key)
        return value if isinstance(value, str) else None

    def words(self, key: str) -> tuple[str, ...]:
        """The value of an option that is a list; empty if it is not set."""
        value = self.options.get(key)
        return value if isinstance(value, tuple) else ()


@dataclass(frozen=True, slots=True)
class RepoSpec:
    """``[repos.NAME]``: an ebuild repository at ``path`` (absolute), or a synced one.

    ``priority`` is that of repos.conf (portage(5)); ``main`` marks the main repository. ``tree`` is
    the ID of a stored state that is meant whatever the lock says.
    """

    name: str
    path: Path | None
    origin: Origin
    priority: int | None = None
    main: bool = False
    sync: Sync | None = None
    tree: str | None = None


@dataclass(frozen=True, slots=True)
class Project:
    """A project directory. Times in seconds; None means that the file does not say.

    ``jobs`` are packages at once, ``cores`` compilers at once over all packages. With
    ``strict_hooks`` no hook may change what another package owns. ``records`` is the number of
    builds of each machine whose events are kept, ``keep`` that of those whose layers are.
    ``reserve`` are bytes of the store's file system that stay free, ``check`` says how layers are
    checked before use. With ``ccache`` each package has a compile cache. ``distcc`` are hosts that
    compile for builds.
    """

    root: Path
    file: Path
    seeds: Mapping[str, SeedSpec]
    repos: Mapping[str, RepoSpec]
    binrepos: Mapping[str, BinrepoSpec] = field(default_factory=dict)
    store: Path | None = None
    reserve: int | None = None
    check: str | None = None
    distfiles: Path | None = None
    jobs: int | None = None
    cores: int | None = None
    phase_timeout: float | None = None
    strict_hooks: bool = False
    records: int | None = None
    keep: int | None = None
    ccache: bool = False
    distcc: tuple[str, ...] = ()

    @property
    def lock(self) -> Path:
        """Where the lock lies, whether it exists or not."""
        return self.root / LOCK

    @property
    def place(self) -> str:
        """A short name of this project, unique on this host."""
        return place_of(self.root)

    @property
    def machines(self) -> tuple[str, ...]:
        """The names of the machines, sorted."""
        return machines_of(self.root)

    def machine(self, name: str) -> Machine:
        """Load ``machines/NAME.toml`` with all it refers to. Raises `ConfigError`."""
        found = self._load(name)
        self.ground(found)
        return found

    def ground(self, machine: Machine) -> SeedSpec:
        """The seed at the bottom of a chain of machines, as far as it can be read.

        Raises `ConfigError`, also where the chain leads back to one of them.
        """
        project, chain = self, [(self.root, machine.name)]
        while (below := project._built_first(machine)) is not None:
            origin = project.seeds[machine.seed].origin
            project, machine = below
            chain.append((project.root, machine.name))
            if chain[-1] in chain[:-1]:
                shown = [name if root == self.root else f"{name} ({root})" for root, name in chain]
                raise ConfigError(
                    origin,
                    f"these machines are each other's seeds: {' → '.join(shown)}",
                    "let one of them use another seed",
                )
        return project.seeds[machine.seed]

    def _built_first(self, machine: Machine) -> tuple[Project, Machine] | None:
        """The machine of which a machine's seed is made, with its project.

        None also if another project cannot be read: what is locked of it may be in the store.
        """
        seed = self.seeds[machine.seed]
        name = seed.text("machine")
        if name is None:
            return None
        root = (self.root / (seed.text("project") or ".")).resolve()
        if root == self.root:
            if name not in self.machines:
                raise unknown_name(seed.origin, "machine", name, self.machines)
            return self, self._load(name)
        try:
            project = _read(root)
            return project, project._load(name)
        except (ConfigError, OSError):
            return None

    def _load(self, name: str) -> Machine:
        if name not in self.machines:
            raise unknown_name(Origin(self.root / "machines"), "machine", name, self.machines)
        file = self.root / "machines" / f"{name}.toml"
        if not is_name(name):
            raise ConfigError(
                Origin(file), "not a name for a machine", "use letters, digits, _ . + - in its name"
            )
        found = load_machine(
            name,
            file,
            self.root,
            frozenset(self.seeds),
            frozenset(self.repos),
            frozenset(self.binrepos),
        )
        check_apart(found, [(r.path, r.origin) for r in self.repos.values() if r.path is not None])
        return found


def machines_of(root: Path) -> tuple[str, ...]:
    """The names of the machines of the project in ``root``, sorted."""
    found = names(root / "machines")
    return tuple(sorted(name.removesuffix(".toml") for name in found if name.endswith(".toml")))


class NoProjectError(ConfigError):
    """There is no ``cloche.toml``. Some commands work without one, but none with an invalid one."""


def load_project(start: Path) -> Project:
    """Find ``cloche.toml`` in ``start`` or a directory above it, and read it.

    Raises `NoProjectError`, or another `ConfigError` with file and line.
    """
    here = start.absolute()
    for directory in (here, *here.parents):
        if (directory / FILE).is_file():
            return _read(directory.resolve())
    raise NoProjectError(
        Origin(here),
        "no cloche.toml here or in a directory above",
        "change into a project, or make one with `cloche init DIR`",
    )


def _read(root: Path) -> Project:
    """Read the file of a project whose root is known."""
    top = load(root / FILE, root)
    top.only(("seeds", "repos", "binrepos", "store", "build"))
    store, build = top.table("store"), top.table("build")
    store.only(("path", "reserve", "check"))
    build.only(
        (
            *("jobs", "cores", "phase_timeout", "distfiles", "strict_hooks", "records", "keep"),
            *("ccache", "distcc"),
        )
    )
    repos = {name: _repo(name, table, root) for name, table in top.tables("repos").items()}
    mains = [repo for repo in repos.values() if repo.main]
    if len(mains) > 1:
        raise ConfigError(
            mains[1].origin, f"a second main repository, after “{mains[0].name}”", "keep one `main`"
        )
    return Project(
        root=root,
        file=top.file,
        seeds={name: _seed(name, table) for name, table in top.tables("seeds").items()},
        repos=repos,
        binrepos=read_binrepos(top, root),
        store=_path(store, "path", root),
        check=_choice(store, "check", CHECKS),
        reserve=store.measure("reserve", size, 'a size such as "1G"'),
        distfiles=_path(build, "distfiles", root),
        jobs=_count(build, "jobs"),
        cores=_count(build, "cores"),
        phase_timeout=build.measure("phase_timeout", duration, 'a time such as "2h"'),
        strict_hooks=build.optional("strict_hooks", bool) or False,
        records=_count(build, "records"),
        keep=_count(build, "keep"),
        ccache=build.optional("ccache", bool) or False,
        distcc=_distcc(build),
    )


def _distcc(build: Table) -> tuple[str, ...]:
    """Hosts that compile for builds."""
    hosts = build.strings("distcc")
    for host, origin in hosts:
        if host_of(host) is None:
            raise wrong_type(
                origin, "build.distcc", "unix:/PATH or HOST[:PORT][/LIMIT]", f"“{host}”"
            )
    cached = build.optional("ccache", bool)
    if hosts and cached:
        what = "“build.distcc” and “build.ccache” exclude each other"
        raise ConfigError(build.origin("distcc"), what, "remove one of them")
    return tuple(host for host, _ in hosts)


def _choice(table: Table, key: str, known: tuple[str, ...]) -> str | None:
    """One of a few words."""
    word = table.optional(key, str)
    if word is not None and word not in known:
        wanted = f"one of {', '.join(known)}"
        raise wrong_type(table.origin(key), f"store.{key}", wanted, f"“{word}”")
    return word


def _count(table: Table, key: str) -> int | None:
    """A number of things at once."""
    number = table.optional(key, int)
    if number is not None and number < 1:
        raise wrong_type(table.origin(key), f"build.{key}", "a number from 1", str(number))
    return number


def _path(table: Table, key: str, root: Path) -> Path | None:
    """A path, relative to the file it is written in; it need not exist."""
    text = table.optional(key, str)
    if text == "":
        raise wrong_type(table.origin(key), key, "a path", "an empty string")
    return None if text is None else (root / text).absolute()


def _checked_name(kind: str, name: str, table: Table) -> None:
    if not is_name(name):
        raise ConfigError(
            table.origin(), f"“{name}” is not a name for a {kind}", "use letters, digits, _ . + -"
        )


def _seed(name: str, table: Table) -> SeedSpec:
    """One ``[seeds.NAME]``."""
    _checked_name("seed", name, table)
    kind = table.required("type", '"debian"')
    if kind not in _SEED_KEYS:
        raise unknown_name(table.origin("type"), "type of seed", kind, _SEED_KEYS)
    known = _SEED_KEYS[kind]
    table.only(("type", *known))
    options: dict[str, Option] = {}
    for key in table.data:
        if key == "type":
            continue
        if known[key] is list:
            options[key] = tuple(item for item, _ in table.strings(key))
            for item, origin in table.strings(key) if key == "interpreter" else ():
                check_interpreter(item, origin)
        else:
            options[key] = table.get(key, str, "")
    return SeedSpec(name, kind, options, table.origin())


def _repo(name: str, table: Table, root: Path) -> RepoSpec:
    """One ``[repos.NAME]``."""
    _checked_name("repository", name, table)
    table.only(("path", "priority", "main", *SYNC_KEYS))
    path, sync = _path(table, "path", root), read_sync(table, root)
    if path is None and sync is None:
        raise missing_key(table.origin(), f"repos.{name}.path", '"repo"')
    if path is not None and sync is not None:
        raise ConfigError(
            table.origin("path"), f"“{name}” has both path and sync_type", "keep one of them"
        )
    priority, main = table.optional("priority", int), table.get("main", bool, False)
    return RepoSpec(name, path, table.origin(), priority, main, sync)
