"""``machines/NAME.toml``: the definition of a machine, with all references checked."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from cloche.config import system
from cloche.config.atoms import is_name
from cloche.config.boot_tests import BootTests, read_boot_tests
from cloche.config.chost import KNOWN, cpu_of
from cloche.config.emerge_options import read_emerge
from cloche.config.errors import ConfigError, Origin, unknown_name
from cloche.config.files import names
from cloche.config.finish_contradictions import check_removals
from cloche.config.finish_steps import FinishStep, read_steps
from cloche.config.kernel import Kernel, read_kernel
from cloche.config.secrets import Secret, read_secrets
from cloche.config.sets import Asked, PackageSet, check_member, expand, load_sets, named
from cloche.config.table import Table, duration, load, size

if TYPE_CHECKING:
    from cloche.config.images import Image

KEYS = (
    "seed", "root", "chost", "with_build_deps", "profile", "portage", "sets", "packages", "emerge",
    "keep_world", "binrepos", "live", "kernel", "finish", "output", "limits", "secrets",
    "test", *system.KEYS,
)  # fmt: skip
ROOTS = ("seed", "own", "minimal")
OUTPUTS = ("stage4",)  # of [output]: what can be made of a machine (`output.kinds`)
NEEDS = ("refuse", "warn")  # what to do if programs need what a root of its own lacks
COMPRESSION = ("zstd", "xz", "gzip", "bzip2", "lzma", "lzip", "lzop", "none")  # `output.stage4`

_LIVE = re.compile(r"=?[\w+.*?\[\]-]+/[\w+.*?\[\]-]+")


@dataclass(frozen=True, slots=True)
class Profile:
    """``profile = "REPO:PATH"``: the path is relative to the repository's ``profiles/``."""

    repo: str
    path: str
    origin: Origin


@dataclass(frozen=True, slots=True)
class Fragment:
    """A directory ``portage/NAME``, laid out as /etc/portage is."""

    name: str
    directory: Path
    origin: Origin


@dataclass(frozen=True, slots=True)
class LimitsSpec:
    """``[limits]`` of each step: seconds, bytes, a count. None: cloche's own default."""

    phase_timeout: float | None = None
    memory: int | None = None
    processes: int | None = None


@dataclass(frozen=True, slots=True)
class Machine:
    """A machine as its file describes it.

    ``atoms`` are all requested atoms, sets expanded, each with its origin; ``targets`` are what
    Portage gets, which expands sets itself. ``set_files`` are the sets of the project that it
    names, and those in them: another one changes nothing of it. ``binrepos`` are binary package
    hosts that its packages may come from, the preferred one first. ``live`` are names of live
    ebuilds that may fetch their sources from the network, with shell wildcards. With ``own_root``
    the result has nothing of the seed, only what the machine asks for, with its dependencies at run
    time; ``etc_portage`` says whether its ``/etc/portage`` is part of that, and ``chost`` which CPU
    it is for, if that is not the seed's. ``with_build_deps`` says whether build dependencies are
    part of the result. ``compression`` is that of its tarball, which holds what is ``below`` a
    directory, and ``packer`` the seed whose program compresses it; by default that is the machine's
    own. ``needs`` is what happens if programs of a root of its own need what it lacks (a word of
    `NEEDS`), ``emerge`` are options of emerge for the resolution, ``keep_world`` says whether the
    seed's world files stay, with the machine's atoms and sets added. ``finish`` is what is done to
    its root after the last package, and ``images`` are made of that. With one of these, a machine
    over its seed needs no packages. ``secrets`` get into its tarball when that is asked for.
    ``kernel`` is its kernel, whose package is among ``packages``. A ``minimal`` root of its own has
    nothing that only package managers, compilers and readers need: its last step leaves that out.
    ``tests`` are for its images.
    """

    name: str
    file: Path
    root: Path
    seed: str
    profile: Profile
    fragments: tuple[Fragment, ...] = ()
    sets: tuple[str, ...] = ()
    packages: tuple[Asked, ...] = ()
    atoms: tuple[Asked, ...] = ()
    set_files: Mapping[str, PackageSet] = field(default_factory=dict)
    outputs: tuple[str, ...] = ()
    limits: LimitsSpec = LimitsSpec()
    binrepos: tuple[str, ...] = ()
    live: tuple[str, ...] = ()
    own_root: bool = False
    etc_portage: bool = True
    with_build_deps: bool = False
    chost: str | None = None
    compression: str = COMPRESSION[0]
    below: str = "/"
    needs: str = NEEDS[0]
    emerge: tuple[str, ...] = ()
    keep_world: bool = False
    finish: tuple[FinishStep, ...] = ()
    images: tuple[Image, ...] = ()
    packer: str | None = None
    secrets: tuple[Secret, ...] = ()
    kernel: Kernel | None = None
    minimal: bool = False
    tests: BootTests | None = None

    @property
    def place(self) -> str:
        """A short name of its project, unique on this host."""
        return place_of(self.root)

    @property
    def tools(self) -> tuple[str, ...]:
        """The seeds whose programs make its outputs, besides its own."""
        packer = () if self.packer is None else (self.packer,)
        return (*packer, *(image.tools for image in self.images if image.tools is not None))

    @property
    def targets(self) -> tuple[str, ...]:
        """Atoms and ``@sets`` for Portage, in the file's order, packages first."""
        return tuple(asked.atom for asked in self.packages) + tuple(f"@{s}" for s in self.sets)


def place_of(root: Path) -> str:
    """A short, unique name for a project directory."""
    return hashlib.sha256(str(root).encode()).hexdigest()[:12]


def load_machine(
    name: str,
    file: Path,
    root: Path,
    seeds: frozenset[str],
    repos: frozenset[str],
    binrepos: frozenset[str] = frozenset(),
) -> Machine:
    """Read a machine's file; ``seeds``, ``repos`` and ``binrepos`` are what the project declares.

    Raises `ConfigError` with file and line.
    """
    table, output = _tables(file, root)
    word = _root(table)
    own_root, minimal = word != "seed", word == "minimal"
    seed = table.required("seed", '"debian"')
    if seed not in seeds:
        raise unknown_name(table.origin("seed"), "seed", seed, seeds)
    fragments = tuple(_fragment(*item, root) for item in table.strings("portage"))
    _no_repetition(table, "portage")
    set_files = _all_sets(root, fragments)
    sets = [Asked(f"@{text.removeprefix('@')}", origin) for text, origin in table.strings("sets")]
    packages = tuple(check_member(text, origin) for text, origin in table.strings("packages"))
    kernel = read_kernel(table, root)
    packages += kernel.packages if kernel else ()
    atoms = expand((*packages, *sets), set_files)
    system.check_init(table, atoms)
    last = (FinishStep("minimal", table.origin("root")),) if minimal else ()
    steps = (*system.read_system(table, root), *read_steps(table, root), *last)
    check_removals(steps)
    images = _images(output, root, seeds)
    if not sets and not packages and (own_root or not (steps or images)):
        raise ConfigError(
            table.origin("packages"),
            "the machine asks for nothing",
            'name packages or sets, such as: packages = ["app-misc/hello"]',
        )
    return Machine(
        name=name,
        file=file,
        root=root,
        seed=seed,
        profile=_profile(table, repos),
        fragments=fragments,
        sets=tuple(dict.fromkeys(asked.atom.removeprefix("@") for asked in sets)),
        packages=packages,
        atoms=atoms,
        set_files=_own_sets(root, named((*packages, *sets), set_files)),
        outputs=tuple(name for name in OUTPUTS if output.get(name, bool, False)),
        limits=_limits(table.table("limits")),
        binrepos=_binrepos(table, binrepos),
        live=_live(table),
        own_root=own_root,
        etc_portage=output.get("portage", bool, not minimal),
        with_build_deps=table.get("with_build_deps", bool, False),
        chost=_chost(table),
        compression=_one_of(output, "compression", COMPRESSION),
        below=_below(output),
        needs=_one_of(output, "needs", NEEDS),
        emerge=read_emerge(table),
        keep_world=table.get("keep_world", bool, False),
        finish=steps,
        images=images,
        packer=_packer(output, seeds),
        secrets=_secrets(table, output, root),
        kernel=kernel,
        minimal=minimal,
        tests=read_boot_tests(table, root),
    )


def _tables(file: Path, root: Path) -> tuple[Table, Table]:
    """The file and its table [output]. Raises `ConfigError` for keys that have no effect."""
    table = load(file, root)
    table.only(KEYS)
    output = table.table("output")
    output.only((*OUTPUTS, "below", "compression", "images", "needs", "portage", "tools"))
    own_root = _root(table) != "seed"
    _only_for_own_root(own_root, table, "chost")
    _only_for_own_root(own_root, output, "portage")
    _only_for_own_root(own_root, output, "needs")
    return table, output


def _below(output: Table) -> str:
    """``below``: the directory that the tarball holds. Raises `ConfigError`."""
    below = output.get("below", str, "/")
    if not below.startswith("/") or ".." in below.split("/"):
        origin, what = output.origin("below"), f"“{below}” is not a directory of the root"
        raise ConfigError(origin, what, 'write an absolute path, as "/srv"')
    return below


def _packer(output: Table, seeds: frozenset[str]) -> str | None:
    """``tools``: the seed whose program compresses the tarball."""
    name = output.optional("tools", str)
    if name is not None and name not in seeds:
        raise unknown_name(output.origin("tools"), "seed", name, seeds)
    return name


def _secrets(table: Table, output: Table, root: Path) -> tuple[Secret, ...]:
    """Secrets, which nothing but a tarball of the whole root can have. Raises `ConfigError`."""
    found = read_secrets(table, root)
    for key in ("below", "images"):
        if found and key in output.data:
            todo = "put them there after the machine is installed"
            raise ConfigError(found[0].origin, f"with `{key}` there can be no secrets", todo)
    return found


def _only_for_own_root(own_root: bool, table: Table, key: str) -> None:
    if not own_root and key in table.data:
        what = f"“{key}” only has an effect with a root of its own"
        raise ConfigError(table.origin(key), what, 'add `root = "own"`, or remove the key')


def _images(output: Table, root: Path, seeds: frozenset[str]) -> tuple[Image, ...]:
    """The images; where there are none, what reads them is not loaded: it takes as long as this."""
    if "images" not in output.data:
        return ()
    from cloche.config.images import read_images

    return read_images(output, root, seeds)


def _root(table: Table) -> str:
    """``root``: what the result is made of besides the packages."""
    word = table.get("root", str, "seed")
    if word not in ROOTS:
        raise unknown_name(table.origin("root"), "kind of root", word, ROOTS)
    return word


def _chost(table: Table) -> str | None:
    """``chost``: of another CPU than the seed's."""
    if "chost" not in table.data:
        return None
    chost = table.get("chost", str, "")
    if cpu_of(chost) is None:
        raise ConfigError(
            table.origin("chost"),
            f"“{chost}” is not a CHOST that cloche knows",
            f'write CPU-VENDOR-linux-ABI such as "aarch64-unknown-linux-gnu"; CPUs are {KNOWN}',
        )
    return chost


def _profile(table: Table, repos: frozenset[str]) -> Profile:
    """Split ``REPO:PATH`` (portage(5), ``parent`` with profile-formats portage-2)."""
    text = table.required("profile", '"REPO:default"')
    origin = table.origin("profile")
    repo, colon, path = text.partition(":")
    parts = path.split("/")
    if not colon or not repo or any(part in ("", ".", "..") for part in parts):
        raise ConfigError(
            origin, f"“{text}” is not a profile", 'write "REPO:PATH", the path below REPO/profiles'
        )
    if repo not in repos:
        raise unknown_name(origin, "repository", repo, repos)
    return Profile(repo, path, origin)


def _fragment(name: str, origin: Origin, root: Path) -> Fragment:
    """A fragment by its name."""
    if not is_name(name):
        raise ConfigError(
            origin, f"“{name}” is not a name for a fragment", "use letters, digits, _ . + -"
        )
    parent = root / "portage"
    there = [entry for entry in names(parent) if (parent / entry).is_dir()]
    if name not in there:
        raise unknown_name(origin, "fragment", name, there)
    return Fragment(name, parent / name, origin)


def _no_repetition(table: Table, key: str) -> None:
    """A fragment named twice would have no clear place in the order."""
    seen: set[str] = set()
    for text, origin in table.strings(key):
        if text in seen:
            raise ConfigError(origin, f"“{text}” is named twice", "remove one of the two")
        seen.add(text)


def _all_sets(root: Path, fragments: tuple[Fragment, ...]) -> Mapping[str, PackageSet]:
    """The sets that a machine may name: the project's and those of its fragments."""
    found = dict(load_sets(root / "sets", root))
    for fragment in fragments:
        found.update(load_sets(fragment.directory / "sets", root))
    return found


def _own_sets(root: Path, names: frozenset[str]) -> Mapping[str, PackageSet]:
    """The project's sets of these names."""
    return {name: each for name, each in load_sets(root / "sets", root).items() if name in names}


def _binrepos(table: Table, known: frozenset[str]) -> tuple[str, ...]:
    """The binary package hosts that a machine names."""
    _no_repetition(table, "binrepos")
    for name, origin in table.strings("binrepos"):
        if name not in known:
            raise unknown_name(origin, "binary package host", name, known)
    return tuple(name for name, _ in table.strings("binrepos"))


def _live(table: Table) -> tuple[str, ...]:
    """``live = true``, or a list of names of packages, which may have wildcards."""
    if isinstance(table.data.get("live"), bool):
        return ("*/*",) if table.get("live", bool, False) else ()
    for text, origin in table.strings("live"):
        if not _LIVE.fullmatch(text):
            raise ConfigError(
                origin,
                f"“{text}” is not the name of a package",
                'write "CATEGORY/NAME", with wildcards if you like, or `live = true` for all',
            )
    return tuple(text for text, _ in table.strings("live"))


def _one_of(table: Table, key: str, words: tuple[str, ...]) -> str:
    """A key with one of these words; the first is the default."""
    word = table.get(key, str, words[0])
    if word not in words:
        raise unknown_name(table.origin(key), key, word, words)
    return word


def _limits(table: Table) -> LimitsSpec:
    """``[limits]``."""
    table.only(("phase_timeout", "memory", "processes"))
    return LimitsSpec(
        table.measure("phase_timeout", duration, 'a time such as "2h"'),
        table.measure("memory", size, 'a size such as "4G"'),
        table.measure("processes", _count, "a number from 1"),
    )


def _count(text: str) -> int:
    """A number from 1. Raises ValueError."""
    value = int(text)
    if value < 1:
        raise ValueError(text)
    return value
