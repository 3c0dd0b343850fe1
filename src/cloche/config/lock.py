"""``cloche.lock``: what seeds, repositories and machines are made of, to the byte.

It names packages, versions and digests, but no servers: where files come from is decided on each
host. `docs/lock.md` describes the format.
"""

from __future__ import annotations

import fcntl
import os
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, fields
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, TypeVar

import msgspec

from cloche.config import toml
from cloche.config.errors import ConfigError, Origin
from cloche.config.files import check_writable, decode, read_bytes, replace_text

VERSION = 2
_READABLE = (1, VERSION)  # 1 had seeds alone, all of them Debian's

# A lock is untrusted, as it comes with a project: what becomes part of paths or arguments must not
# be a path or an option itself.
FileName = Annotated[str, msgspec.Meta(pattern=r"\A(?!\.\.?\Z)[^/\x00-\x1f\x7f]*\Z")]
Digest = Annotated[str, msgspec.Meta(pattern=r"\A[0-9a-f]*\Z")]
_NOT_PLAIN = "Not a plain file name, version or digest"
Commit = Annotated[str, msgspec.Meta(pattern=r"\A[0-9a-f]{7,64}\Z")]
Word = Annotated[str, msgspec.Meta(pattern=r"\A\w[\w.+-]*\Z")]


@dataclass(frozen=True, slots=True)
class SdistPin:
    """One release of Portage: its version and the SHA-256 of its sdist."""

    version: Word
    sha256: Digest

    @property
    def file(self) -> str:
        """The name of the sdist."""
        return f"portage-{self.version}.tar.gz"


@dataclass(frozen=True, slots=True, order=True)
class DebianPackage:
    """One installed package, pinned by the SHA-256 of its ``.deb``."""

    name: str
    version: str
    arch: str
    sha256: str


@dataclass(frozen=True, slots=True)
class DebianSeed:
    """A Debian tree: ``include`` are the requested packages, ``packages`` all installed ones.

    ``layer`` is its id in the store. Both ``layer`` and ``include`` are empty where not known.
    """

    suite: str
    arch: str
    portage: SdistPin
    packages: tuple[DebianPackage, ...]
    include: tuple[str, ...] = ()
    layer: Digest = ""
    type: str = "debian"


@dataclass(frozen=True, slots=True)
class Stage3Seed:
    """A stage3: the name of its tarball, its size in bytes, its digests by Manifest hash name.

    ``signer`` is the fingerprint of the OpenPGP key that signed it; empty if it is not signed.
    ``interpreters`` is the id of the tree of its interpreters if it is for another CPU than the
    host's, also in the classes below.
    """

    arch: str
    flavour: str
    file: FileName
    size: int
    digests: Mapping[str, Digest]
    signer: str = ""
    layer: Digest = ""
    type: str = "stage3"
    interpreters: Digest = ""


@dataclass(frozen=True, slots=True)
class TreeSeed:
    """A directory, a tarball or an OCI image. ``digest`` (SHA-256) is that of the tarball or of the
    image's manifest, and empty for a directory."""

    type: str
    digest: Digest = ""
    layer: Digest = ""
    interpreters: Digest = ""


@dataclass(frozen=True, slots=True)
class MachineSeed:
    """A machine that was built: the ids of its layers, the bottom first."""

    layers: tuple[Digest, ...]
    layer: Digest = ""
    type: str = "machine"
    interpreters: Digest = ""


SeedLock = DebianSeed | Stage3Seed | TreeSeed | MachineSeed
_SEEDS: Mapping[str, type[DebianSeed] | type[Stage3Seed] | type[TreeSeed] | type[MachineSeed]] = {
    "debian": DebianSeed,
    "stage3": Stage3Seed,
    "directory": TreeSeed,
    "tarball": TreeSeed,
    "oci": TreeSeed,
    "machine": MachineSeed,
}


@dataclass(frozen=True, slots=True)
class RepoPin:
    """A repository: ``tree`` is the id of its content in normal form, which builds are made from.

    ``commit`` is git's; ``file`` and ``digest`` (SHA-256) are those of a snapshot; ``timestamp`` is
    what rsync's Manifest says of itself.
    """

    type: str
    tree: Digest
    commit: Digest = ""
    file: FileName = ""
    digest: Digest = ""
    timestamp: str = ""


@dataclass(frozen=True, slots=True, order=True)
class DistfilePin:
    """One distfile: its size in bytes, and its strongest digest, as ``BLAKE2B:…``."""

    name: str
    size: int
    digest: str


@dataclass(frozen=True, slots=True)
class BinrepoPin:
    """A binary package host: the SHA-256 of its index, as `binhosts` keeps it."""

    index: Digest


@dataclass(frozen=True, slots=True, order=True)
class BinpkgPin:
    """A binary package of a host: its path there, its size in bytes, and the SHA-256
    of what the store has of it: the package without signatures."""

    path: str
    size: int
    sha256: Digest


@dataclass(frozen=True, slots=True, order=True)
class Revision:
    """The commit of one repository; ``repository`` is its name in the store of the eclass."""

    repository: FileName
    commit: Commit


@dataclass(frozen=True, slots=True)
class LivePin:
    """The sources of a live ebuild: ``commits`` of git repositories, and ``tree``, the id of what
    the store has of them. ``others`` are names there besides git's repositories (such as
    ``cargo-registry``): these have no commit, so that the tree counts."""

    tree: Digest
    commits: tuple[Revision, ...] = ()
    others: tuple[FileName, ...] = ()

    @property
    def identity(self) -> dict[str, str]:
        """What identifies the sources of two pins: equal commits come in different packs."""
        if self.others or not self.commits:
            return {"tree": self.tree}
        return {"commits": " ".join(f"{each.repository}={each.commit}" for each in self.commits)}


@dataclass(frozen=True, slots=True)
class MachineLock:
    """A machine's inputs besides its seed: ``config`` is the id of its configuration's layer,
    ``repos`` are names of pinned repositories, ``packages`` what Portage resolved; ``binrepos``
    pinned binary package hosts, ``binpkgs`` what comes from them."""

    seed: str
    profile: str
    config: str
    repos: tuple[str, ...] = ()
    packages: tuple[str, ...] = ()
    distfiles: tuple[DistfilePin, ...] = ()
    binrepos: tuple[str, ...] = ()
    binpkgs: tuple[BinpkgPin, ...] = ()


@dataclass(frozen=True, slots=True)
class Lock:
    """The whole file, by name."""

    seeds: Mapping[str, SeedLock] = field(default_factory=dict)
    repos: Mapping[str, RepoPin] = field(default_factory=dict)
    machines: Mapping[str, MachineLock] = field(default_factory=dict)
    binrepos: Mapping[str, BinrepoPin] = field(default_factory=dict)
    live: Mapping[str, LivePin] = field(default_factory=dict)  # by the id of the package


_Tables = Mapping[str, Mapping[str, Any]]
_Entry = TypeVar("_Entry")


@lru_cache(maxsize=2)  # it is read for every pin
def parse(text: str, file: Path) -> Lock:
    """Read the text of a lock. Raises `ConfigError`."""
    try:
        data = toml.loads(text)
        version = data.pop("version", None)
        if version not in _READABLE:
            raise ValueError(f"version {version!r}, this cloche supports {VERSION}")
        if unknown := sorted(data.keys() - {"seeds", "repos", "binrepos", "machines", "live"}):
            raise ValueError(f"unknown table {unknown[0]!r}")
        return Lock(
            {name: seed_of(each, f"seeds.{name}") for name, each in _tables(data, "seeds")},
            {name: _entry(RepoPin, each, f"repos.{name}") for name, each in _tables(data, "repos")},
            {
                name: _entry(MachineLock, each, f"machines.{name}")
                for name, each in _tables(data, "machines")
            },
            {
                name: _entry(BinrepoPin, each, f"binrepos.{name}")
                for name, each in _tables(data, "binrepos")
            },
            {name: _entry(LivePin, each, f"live.{name}") for name, each in _tables(data, "live")},
        )
    except ValueError as problem:
        reason, line = toml.placed(str(problem))
        raise ConfigError(
            Origin(file, line),
            f"not a lock file of cloche: {reason}",
            "restore it from version control",
        ) from problem


def _tables(data: Mapping[str, Any], name: str) -> Iterable[tuple[str, Mapping[str, Any]]]:
    try:
        tables: _Tables = msgspec.convert(data.get(name, {}), _Tables)
    except msgspec.ValidationError as problem:
        raise ValueError(f"{problem}, in {name}") from problem
    return tables.items()


def seed_of(data: Mapping[str, Any], place: str = "the seed") -> SeedLock:
    """A seed's entry from plain data. Raises ValueError."""
    kind = str(data.get("type"))
    if kind not in _SEEDS:
        raise ValueError(f"{place}.type is {kind!r}, this cloche supports {', '.join(_SEEDS)}")
    seed: SeedLock = _entry(_SEEDS[kind], data, place)
    return seed


def _entry(kind: type[_Entry], data: Mapping[str, Any], place: str) -> _Entry:
    """An entry from plain data. Raises ValueError."""
    if unknown := sorted(data.keys() - {each.name for each in fields(kind)}):  # type: ignore[arg-type]
        raise ValueError(f"unknown key {unknown[0]!r}, in {place}")
    try:
        return msgspec.convert(data, kind)
    except msgspec.ValidationError as problem:
        words = re.sub("Expected `str` matching regex '.*?'", _NOT_PLAIN, str(problem))
        raise ValueError(f"{words}, in {place}") from problem


def render(lock: Lock) -> str:
    """The text of a lock; equal locks have equal texts."""
    return toml.dumps(
        {
            "version": VERSION,
            "seeds": {name: _table(lock.seeds[name]) for name in sorted(lock.seeds)},
            "repos": {name: _table(lock.repos[name]) for name in sorted(lock.repos)},
            **({"binrepos": binrepos} if (binrepos := _binrepos(lock)) else {}),
            "machines": {name: _table(lock.machines[name]) for name in sorted(lock.machines)},
            **({"live": live} if (live := _live(lock)) else {}),
        }
    )


def _binrepos(lock: Lock) -> dict[str, Any]:
    return {name: _table(lock.binrepos[name]) for name in sorted(lock.binrepos)}


def _live(lock: Lock) -> dict[str, Any]:
    return {name: _table(lock.live[name]) for name in sorted(lock.live)}


def _table(entry: SeedLock | RepoPin | BinrepoPin | MachineLock | LivePin) -> dict[str, Any]:
    """Plain data in a fixed order: the type first, lists last and sorted, empty values left out.

    The layers of a machine keep their order, which is part of what it is.
    """
    plain = msgspec.to_builtins(entry)
    data = {key: value for key, value in plain.items() if value not in ("", (), [])}
    first = {"type": data.pop("type")} if "type" in data else {}
    names = [key for key, value in data.items() if isinstance(value, list | tuple)]
    lists = {name: data.pop(name) for name in names}
    lists |= {name: sorted(lists[name], key=_rank) for name in names if name != "layers"}
    return first | data | lists


def _rank(item: object) -> tuple[str, ...]:
    """Texts by themselves, tables by their values in order."""
    return tuple(map(str, item.values())) if isinstance(item, Mapping) else (str(item),)


def read(file: Path) -> Lock:
    """The lock in ``file``; an empty one without the file.

    Raises `ConfigError`."""
    if not os.path.lexists(file):
        return Lock()
    return parse(decode(read_bytes(file, file.parent), file), file)


def write(file: Path, lock: Lock) -> None:
    """Replace ``file``, or the target of a link, atomically, unless nothing has changed."""
    text = render(lock)
    if file.is_file() and file.read_text(encoding="utf-8", errors="replace") == text:
        return
    replace_text(file, text)


def check(file: Path) -> None:
    """Check that a lock can be read and written, before long work on its content.

    Raises as `read`, and `ConfigError`.
    """
    read(file)
    check_writable(file)


def change(file: Path, changed: Callable[[Lock], Lock]) -> None:
    """Read a lock, change it, write it; concurrent processes wait for each other."""
    directory = os.open(file.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(directory, fcntl.LOCK_EX)
        write(file, changed(read(file)))
    finally:
        fcntl.flock(directory, fcntl.LOCK_UN)  # a fork of this process may have a copy
        os.close(directory)
