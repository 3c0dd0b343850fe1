"""The index of a binary package host: fetched, kept as a blob of the store, pinned.

Portage reads it in a sandbox; cloche does not interpret it. A host offers one index at a time,
``Packages`` or ``Packages.gz`` (Portage's binhost format), and no old ones.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from cloche.config import lock as locks
from cloche.config import lock_entries
from cloche.config.binrepos import BinrepoSpec
from cloche.config.lock import BinrepoPin
from cloche.config.project import Project
from cloche.errors import ClocheError
from cloche.fetching.download import Progress, fetch_file, quiet, shown
from cloche.fetching.errors import NotThereError, WrongContentError
from cloche.fetching.openpgp import GENTOO_KEYRING, check_requirements
from cloche.store import Store, names

LONGEST = 512 << 20  # bytes of an index; Gentoo's has about 30 MB
_FILES = ("Packages.gz", "Packages")
_CHUNK = 1 << 20


class MissingIndexError(ClocheError):
    """The index of a binary package host is not in the store; ``locked``: cloche.lock pins it."""

    def __init__(self, name: str, *, locked: bool) -> None:
        super().__init__(
            f"the index of the binary package host {name} is not in the store",
            todo=f"run `cloche repo sync {name}{' --locked' if locked else ''}`",
        )


@dataclass(frozen=True, slots=True)
class Binhost:
    """A binary package host as builds use it: its index is the blob ``index``, at ``path``.

    Packages must be signed by a key of ``keyring``; with None they need no signature.
    """

    name: str
    uri: str
    index: str
    path: Path
    keyring: Path | None

    @property
    def pin(self) -> BinrepoPin:
        """Its entry in the lock."""
        return BinrepoPin(self.index)


def find(store: Store, project: Project, spec: BinrepoSpec) -> Binhost:
    """The locked index, else the newest in the store. Raises `MissingIndexError`."""
    locked = _locked(project, spec)
    pins = sorted(store.pins(_prefix(spec)), key=lambda pin: pin.created, reverse=True)
    for index in (pin.blobs[0] for pin in pins):
        if (locked is None or locked.index == index) and store.has_blob(index):
            return _binhost(store, spec, index)
    raise MissingIndexError(spec.name, locked=locked is not None)


def sync(
    store: Store,
    project: Project,
    spec: BinrepoSpec,
    *,
    update: bool,
    progress: Progress = quiet,
) -> Binhost:
    """Fetch the host's present index and lock it; without ``update``, the locked one.

    Raises a `FetchingError`, and `ClocheError` if the locked one is not available.
    """
    locked = _locked(project, spec)
    if not update and locked is not None and store.has_blob(locked.index):
        return _binhost(store, spec, locked.index)
    if spec.verify:
        check_requirements(spec.keyring or GENTOO_KEYRING)
    with store.workspace("binrepo") as room:
        blob = store.add_blob(_taken(spec, room, progress), f"index of {spec.name}")
    if not update and locked is not None and locked.index != blob.id:
        raise ClocheError(  # hosts do not keep old ones
            f"the binary package host {spec.name} offers index {blob.id[:12]}, "
            f"locked is {locked.index[:12]}",
            todo=f"run `cloche repo sync {spec.name}` and lock again, "
            "or copy the store that has it",
        )
    store.pin(f"{_prefix(spec)}{blob.id[:12]}", (), (blob.id,), {"uri": shown(spec.uri)})
    host = _binhost(store, spec, blob.id)
    lock_found(project, host)
    return host


def lock_found(project: Project, host: Binhost) -> None:
    """Write the index in use to the lock, unless it has one."""
    if locks.read(project.lock).binrepos.get(host.name) != host.pin:
        locks.change(
            project.lock, lambda lock: lock_entries.with_binrepo(lock, host.name, host.pin)
        )


def pins(hosts: Mapping[str, Binhost]) -> dict[str, BinrepoPin]:
    """The hosts as they are now, for the lock."""
    return {name: host.pin for name, host in hosts.items()}


def _binhost(store: Store, spec: BinrepoSpec, index: str) -> Binhost:
    keyring = (spec.keyring or GENTOO_KEYRING) if spec.verify else None
    return Binhost(spec.name, spec.uri, index, store.blob(index).path, keyring)


def _locked(project: Project, spec: BinrepoSpec) -> BinrepoPin | None:
    return locks.read(project.lock).binrepos.get(spec.name)


def _prefix(spec: BinrepoSpec) -> str:
    """The name under which the store keeps indexes of a declaration."""
    return names.declared(names.BINHOSTS, spec.name, [spec.uri, spec.verify])


def _taken(spec: BinrepoSpec, room: Path, progress: Progress) -> Path:
    """Fetch the index, and return it as a plain file. Raises a `FetchingError`."""
    for name in _FILES:
        source = room / name
        try:
            fetch_file(f"{spec.uri}/{name}", source, limit=LONGEST, progress=progress)
        except NotThereError:
            if name == _FILES[-1]:
                raise
            continue
        break
    plain = room / "index"
    plain.write_bytes(without_uri(read_index(source, f"{shown(spec.uri)}/{source.name}")))
    return plain


def read_index(file: Path, source: str, longest: int = LONGEST) -> bytes:
    """Read an index, plain or compressed with gzip. Raises `WrongContentError`."""
    data = file.read_bytes()
    if data[:2] != b"\x1f\x8b":
        return data
    inflate = zlib.decompressobj(16 + zlib.MAX_WBITS)
    try:
        text = inflate.decompress(data, longest)
    except zlib.error as error:
        raise WrongContentError(source, f"not an index: {error}") from error
    if inflate.unconsumed_tail:
        raise WrongContentError(source, f"not an index: it inflates to over {longest} bytes")
    if not inflate.eof:
        raise WrongContentError(source, "not an index: it is truncated")
    return text


def without_uri(index: bytes) -> bytes:
    """The index without its URI header, which could name another host for its packages."""
    header, gap, rest = index.partition(b"\n\n")
    lines = [line for line in header.split(b"\n") if not line.startswith(b"URI:")]
    return b"\n".join(lines) + gap + rest
